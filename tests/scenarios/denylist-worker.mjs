// The worker as it is, and one path more, by which the test writes into the KV namespace that the worker reads.
import { env } from "cloudflare:workers";
import worker from "../../edge-worker/src/worker.ts";

export default {
  async fetch(request, variables, context) {
    if (new URL(request.url).pathname !== "/denylist-of-the-test") return worker.fetch(request, variables, context);
    await env.DENYLIST.put("postern", await request.text());
    return new Response(null, { status: 204 });
  },
};
