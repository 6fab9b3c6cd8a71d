// Does the gate in front of a LangGraph server without auth answer as that server does with LangGraph's own auth?
//
// The same SDK calls go to (a) the real server with a handler that stamps and filters by owner and keeps the store apart, and to
// (b) the same server without auth behind the gate with its default policy. The statuses are printed side by side. Each difference
// must be one of those in docs/langgraph.md; and whatever (a) lets bob do with what is alice's, (b) must let him do nothing.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { root, startAgent } from "../support/services.mjs";
import { differences } from "./differences.mjs";
import { canary, forger, furnish, idsOf, look, nobody, person, startGate, straight } from "./world.mjs";

const { Client } = createRequire(join(root, "examples/agent/package.json"))("@langchain/langgraph-sdk");
const env = { AGENT_WORD_DELAY_MS: "1" };
const callTimeMsMax = 6_000;
const message = (text) => ({ messages: [{ role: "user", content: text }] });
const drain = async (events) => {
  for await (const event of events) if (event.event === "error") throw new Error("an error event");
};

/**
 * Every method of the SDK's clients, by name, and some again with what an attacker would say. `on` are the things of alice's that
 * the call is about; what alice herself deletes is a set of her own.
 *
 * @type {[string, (client: any, on: import("./world.mjs").Things & { alice: string, made?: any }, raw: Function) => Promise<unknown>][]}
 */
