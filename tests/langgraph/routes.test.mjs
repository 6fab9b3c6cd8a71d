// Is every route of both LangGraph servers in the gate's table, and does every row keep bob from alice's things?
//
// The servers are the real ones. What routes they have is asked of themselves: the Python server's /openapi.json and its
// registrations, the JS server's registrations. For each row of the table requests are generated with alice's ids in every
// place that takes one; bob sends them, nobody sends them, and a forged token does. Then alice's things are looked at, past the
// gate: not a byte of them has changed, and no reply held a word of hers.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { langgraphRoutes } from "postern";
import { root, startAgent } from "../support/services.mjs";
import { canary, forger, furnish, idsOf, look, nobody, person, startGate, straight } from "./world.mjs";

const table = await langgraphRoutes();
const python = process.env.POSTERN_PYTHON || "python3";
const env = { AGENT_WORD_DELAY_MS: "1" };

/** {thread_id}, :thread_id and Starlette's {thread_id:uuid} are one place; a slash at the end is not a path of its own. @param {string} path */
const shape = (path) => path.replace(/\{[^}]*\}|:[A-Za-z_]+\??/g, "{}").replace(/(.)\/$/, "$1");
const rows = new Set(table.map((row) => `${row.method} ${shape(row.path)}`));
const missing = (/** @type {{ method: string, path: string }[]} */ routes) =>
  [...new Set(routes.filter(({ method, path }) => !rows.has(`${method} ${shape(path)}`)).map(({ method, path }) => `${method} ${path}`))];

/** What the modules of the JS server register: Hono lists it, and the two that are made inside a function say it in their source. */
async function routesOfJs() {
  const require = createRequire(join(root, "examples/agent/package.json"));
  const folder = dirname(require.resolve("@langchain/langgraph-api/package.json"));
  const found = [];
  for (const name of readdirSync(join(folder, "dist/api")).filter((file) => file.endsWith(".mjs"))) {
    const { default: app } = await import(pathToFileURL(join(folder, "dist/api", name)).href).catch(() => ({ default: undefined }));
    for (const { method, path } of app?.routes ?? []) if (method !== "ALL") found.push({ method, path });
  }
  for (const file of ["server.mjs", "ui/load.mjs", ...readdirSync(join(folder, "dist/api")).map((name) => `api/${name}`)]) {
    if (!file.endsWith(".mjs")) continue;
    for (const [, method, path] of readFileSync(join(folder, "dist", file), "utf8").matchAll(/\b(?:app|api)\.(get|post|put|patch|delete)\(\s*"([^"]+)"/g)) {
      // An optional segment at the end is two paths.
      for (const one of path.endsWith("?") ? [path, path.slice(0, path.lastIndexOf("/"))] : [path]) found.push({ method: method.toUpperCase(), path: one });
    }
  }
  return found;
}

/** What the Python server registers, also what its description does not tell. */
function routesOfPython() {
  const text = execFileSync(python, [join(root, "tests/langgraph/python_routes.py")], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 60_000 });
  return /** @type {{ method: string, path: string }[]} */ (JSON.parse(text.trim().split("\n").at(-1) ?? ""));
}

/**
 * What bob sends on a row: the row's path with alice's ids, and a body of the row's own fields with alice's ids in all of them;
 * where a field that is an id may be left out, also without the others.
 */
function requestsOn(row, things, alice) {
  const target = row.path
    .replace("{thread_id}", things.thread)
    .replace("{run_id}", things.run)
    .replace("{checkpoint_id}", things.checkpoint)
    .replace("{assistant_id}", things.assistant)
    .replace("{cron_id}", things.crons[0] ?? things.thread)
    .replace("{graph_id}", "agent")
    .replace("{namespace}", "inner")
    .replace("{file}", "index.js")
    .replace("{operation_id}", "one");
  const query = row.query.includes("namespace") ? `?namespace=${things.namespace.join(".")}&key=${things.key}` : "";
  const onThread = row.path.includes("{thread_id}");
  const ids = {
    thread_id: things.thread,
    ids: [things.thread],
    thread_ids: [things.thread],
    run_ids: [things.run],
    // On alice's thread any graph will do; without a thread it is her assistant that is alice's.
    assistant_id: onThread ? "agent" : things.assistant,
    namespace: things.namespace,
    namespace_prefix: things.namespace.slice(0, 1),
    prefix: things.namespace.slice(0, 1),
    metadata: { owner: alice.id },
  };
  const others = {
    key: things.key,
    value: { text: "bob was here" },
    values: row.action === "search" ? {} : { messages: [{ role: "user", content: "bob was here" }] },
    as_node: "answer",
    input: { messages: [{ role: "user", content: "bob was here" }] },
    graph_id: "agent",
    schedule: "0 0 1 1 *",
    version: 1,
    strategy: "delete",
    limit: 100,
    // Protocol v2: a number, a method and its parameters.
    id: 1,
    method: "state.get",
    params: {},
    channels: ["values", "messages"],
  };
  const only = (fields) => Object.fromEntries(Object.entries(fields).filter(([name]) => row.body.includes(name)));
  const whole = { ...only(others), ...only(ids) };
  if (row.body.length === 0) return [{ target: target + query, body: undefined }];
  const list = row.treatment === "create_runs";
  const bodies = [whole];
  if (row.body.includes("if_exists")) bodies.push({ ...whole, if_exists: "do_nothing" });
  if (onThread && row.body.includes("if_not_exists")) bodies.push({ ...whole, if_not_exists: "create" });
  if (row.treatment === "command") bodies.push({ ...whole, method: "run.start", params: { assistant_id: "agent", input: others.input } });
  for (const name of ["metadata", "ids"]) if (row.body.includes(name)) bodies.push(Object.fromEntries(Object.entries(whole).filter(([field]) => field !== name)));
  return bodies.map((body) => ({ target: target + query, body: list ? [body] : body }));
}

