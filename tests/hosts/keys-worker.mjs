// The worker with keys that are soon over their age, for keys.test.mjs: the variables are those of edge-worker/wrangler.jsonc.
import { env } from "cloudflare:workers";
import { cacheApiStore, Gate } from "postern";

const config = {
  issuers: [{ issuer: env.ISSUER, audience: env.AUDIENCE, jwks_uri: env.JWKS_URI, max_age_seconds: 30 }],
  upstream: { url: env.UPSTREAM_URL },
};
const gate = await Gate.create(config, { env: { ...env }, keyStore: cacheApiStore(config) });

export default {
  fetch: (request, _env, context) => gate.handle(request, context),
};
