// The gate at the edge. All there is here is configuration: what it says is checked when the worker
// starts, so a mistake fails the deployment and not the first request.
import { env } from "cloudflare:workers";
import { Gate } from "postern";

const gate = await Gate.create(
  {
    issuers: [
      { issuer: env.ISSUER, audience: env.AUDIENCE, ...(env.JWKS_URI !== "" && { jwks_uri: env.JWKS_URI }) },
    ],
    upstream: { url: env.UPSTREAM_URL },
    // No policy: every user sees their own threads. README.md shows how to write another one.
  },
  { env: { ...env } },
);

export default {
  fetch: (request: Request, _env: unknown, context: { waitUntil(work: Promise<unknown>): void }) =>
    gate.handle(request, context),
};