const operations = [
  ["threads.create", (c) => c.threads.create({ metadata: { topic: "x" } })],
  ["threads.create with a taken id", (c, on) => c.threads.create({ threadId: on.thread })],
  ["threads.create with a taken id, do_nothing", (c, on) => c.threads.create({ threadId: on.thread, ifExists: "do_nothing" })],
  ["threads.get", (c, on) => c.threads.get(on.thread)],
  ["threads.search", (c) => c.threads.search({ limit: 100 })],
  ["threads.search by owner", (c, on) => c.threads.search({ metadata: { owner: on.alice } })],
  ["threads.search by id", (c, on) => c.threads.search({ ids: [on.thread] })],
  ["threads.search without metadata in select", (c, on) => c.threads.search({ ids: [on.thread], select: ["thread_id", "values"] })],
  ["threads.count", (c) => c.threads.count()],
  ["threads.update", (c, on) => c.threads.update(on.thread, { metadata: { topic: "changed" } })],
  ["threads.update of the owner", (c, on) => c.threads.update(on.thread, { metadata: { owner: "bob" } })],
  ["threads.copy", (c, on) => c.threads.copy(on.thread)],
  ["threads.getState", (c, on) => c.threads.getState(on.thread)],
  ["threads.getState of a checkpoint", (c, on) => c.threads.getState(on.thread, on.checkpoint)],
  ["threads.getHistory", (c, on) => c.threads.getHistory(on.thread)],
  ["threads.updateState", (c, on) => c.threads.updateState(on.thread, { values: message("changed"), asNode: "answer" })],
  ["threads.patchState", (c, on) => c.threads.patchState(on.thread, { topic: "changed" })],
  ["runs.wait", (c, on) => c.runs.wait(on.thread, "agent", { input: message("hello") })],
  ["runs.stream", async (c, on) => drain(c.runs.stream(on.thread, "agent", { input: message("hello"), streamMode: ["values"] }))],
  ["runs.wait, if_not_exists=create", (c, on) => c.runs.wait(on.thread, "agent", { input: message("hello"), ifNotExists: "create" })],
  ["runs.list", (c, on) => c.runs.list(on.thread)],
  ["runs.get", (c, on) => c.runs.get(on.thread, on.run)],
  ["runs.join", (c, on) => c.runs.join(on.thread, on.run)],
  ["runs.joinStream", async (c, on) => drain(c.runs.joinStream(on.thread, on.run))],
  ["runs.create", (c, on) => c.runs.create(on.thread, "agent", { input: message("hello") })],
  ["runs.cancel", async (c, on) => c.runs.cancel(on.thread, on.run, true)],
  ["runs.delete", (c, on) => c.runs.delete(on.thread, on.run)],
  ["runs.wait without a thread", (c) => c.runs.wait(null, "agent", { input: message("hello") })],
  ["runs.stream without a thread", async (c) => drain(c.runs.stream(null, "agent", { input: message("hello"), streamMode: ["values"] }))],
  ["runs.create without a thread", (c) => c.runs.create(null, "agent", { input: message("hello") })],
  ["runs.createBatch", (c) => c.runs.createBatch([{ assistantId: "agent", input: message("hello") }])],
  ["runs.wait with the assistant", (c, on) => c.runs.wait(null, on.assistant, { input: message("hello") })],
  ["runs.wait with an assistant that is not there", (c) => c.runs.wait(null, "5b1d3a8e-6d1c-4a2e-9e57-3f4f5c1d2b6a", { input: message("hello") })],
  ["runs.wait with langgraph_auth_user", (c) => c.runs.wait(null, "agent", { input: message("hello"), config: { configurable: { langgraph_auth_user: { identity: "root" } } } })],
  ["assistants.create", (c) => c.assistants.create({ graphId: "agent", name: "one" })],
  ["assistants.create with a taken id", (c, on) => c.assistants.create({ graphId: "agent", assistantId: on.assistant })],
  ["assistants.get", (c, on) => c.assistants.get(on.assistant)],
  ["assistants.get of the server's own", (c) => c.assistants.get("fe096781-5601-53d2-b2f6-0d3403f7e9ca")],
  ["assistants.getGraph", (c, on) => c.assistants.getGraph(on.assistant)],
  ["assistants.getSchemas", (c, on) => c.assistants.getSchemas(on.assistant)],
  ["assistants.getSubgraphs", (c, on) => c.assistants.getSubgraphs(on.assistant)],
  ["assistants.search", (c) => c.assistants.search({ limit: 100 })],
  ["assistants.count", (c) => c.assistants.count()],
  ["assistants.getVersions", (c, on) => c.assistants.getVersions(on.assistant)],
  ["assistants.setLatest", (c, on) => c.assistants.setLatest(on.assistant, 1)],
  ["assistants.update", (c, on) => c.assistants.update(on.assistant, { graphId: "agent", metadata: { topic: "changed" } })],
  ["assistants.update of the server's own", (c) => c.assistants.update("fe096781-5601-53d2-b2f6-0d3403f7e9ca", { graphId: "agent", metadata: { topic: "changed" } })],
  ["store.putItem", (c, on) => c.store.putItem(on.namespace, "note", { text: "x" })],
  ["store.getItem", (c, on) => c.store.getItem(on.namespace, on.key)],
  ["store.searchItems", (c, on) => c.store.searchItems(on.namespace)],
  ["store.searchItems with a piece of the label", (c, on) => c.store.searchItems([on.alice.slice(0, -2)])],
  ["store.listNamespaces", (c, on) => c.store.listNamespaces({ prefix: [on.alice] })],
  ["store.listNamespaces without a prefix", (c) => c.store.listNamespaces()],
  ["store.deleteItem", (c, on) => c.store.deleteItem(on.namespace, on.key)],
  ["crons.create", (c) => c.crons.create("agent", { schedule: "0 0 1 1 *", input: message("hello") })],
  ["crons.createForThread", (c, on) => c.crons.createForThread(on.thread, "agent", { schedule: "0 0 1 1 *", input: message("hello") })],
  ["crons.search", (c) => c.crons.search({ limit: 100 })],
  ["crons.count", (c) => c.crons.count()],
  ["crons.update", (c, on) => c.crons.update(on.crons[0] ?? on.thread, { schedule: "0 1 1 1 *" })],
  ["crons.delete", (c, on) => c.crons.delete(on.crons[0] ?? on.thread)],
  // Not in the SDK's clients.
  ["GET /runs/{run_id}/stream", (c, on, raw) => raw("GET", `/runs/${on.run}/stream`)],
  ["POST /threads/{thread_id}/commands, state.get", (c, on, raw) => raw("POST", `/threads/${on.thread}/commands`, { id: 1, method: "state.get", params: { namespace: [] } })],
  ["POST /threads/search with x-auth-scheme: langsmith", (c, on, raw) => raw("POST", "/threads/search", {}, { "x-auth-scheme": "langsmith" })],
  ["assistants.delete", (c, on) => c.assistants.delete(on.assistant)],
  ["threads.delete", (c, on) => c.threads.delete(on.thread)],
];

