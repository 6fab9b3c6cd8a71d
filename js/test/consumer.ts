// A program that uses the package, for the compiler alone: every public name, as its documentation shows it.
import { AuthError, cacheApiStore, ConfigError, Gate, testPolicy } from "postern";
import type { ErrorCode, Explanation, FilterFor, GateConfig, GateDecision, GateOptions, KeyStore, Policy, PolicyTestReport, PolicyTests, User } from "postern";
import { Gate as InlineGate } from "postern/inline";

const policy: Policy = {
  "*": { filter: { owner: "$user.identity" }, stamp: { owner: "$user.identity" } },
  "threads:read": { filter: { $or: [{ owner: "$user.identity" }, { members: { $contains: "$user.identity" } }] } },
  "assistants:search": "allow",
  "crons": "deny",
};
const config: GateConfig = {
  issuers: [{ preset: "supabase", url: "https://project.supabase.co" }],
  upstream: { url: "http://127.0.0.1:2024", api: "langgraph", headers: { "x-api-key": "$KEY" }, graphs: ["agent"] },
  policy,
  limits: { body_bytes_max: 1024 * 1024 },
};
// Cloudflare's KV, as a store beside the Cache API.
declare const kv: { get(name: string): Promise<string | null>; put(name: string, text: string): Promise<void> };
const keyStore: KeyStore = { get: () => kv.get("keys"), put: (text) => kv.put("keys", text) };
const several: GateConfig = {
  issuers: [
    { preset: "auth0", url: "https://tenant.auth0.com", audience: "https://api.example", identity_prefix: "auth0:" },
    { issuer: "https://idp.example", audience: ["a", "b"], identity_prefix: "idp:" },
  ],
  shared_identities: false,
  upstream: { url: "http://127.0.0.1:2024" },
};
const options: GateOptions = {
  keyStore,
  env: { KEY: "secret", NOT_A_STRING: {} },
  fetch: (url, init) => fetch(url, init),
  now: () => Date.now(),
  onDecision: (decision: GateDecision) => void decision.durationMs,
};

export async function use(context: { waitUntil(work: Promise<unknown>): void; other: number }): Promise<Response> {
  const gate: Gate = await Gate.create(config, options);
  await Gate.create(several, { keyStore: cacheApiStore(several, { origin: "https://gate.example" }) });
  const answer: FilterFor = await gate.filterFor(await gate.authenticate(new Request("https://gate.example")), "threads", "read", {
    column: "t.metadata", placeholder: "$2",
  });
  const parameters: string[] = answer.jsonb?.parameters ?? answer.sql.parameters;
  if (answer.cerbos.kind === "KIND_CONDITIONAL") void answer.cerbos.condition;
  const own: boolean = await gate.filterMatches({ identity: "alice" }, "crons", "read", { owner: parameters[0] });
  void own;
  const tests: PolicyTests = {
    config,
    cases: [{ name: "own", user: { identity: "alice" }, request: { target: "/threads" }, expect: { outcome: "deny", code: "method_not_allowed" } }],
  };
  const { failed, results }: PolicyTestReport = await testPolicy(tests, { config });
  if (failed > 0) throw new Error(results[0]?.differences[0]?.what);
  const faults: string[] = gate.keyFaults();
  void faults;
  const request = new Request("https://gate.example/threads");
  try {
    const user: User = await gate.authenticate(request);
    const identity: string = user.identity;
    void identity;
  } catch (error) {
    if (error instanceof AuthError) {
      const code: ErrorCode = error.code;
      void code;
      return error.toResponse();
    }
    if (error instanceof ConfigError) throw new Error(`${error.line}:${error.column} ${error.path}`);
  }
  const explanation: Explanation = await gate.explain({ method: "GET", target: "/threads" });
  if (explanation.outcome.kind === "refuse") void explanation.outcome.status;
  return gate.handle(request, context);
}

// What must not compile.
// @ts-expect-error an issuer needs its name
export const withoutIssuer: GateConfig = { issuers: [{ audience: "a" }], upstream: { url: "" } };
export const unknownPreset: GateConfig = {
  // @ts-expect-error no such preset
  issuers: [{ preset: "firebase", url: "https://a.example" }], upstream: { url: "" },
};
// @ts-expect-error no such rule key
export const unknownRule: Policy = { "thread:read": "allow" };
// @ts-expect-error a rule that only stamps would open everything
export const onlyStamp: Policy = { "*": { stamp: { owner: "$user.identity" } } };

export const inline: typeof Gate = InlineGate as unknown as typeof Gate;
