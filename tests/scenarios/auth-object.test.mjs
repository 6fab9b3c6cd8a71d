// The auth file of a LangGraph JS project, twice: in LangGraph's own server, and unchanged in a worker in front of a server without
// auth. Two people make the same calls on both sides; status and what is visible must be the same.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { startIssuer } from "../../examples/issuer/issuer.mjs";
import { freePort, root, startAgent, startService } from "../support/services.mjs";

const folder = `${root}examples/scenarios/5-auth-object/`;
const anonKey = "anon-key-of-this-test";
const missing = "00000000-0000-4000-8000-000000000000";
const system = "fe096781-5601-53d2-b2f6-0d3403f7e9ca"; // the server's own assistant for the graph "agent"

/** What one side has made, by the names that the calls use. */
class Side {
  ids = {};
  constructor(url, users) {
    this.url = url;
    this.users = users;
  }
  named(id) {
    return Object.entries({ ...this.ids, ...Object.fromEntries(Object.entries(this.users).map(([name, user]) => [name, user.id])) })
      .find(([, one]) => one === id)?.[0] ?? (id === system ? "system" : "?");
  }
  async send(who, method, path, body, headers = {}) {
    const token = this.users[who]?.token ?? (who === "forger" ? "not-a-token" : undefined);
    const reply = await fetch(this.url + path, {
      method,
      headers: { ...(token && { authorization: `Bearer ${token}` }), ...(body !== undefined && { "content-type": "application/json" }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(20_000),
    });
    const text = await reply.text();
    let json;
    try {
      json = JSON.parse(text);
    } catch {
      // not every answer is JSON
    }
    return { status: reply.status, json, text };
  }
  /** What a client can see of an answer, under this side's names. */
  visible({ status, json, text }) {
    if (status >= 300) return `${status}`;
    const id = (one) => one?.thread_id ?? one?.assistant_id ?? (one?.namespace ? [...one.namespace, one.key].map((label) => (this.named(label) === "?" ? label : this.named(label))).join("/") : undefined);
    if (Array.isArray(json)) return `${status} [${json.map((one) => this.named(id(one))).sort()}]`;
    if (json?.items !== undefined) return `${status} items [${json.items.map(id)}]`;
    if (json?.namespaces !== undefined) return `${status} namespaces [${json.namespaces.map(([first]) => this.named(first))}]`;
    if (json?.namespace !== undefined) return `${status} item ${id(json)}`;
    if (typeof json === "number" || json === null) return `${status} ${json}`;
    const owner = json?.metadata?.owner;
    if (/^event: error/m.test(text)) return `${status} error event`;
    return owner === undefined ? `${status}` : `${status} of ${this.named(owner)}, ${json.metadata.topic ?? ""}`;
  }
}

/**
 * The script: a name, who calls, and what. `keep` gives what the answer made a name.
 * @type {[string, string, (side: Side) => [string, string, unknown?, Record<string, string>?], keep?: [string, string]][]}
 */
const script = [
  ["without a token", "nobody", () => ["POST", "/threads/search", {}]],
  ["with a token that is none", "forger", () => ["POST", "/threads/search", {}]],
  ["alice creates", "alice", () => ["POST", "/threads", { metadata: { topic: "a" } }], ["one", "thread_id"]],
  ["alice creates as bob", "alice", ({ users }) => ["POST", "/threads", { metadata: { owner: users.bob.id, topic: "b" } }], ["two", "thread_id"]],
  ["alice creates without a body's metadata", "alice", () => ["POST", "/threads", {}], ["three", "thread_id"]],
  ["bob creates", "bob", () => ["POST", "/threads", { metadata: { topic: "c" } }], ["bobs", "thread_id"]],
  ["alice searches", "alice", () => ["POST", "/threads/search", {}]],
  ["alice searches by topic", "alice", () => ["POST", "/threads/search", { metadata: { topic: "b" } }]],
  ["alice searches, page 2", "alice", () => ["POST", "/threads/search", { limit: 2, offset: 2, sort_by: "created_at", sort_order: "asc" }]],
  ["bob searches", "bob", () => ["POST", "/threads/search", {}]],
  ["bob searches for alice's", "bob", ({ users }) => ["POST", "/threads/search", { metadata: { owner: users.alice.id } }]],
  ["bob searches by alice's id", "bob", ({ ids }) => ["POST", "/threads/search", { ids: [ids.one] }]],
  ["alice counts", "alice", () => ["POST", "/threads/count", {}]],
  ["bob counts", "bob", () => ["POST", "/threads/count", {}]],
  ["alice reads", "alice", ({ ids }) => ["GET", `/threads/${ids.one}`]],
  ["bob reads alice's", "bob", ({ ids }) => ["GET", `/threads/${ids.one}`]],
  ["bob reads what is not there", "bob", () => ["GET", `/threads/${missing}`]],
  ["alice creates what is there", "alice", ({ ids }) => ["POST", "/threads", { thread_id: ids.one }]],
  ["alice creates what is there, do_nothing", "alice", ({ ids }) => ["POST", "/threads", { thread_id: ids.one, if_exists: "do_nothing" }]],
  ["bob creates what is alice's", "bob", ({ ids }) => ["POST", "/threads", { thread_id: ids.one }]],
  ["bob creates what is alice's, do_nothing", "bob", ({ ids }) => ["POST", "/threads", { thread_id: ids.one, if_exists: "do_nothing" }]],
  ["alice updates", "alice", ({ ids }) => ["PATCH", `/threads/${ids.one}`, { metadata: { topic: "changed" } }]],
  ["alice gives it away", "alice", ({ ids, users }) => ["PATCH", `/threads/${ids.one}`, { metadata: { owner: users.bob.id } }]],
  ["bob updates alice's", "bob", ({ ids }) => ["PATCH", `/threads/${ids.one}`, { metadata: { topic: "bob's" } }]],
  ["alice copies", "alice", ({ ids }) => ["POST", `/threads/${ids.one}/copy`], ["copy", "thread_id"]],
  ["bob copies alice's", "bob", ({ ids }) => ["POST", `/threads/${ids.one}/copy`]],
  ["alice runs", "alice", ({ ids }) => ["POST", `/threads/${ids.one}/runs/wait`, { assistant_id: "agent", input: { messages: [{ role: "user", content: "hello" }] } }]],
  ["bob runs on alice's", "bob", ({ ids }) => ["POST", `/threads/${ids.one}/runs/wait`, { assistant_id: "agent", input: { messages: [] } }]],
  ["bob runs on alice's, if_not_exists", "bob", ({ ids }) => ["POST", `/threads/${ids.one}/runs`, { assistant_id: "agent", input: { messages: [] }, if_not_exists: "create" }]],
  ["alice reads the state", "alice", ({ ids }) => ["GET", `/threads/${ids.one}/state`]],
  ["bob reads alice's state", "bob", ({ ids }) => ["GET", `/threads/${ids.one}/state`]],
  ["bob reads alice's history", "bob", ({ ids }) => ["POST", `/threads/${ids.one}/history`, {}]],
  ["bob writes alice's state", "bob", ({ ids }) => ["POST", `/threads/${ids.one}/state`, { values: { messages: [] } }]],
  ["alice lists runs", "alice", ({ ids }) => ["GET", `/threads/${ids.one}/runs`], ["run", "0.run_id"]],
  ["bob lists alice's runs", "bob", ({ ids }) => ["GET", `/threads/${ids.one}/runs`]],
  ["alice reads the run", "alice", ({ ids }) => ["GET", `/threads/${ids.one}/runs/${ids.run}`]],
  ["bob reads alice's run", "bob", ({ ids }) => ["GET", `/threads/${ids.one}/runs/${ids.run}`]],
  ["bob reads alice's run by his thread", "bob", ({ ids }) => ["GET", `/threads/${ids.bobs}/runs/${ids.run}`]],
  ["bob joins alice's run", "bob", ({ ids }) => ["GET", `/threads/${ids.one}/runs/${ids.run}/join`]],
  ["alice cancels the run", "alice", ({ ids }) => ["POST", `/threads/${ids.one}/runs/${ids.run}/cancel`]],
  ["bob cancels alice's run", "bob", ({ ids }) => ["POST", `/threads/${ids.one}/runs/${ids.run}/cancel`]],
  ["bob deletes alice's run", "bob", ({ ids }) => ["DELETE", `/threads/${ids.one}/runs/${ids.run}`]],
  ["alice deletes the run: not staff", "alice", ({ ids }) => ["DELETE", `/threads/${ids.one}/runs/${ids.run}`]],
  ["alice runs on a new thread", "alice", ({ ids }) => ["POST", `/threads/${ids.made}/runs/wait`, { assistant_id: "agent", input: { messages: [] }, if_not_exists: "create" }]],
  ["alice reads the new thread", "alice", ({ ids }) => ["GET", `/threads/${ids.made}`]],
  ["bob reads the new thread", "bob", ({ ids }) => ["GET", `/threads/${ids.made}`]],
  ["alice runs without a thread", "alice", () => ["POST", "/runs/wait", { assistant_id: "agent", input: { messages: [] } }]],
  ["bob runs what is not there", "bob", () => ["POST", "/runs/wait", { assistant_id: missing, input: {} }]],
  ["alice creates an assistant", "alice", () => ["POST", "/assistants", { graph_id: "agent", name: "hers", metadata: { topic: "x" } }], ["helper", "assistant_id"]],
  ["alice reads her assistant", "alice", ({ ids }) => ["GET", `/assistants/${ids.helper}`]],
  ["bob reads alice's assistant: open", "bob", ({ ids }) => ["GET", `/assistants/${ids.helper}`]],
  ["bob searches assistants: open", "bob", () => ["POST", "/assistants/search", {}]],
  ["bob runs with alice's assistant: open", "bob", ({ ids }) => ["POST", "/runs/wait", { assistant_id: ids.helper, input: { messages: [] } }]],
  ["alice updates her assistant", "alice", ({ ids }) => ["PATCH", `/assistants/${ids.helper}`, { name: "hers still" }]],
  ["bob updates alice's assistant", "bob", ({ ids }) => ["PATCH", `/assistants/${ids.helper}`, { name: "bob's" }]],
  ["bob updates the server's assistant", "bob", () => ["PATCH", `/assistants/${system}`, { name: "bob's" }]],
  ["bob goes back with alice's assistant", "bob", ({ ids }) => ["POST", `/assistants/${ids.helper}/latest`, { version: 1 }]],
  ["bob deletes alice's assistant", "bob", ({ ids }) => ["DELETE", `/assistants/${ids.helper}`]],
  ["alice deletes her assistant", "alice", ({ ids }) => ["DELETE", `/assistants/${ids.helper}`]],
  ["alice puts", "alice", ({ users }) => ["PUT", "/store/items", { namespace: [users.alice.id, "notes"], key: "k", value: { text: "x" } }]],
  ["bob puts into alice's", "bob", ({ users }) => ["PUT", "/store/items", { namespace: [users.alice.id], key: "k", value: {} }]],
  ["alice gets", "alice", ({ users }) => ["GET", `/store/items?namespace=${users.alice.id}.notes&key=k`]],
  ["alice gets what is not there", "alice", ({ users }) => ["GET", `/store/items?namespace=${users.alice.id}&key=none`]],
  ["bob gets alice's", "bob", ({ users }) => ["GET", `/store/items?namespace=${users.alice.id}.notes&key=k`]],
  ["alice searches the store", "alice", ({ users }) => ["POST", "/store/items/search", { namespace_prefix: [users.alice.id] }]],
  ["bob searches alice's store", "bob", ({ users }) => ["POST", "/store/items/search", { namespace_prefix: [users.alice.id] }]],
  ["bob searches the whole store", "bob", () => ["POST", "/store/items/search", { namespace_prefix: [] }]],
  ["alice lists namespaces", "alice", ({ users }) => ["POST", "/store/namespaces", { prefix: [users.alice.id] }]],
  ["bob lists alice's namespaces", "bob", ({ users }) => ["POST", "/store/namespaces", { prefix: [users.alice.id] }]],
  ["bob lists all namespaces", "bob", () => ["POST", "/store/namespaces", {}]],
  ["bob deletes alice's item", "bob", ({ users }) => ["DELETE", "/store/items", { namespace: [users.alice.id, "notes"], key: "k" }]],
  ["alice deletes her item", "alice", ({ users }) => ["DELETE", "/store/items", { namespace: [users.alice.id, "notes"], key: "k" }]],
  ["alice searches crons", "alice", () => ["POST", "/runs/crons/search", {}]],
  ["alice creates a cron", "alice", () => ["POST", "/runs/crons", { assistant_id: "agent", schedule: "0 0 1 1 *", input: {} }]],
  ["alice deletes her thread: not staff", "alice", ({ ids }) => ["DELETE", `/threads/${ids.one}`]],
  ["bob, who is staff, deletes alice's", "bob", ({ ids }) => ["DELETE", `/threads/${ids.one}`]],
  ["bob, who is staff, deletes his own", "bob", ({ ids }) => ["DELETE", `/threads/${ids.bobs}`]],
  ["alice sees what is left", "alice", () => ["POST", "/threads/search", { limit: 100 }]],
  ["bob sees what is left", "bob", () => ["POST", "/threads/search", { limit: 100 }]],
];

async function play(side) {
  side.ids.made = randomUUID();
  const seen = {};
  for (const [name, who, call, keep] of script) {
    const answer = await side.send(who, ...call(side));
    if (keep !== undefined) side.ids[keep[0]] = keep[1].split(".").reduce((value, part) => value?.[part], answer.json);
    seen[name] = side.visible(answer);
  }
  return seen;
}

describe("a LangGraph project's Auth object in the worker", { timeout: 300_000 }, () => {
  let issuer, own, open, gate;
  const users = {};
  before(async () => {
    issuer = await startIssuer({ dev: true, anonKey });
    for (const [name, email] of [["alice", "alice@example.com"], ["bob", "bob@staff.example"]]) {
      const reply = await fetch(`${issuer.url}/auth/v1/signup`, {
        method: "POST", headers: { "content-type": "application/json", apikey: anonKey },
        body: JSON.stringify({ email, password: "correct horse battery" }),
      });
      const { access_token, user } = await reply.json();
      users[name] = { token: access_token, id: user.id };
    }
    const variables = { SUPABASE_URL: issuer.url, SUPABASE_ANON_KEY: anonKey, AGENT_WORD_DELAY_MS: "1" };
    [own, open] = await Promise.all([startAgent("js", variables, ["--auth", `${folder}auth.mjs`]), startAgent("js", { AGENT_WORD_DELAY_MS: "1" })]);
    const port = String(await freePort());
    gate = await startService("gate-edge", [
      process.execPath, `${root}edge-worker/start.mjs`, "--port", port, "--script", `${folder}worker.mjs`,
      "--var", `POSTERN_UPSTREAM=${open.url}`, "--var", `SUPABASE_URL=${issuer.url}`, "--var", `SUPABASE_ANON_KEY=${anonKey}`, "--compatibility-flag", "nodejs_compat",
    ], { timeoutSeconds: 120 });
  });
  after(async () => {
    for (const service of [gate, own, open]) await service?.stop();
    await issuer?.close();
  });

  it("status and what is visible are those of LangGraph's own server", async () => {
    const there = await play(new Side(own.url, users));
    const here = await play(new Side(gate.url, users));
    assert.deepEqual(here, there);
    // The script asks for something: every kind of answer is among them.
    assert.equal(Object.keys(here).length, script.length, "each name is one call");
    const kinds = new Set(Object.values(here).map((outcome) => outcome.slice(0, 3)));
    for (const status of ["200", "204", "401", "403", "404", "409"]) assert.ok(kinds.has(status), status);
    assert.equal(here["alice searches"], "200 [one,three,two]");
    assert.equal(here["bob searches"], "200 [bobs]");
  });
});