/** Comes last, because of what it does. */
const truncate = "POST /internal/truncate";

/** Calls that are a gain for whoever is not alice as soon as they are answered. */
const triggers = new Set(["runs.wait with the assistant", "GET /runs/{run_id}/stream", truncate]);

/** What became of a call: the status, and whether a list came back empty. */
function outcomeOf({ status, text }) {
  if (status === 0 || status === 499) return "no answer"; // this test's own patience
  if (status >= 300) return String(status);
  if (/^event: error/m.test(text)) return `${status} error event`;
  if (/^\s*(\[\]|\{"items":\[\]\}|\{"namespaces":\[\]\}|0|null|)\s*$/.test(text)) return status === 204 ? "204" : `${status} none`;
  return String(status);
}

/** All operations by everybody on one side. @returns {Promise<Map<string, { outcome: string, gains: string[] }>>} */
async function play(side, kind, alice, bob) {
  const secret = canary();
  const spareSecret = canary();
  const things = await furnish(side.send, alice, secret, kind);
  const spare = await furnish(side.send, alice, spareSecret, kind);
  // Alice has her thread open, as an application has it.
  await side.send("POST", `/threads/${things.thread}/commands`, { as: alice, body: { id: 1, method: "state.get", params: { namespace: [] } } });
  const who = side.ownAuth ? { as: alice } : {};
  const lookAtAll = () => look(side.past, alice, bob, things, kind, who);
  const results = new Map();
  let seen = await lookAtAll();
  // Alice first, while bob has nothing: then what bob's searches find of hers is a gain.
  for (const [name, as, on] of /** @type {const} */ ([["alice", alice, spare], ["bob", bob, things], ["nobody", nobody, things], ["forged", forger(alice), things]])) {
    if (name !== "alice") seen = await lookAtAll();
    for (const [operation, call] of operations) {
      const last = { status: 0, text: "" };
      const client = new Client({
        apiUrl: side.url,
        apiKey: null,
        defaultHeaders: as.token ? { authorization: `Bearer ${as.token}` } : {},
        callerOptions: {
          maxRetries: 0,
          fetch: async (url, init) => {
            last.status = 0;
            const reply = await side.fetch(String(url), { ...init, signal: AbortSignal.timeout(callTimeMsMax) });
            last.text = await reply.clone().text();
            last.status = reply.status;
            return reply;
          },
        },
      });
      const raw = async (method, path, body, headers = {}) => {
        const reply = await side.send(method, path, { as, body, headers });
        Object.assign(last, { status: reply.status, text: reply.text });
      };
      try {
        await call(client, { ...on, alice: alice.id }, raw);
      } catch {
        // a refusal; its status was seen
      }
      const gains = [];
      // What the reply does not show: her configuration at work, or somebody let in whom nobody knows.
      if (name !== "alice" && last.status > 0 && last.status < 300 && triggers.has(operation)) gains.push("triggers");
      if (name !== "alice") {
        const hers = [secret, spareSecret, ...idsOf(things), ...idsOf(spare)];
        const asked = [...idsOf(on)];
        // An id that was sent may come back in the text of an error.
        if (hers.some((word) => last.text.includes(word) && !(last.status >= 300 && asked.includes(word)))) gains.push("reads");
        // Nobody's calls are looked at once, after the last of them.
        if (name === "bob" || operation === operations.at(-1)?.[0]) {
          const now = await lookAtAll();
          if (now !== seen) gains.push("changes");
          seen = now;
        }
      }
      results.set(`${name} ${operation}`, { outcome: outcomeOf(last), gains });
    }
  }
  for (const [name, as] of /** @type {const} */ ([["nobody", nobody], ["forged", forger(alice)], ["bob", bob], ["alice", alice]])) {
    const reply = await side.send("POST", "/internal/truncate", { as, body: {} });
    results.set(`${name} ${truncate}`, { outcome: outcomeOf(reply), gains: name !== "alice" && reply.status < 300 ? ["triggers"] : [] });
  }
  return results;
}