describe("the gate's table", () => {
  it("has a row for every route that the JS server registers", async () => {
    const found = await routesOfJs();
    assert.ok(found.length > 45, `only ${found.length} routes were found`);
    assert.deepEqual(missing(found), []);
  });

  it("has a row for every route that the Python server registers", () => {
    const found = routesOfPython();
    assert.ok(found.length > 60, `only ${found.length} routes were found`);
    assert.deepEqual(missing(found), []);
  });

  it("is told in docs/langgraph.md, row by row", () => {
    const text = readFileSync(join(root, "docs/langgraph.md"), "utf8");
    const told = new Set([...text.matchAll(/^\| `([A-Z]+) ([^`]+)` \|/gm)].map(([, method, path]) => `${method} ${path}`));
    assert.deepEqual([...told].sort(), table.map(({ method, path }) => `${method} ${path}`).sort());
  });
});

for (const kind of /** @type {const} */ (["js", "python"])) {
  describe(`bob on alice's things, ${kind} server`, () => {
    const alice = person("alice");
    const bob = person("bob");
    const secret = canary();
    let agent, gate, things, past, before_;
    before(async () => {
      agent = await startAgent(kind, env);
      gate = await startGate(agent.url);
      past = straight(agent.url);
      things = await furnish(gate.send, alice, secret, kind);
      before_ = await look(past, alice, bob, things, kind);
      assert.ok(before_.split(secret).length > 8, "the canary is in alice's things");
    });
    after(async () => {
      gate?.stop();
      await agent?.stop();
    });

    if (kind === "python") {
      it("the server's own description names no route without a row", async () => {
        const { paths } = (await past("GET", "/openapi.json")).json;
        const found = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })));
        assert.ok(found.length > 50);
        assert.deepEqual(missing(found), []);
      });
    }

    for (const row of table) {
      it(`${row.method} ${row.path}`, async () => {
        for (const { target, body } of requestsOn(row, things, alice)) {
          const what = `${row.method} ${target} ${JSON.stringify(body)}`;
          const methods = row.method === "GET" ? ["GET", "HEAD"] : [row.method];
          for (const method of methods) {
            const reply = await gate.send(method, target, { as: bob, body });
            for (const word of [secret, ...idsOf(things)]) assert.ok(!reply.text.includes(word), `${what}: ${reply.status} holds what is alice's`);
            if (row.treatment === "open") assert.equal(reply.status, 200, what);
            else if (reply.status < 400) {
              // Allowed, about what is bob's own: there is nothing of that yet but the server's own assistants.
              assert.ok(["search", "count", "store_namespaces"].includes(row.treatment), `${what}: ${reply.status} ${reply.text}`);
              const own = (reply.json ?? []).filter?.((one) => one.metadata?.created_by !== "system") ?? reply.json;
              const systems = row.resource === "assistants" ? 1 : 0;
              assert.ok(Array.isArray(own) ? own.length === 0 : own <= systems, `${what}: ${reply.text}`);
            } else if (kind === "js" && row.resource === "crons" && reply.status === 500) {
              assert.equal(reply.text, "Not implemented", what);
            } else assert.ok([400, 403, 404, 409, 422].includes(reply.status), `${what}: ${reply.status} ${reply.text}`);
          }
          for (const who of [nobody, forger(alice)]) {
            const sent = gate.calls.length;
            const reply = await gate.send(row.method, target, { as: who, body });
            assert.equal(reply.status, row.treatment === "open" ? 200 : 401, `${what} as ${who.id}: ${reply.status} ${reply.text}`);
            if (row.treatment !== "open") assert.equal(gate.calls.length, sent, `${what} as ${who.id} reached the server`);
          }
        }
      });
    }

    it("a slash at the end is no second way in", async () => {
      for (const target of ["/mcp/", "/threads/", `/threads/${things.thread}/`, `/a2a/${things.assistant}/`]) {
        const sent = gate.calls.length;
        assert.equal((await gate.send("POST", target, { as: bob, body: {} })).status, 400, target);
        assert.equal(gate.calls.length, sent);
      }
    });

    it("after all that, not a byte of alice's has changed", async () => {
      assert.equal(await look(past, alice, bob, things, kind), before_);
    });

    it("and what alice changes herself is seen", async () => {
      const reply = await gate.send("PATCH", `/threads/${things.thread}`, { as: alice, body: { metadata: { topic: "mine" } } });
      assert.equal(reply.status, 200);
      assert.notEqual(await look(past, alice, bob, things, kind), before_);
    });
  });
}
