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

// Isolates come and go: the data centre's cache keeps the issuer's keys for the next one.
const gate = env.POSTERN_UPSTREAM !== undefined || env.POSTERN_CONFIG !== undefined
  ? await Gate.fromEnvironment({ ...env })
  : await Gate.create(config, { env: { ...env }, keyStore: cacheApiStore(config) });

export default {
  fetch: (request: Request, _env: unknown, context: { waitUntil(work: Promise<unknown>): void }) =>
    gate.handle(request, context),
};