describe("the same calls through LangGraph's own auth and through the gate", () => {
  const alice = person("alice");
  const bob = person("bob");
  const scratch = mkdtempSync(join(tmpdir(), "postern-conformance-"));
  /** @type {Record<string, Map<string, { outcome: string, gains: string[] }>>} */
  const columns = {};
  const services = [];
  before(async () => {
    const tokens = JSON.stringify({ [String(alice.token)]: alice.id, [String(bob.token)]: bob.id });
    for (const kind of /** @type {const} */ (["js", "python"])) {
      const handler = join(scratch, kind);
      cpSync(join(root, `tests/langgraph/auth-${kind}`), handler, { recursive: true });
      writeFileSync(join(handler, "tokens.json"), tokens);
      const [own, bare] = await Promise.all([startAgent(kind, env, ["--auth", join(handler, kind === "js" ? "auth.mjs" : "auth.py")]), startAgent(kind, env)]);
      services.push(own, bare);
      const gate = await startGate(bare.url);
      [columns[`${kind} own auth`], columns[`${kind} gate`]] = await Promise.all([
        play({ ownAuth: true, url: own.url, fetch, send: straight(own.url), past: straight(own.url) }, kind, alice, bob),
        play({ ownAuth: false, url: "http://gate.example", fetch: (url, init) => gate.gate.handle(new Request(url, init)), send: gate.send, past: straight(bare.url) }, kind, alice, bob),
      ]);
      gate.stop();
      await Promise.all([own.stop(), bare.stop()]);
    }
  });
  after(async () => {
    for (const service of services) await service.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  it("differ only in what docs/langgraph.md explains", (test) => {
    const text = readFileSync(join(root, "docs/langgraph.md"), "utf8");
    const used = new Set();
    const unexplained = [];
    const cell = ({ outcome, gains }) => outcome + (gains.length > 0 ? ` **${gains.join(", ")}**` : "");
    test.diagnostic("| who, what | JS: own auth | JS: gate | Python: own auth | Python: gate | why |");
    test.diagnostic("|---|---|---|---|---|---|");
    for (const name of columns["js gate"].keys()) {
      const cells = [];
      const why = new Set();
      for (const kind of ["js", "python"]) {
        const own = /** @type {any} */ (columns[`${kind} own auth`].get(name));
        const gate = /** @type {any} */ (columns[`${kind} gate`].get(name));
        cells.push(cell(own), cell(gate));
        if (own.outcome === gate.outcome && own.gains.length === 0) continue;
        const space = name.indexOf(" ");
        const about = { who: name.slice(0, space), what: name.slice(space + 1), kind, own: cell(own), gate: cell(gate) };
        const found = differences.find((difference) => difference.is(about));
        if (found) {
          why.add(found.id);
          used.add(found.id);
        } else unexplained.push(`${kind}: ${name}: ${about.own} by its own auth, ${about.gate} through the gate`);
      }
      // Nobody and a forged token are 401 all over: told in one line below.
      if (!/^(nobody|forged) /.test(name) || why.size > 0) test.diagnostic(`| ${name} | ${cells.join(" | ")} | ${[...why].join(", ")} |`);
    }
    assert.deepEqual(unexplained, []);
    for (const { id } of differences) {
      assert.ok(text.includes(`- **${id}**: `), `docs/langgraph.md says nothing of "${id}"`);
      assert.ok(used.has(id), `"${id}" explains nothing any more`);
    }
  });

  it("through the gate nobody reads or changes anything of alice's", () => {
    for (const kind of ["js", "python"]) {
      const gained = [...columns[`${kind} gate`]].filter(([, { gains }]) => gains.length > 0).map(([name, { outcome, gains }]) => `${name}: ${outcome} ${gains.join(", ")}`);
      assert.deepEqual(gained, [], kind);
    }
  });

  it("through the gate everybody without a good token is 401", () => {
    for (const kind of ["js", "python"]) {
      for (const [name, { outcome }] of columns[`${kind} gate`]) if (/^(nobody|forged) /.test(name)) assert.equal(outcome, "401", `${kind}: ${name}`);
    }
  });
});
