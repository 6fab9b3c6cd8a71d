// What every contestant is told: whose tokens, for whom, and for Postern the configuration.
export const issuer = "https://project.example/auth/v1";
export const audience = "authenticated";
export const upstream = "http://127.0.0.1:9";

/**
 * A gate's configuration that knows the suite's keys and needs no network, and what its secrets stand for.
 *
 * @param {import("./workload.mjs").Suite} suite
 * @param {object} [more] on top
 * @returns {{ text: string, env: Record<string, string> }}
 */
export function configuration(suite, more = {}) {
  const env = {};
  const trust = suite.alg.startsWith("HS")
    ? {
        symmetric_keys: suite.jwks.map(({ kid, alg }, index) => {
          env[`SECRET_${index}`] = suite.pems[index];
          return { kid, alg, secret: `$SECRET_${index}` };
        }),
      }
    : { keys: { keys: suite.jwks } };
  const issuers = suite.issuers ?? [{ issuer, ...trust }];
  return { text: JSON.stringify({ issuers: issuers.map((more) => ({ audience, ...more })), upstream: { url: upstream }, ...suite.more, ...more }), env };
}
