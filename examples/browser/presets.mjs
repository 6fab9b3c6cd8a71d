// What the page offers to try. Each is a whole state of the inputs; what it does not name keeps the default.
import { audience, issuer, tampered, threadId, unsigned } from "./keys.mjs";

export const defaultPolicy = `{
  // Everyone sees what they own, and what they make is theirs.
  "*": {
    "filter": { "owner": "$user.identity" },
    "stamp":  { "owner": "$user.identity" }
  },
  // The server's own graphs are open to read and to run.
  "assistants:read":   { "filter": { "created_by": "system" } },
  "assistants:search": { "filter": { "created_by": "system" } }
}`;

const pretty = (/** @type {unknown} */ value) => JSON.stringify(value, null, 2);
const run = { assistant_id: "agent", input: { messages: [{ role: "user", content: "Hello" }] }, stream_mode: ["messages-tuple"] };

/** @param {Awaited<ReturnType<typeof import("./keys.mjs").makeIssuer>>} keys */
export async function makePresets({ sign, jwks }) {
  const alice = await sign({ sub: "alice", name: "Alice" });
  const bob = await sign({ sub: "bob", name: "Bob" });
  const hour = 3600;
  const now = Math.floor(Date.now() / 1000);
  const base = {
    method: "GET", target: `/threads/${threadId}`, body: "", token: alice, issuer, audience,
    keys: pretty(jwks), policy: defaultPolicy, stored: pretty({ owner: "alice", topic: "lunch" }).replace(/\s+/g, " "), clock: 0,
  };
  const create = { method: "POST", target: "/threads", body: pretty({ metadata: { topic: "lunch", owner: "bob" } }) };
  return [
    { name: "Create a thread", ...base, ...create },
    { name: "Read your own", ...base },
    { name: "Somebody else's thread", ...base, token: bob },
    { name: "Stream a run", ...base, method: "POST", target: `/threads/${threadId}/runs/stream`, body: pretty(run) },
    { name: "Search", ...base, method: "POST", target: "/threads/search", body: pretty({ limit: 10, metadata: { topic: "lunch" } }) },
    { name: "No token", ...base, token: "" },
    { name: "Expired", ...base, token: await sign({ sub: "alice", iat: now - 2 * hour, exp: now - hour }) },
    { name: "alg none", ...base, token: unsigned({ sub: "alice" }) },
    { name: "Edited payload", ...base, token: tampered(bob, { sub: "alice" }) },
    { name: "Other audience", ...base, token: await sign({ sub: "alice", aud: "billing" }) },
    {
      name: "Pretend to be another user", ...base, method: "POST", target: `/threads/${threadId}/runs`,
      body: pretty({ ...run, config: { configurable: { langgraph_auth_user_id: "bob" } } }),
    },
    { name: "Webhook into the server", ...base, method: "POST", target: `/threads/${threadId}/runs`, body: pretty({ ...run, webhook: "/threads" }) },
    { name: "Wipe everything", ...base, method: "POST", target: "/internal/truncate", body: "{}" },
  ];
}
