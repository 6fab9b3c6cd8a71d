// The gate at the edge. All there is here is configuration: what it says is checked when the worker
// starts, so a mistake fails the deployment and not the first request.
import { env } from "cloudflare:workers";
import { cacheApiStore, Gate } from "postern";
import type { GateConfig } from "postern";

// With POSTERN_UPSTREAM or POSTERN_CONFIG among the variables and secrets, these alone are the configuration.
const config: GateConfig = {
  issuers: [
    { issuer: env.ISSUER, audience: env.AUDIENCE, ...(env.JWKS_URI !== "" && { jwks_uri: env.JWKS_URI }) },
  ],
  upstream: { url: env.UPSTREAM_URL },
  // No policy: every user sees their own threads. README.md shows how to write another one.
};

// A KV namespace bound as DENYLIST holds what is no longer good, under the key `postern`. Cloudflare may show a change of it up to a
// minute late; another source is one line here.
const { DENYLIST } = env;
const denylist = DENYLIST !== undefined && {
  denylist: { get: () => DENYLIST.get("postern"), ...(env.DENYLIST_SECONDS !== undefined && { intervalSeconds: Number(env.DENYLIST_SECONDS) }) },
};

// Isolates come and go: the data centre's cache keeps the issuer's keys for the next one.
const gate = env.POSTERN_UPSTREAM !== undefined || env.POSTERN_CONFIG !== undefined
  ? await Gate.fromEnvironment({ ...env }, { ...denylist })
  : await Gate.create(config, { env: { ...env }, keyStore: cacheApiStore(config), ...denylist });

export default {
  fetch: (request: Request, _env: unknown, context: { waitUntil(work: Promise<unknown>): void }) =>
    gate.handle(request, context),
};
