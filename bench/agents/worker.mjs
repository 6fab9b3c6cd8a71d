// The agent in workerd: an order is a POST. The clock stands still while a worker works, so the driver times the whole exchange.
import { makeAgent } from "./agent.mjs";
import { contestants, signals } from "./contestants.mjs";

const agent = makeAgent([contestants]);

export default {
  async fetch(request, _env, context) {
    // As a worker gives it to the gate: tables are built after the answer.
    signals.waitUntil = (work) => context.waitUntil(work);
    const { order, ...rest } = await request.json();
    if (order === "nothing") return Response.json({});
    try {
      return Response.json(await agent[order](rest));
    } catch (fault) {
      return Response.json({ fault: `${order}: ${fault?.stack ?? fault}` });
    }
  },
};
