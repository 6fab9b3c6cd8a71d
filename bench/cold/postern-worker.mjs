// A worker with a gate: made at global scope, as edge-worker/src/worker.ts does it; verifies the request's token.
import { env } from "cloudflare:workers";
import { Gate } from "postern";

const gate = await Gate.create(env.CONFIG, { onWarning() {} });

export default {
  async fetch(request) {
    return new Response((await gate.authenticate(request)).identity);
  },
};
