// The agent in workerd: an order is a POST. The clock stands still while a worker works, so the driver times the whole exchange.
import { makeAgent } from "./agent.mjs";
import { contestants } from "./contestants.mjs";

const agent = makeAgent([contestants]);

export default {
  async fetch(request) {
    const { order, ...rest } = await request.json();
    if (order === "nothing") return Response.json({});
    try {
      return Response.json(await agent[order](rest));
    } catch (fault) {
      return Response.json({ fault: `${order}: ${fault?.stack ?? fault}` });
    }
  },
};
