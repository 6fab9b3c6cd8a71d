// Not a gate: shows what the worker's key store holds, and puts something else there. Started by worker.test.mjs with the
// worker's own variables and folder.
import { env } from "cloudflare:workers";
import { cacheApiStore } from "postern";

const store = cacheApiStore({
  issuers: [{ issuer: env.ISSUER, audience: env.AUDIENCE, jwks_uri: env.JWKS_URI }], upstream: { url: env.UPSTREAM_URL },
});

export default {
  /** @param {Request} request */
  async fetch(request) {
    if (request.method === "PUT") await store.put(await request.text());
    return new Response(await store.get());
  },
};
