// Does every trap of the LangGraph API that we know of stay shut behind the gate?
//
// A trap is something that a simple proxy lets through: a field that moves a run to another thread, a prefix that is taken as text, a
// webhook to the server itself. Bob tries each through the gate, and what left the gate for the server is looked at; alice's things
// are the same byte for byte. Then he tries each without the gate, where it must do its harm, or the table says that this version
// of the server does not have it.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer, request as httpRequest } from "node:http";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { startAgent } from "../support/services.mjs";
import { canary, furnish, look, person, startGate, straight } from "./world.mjs";

const systemAssistant = "fe096781-5601-53d2-b2f6-0d3403f7e9ca";
const input = { messages: [{ role: "user", content: "bob was here" }] };
const run = { assistant_id: "agent", input };
const made = { id: "" };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Whether something becomes true within the time. @param {() => Promise<boolean> | boolean} check */
async function soon(check, timeMs = 3_000) {
  for (const end = Date.now() + timeMs; Date.now() < end; await pause(100)) if (await check()) return true;
  return false;
}

/** The target as it is written: fetch would tidy it up. */
function raw(url, method, target) {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(url);
    const call = httpRequest({ hostname, port, method, path: target }, (reply) => {
      let text = "";
      reply.setEncoding("utf8");
      reply.on("data", (chunk) => (text += chunk));
      reply.on("end", () => resolve({ status: reply.statusCode ?? 0, text, json: undefined }));
    });
    call.on("error", () => resolve({ status: 0, text: "", json: undefined }));
    call.end();
  });
}

/**
 * @typedef {object} Place what an attack finds: the same through the gate and past it
 * @property {import("./world.mjs").Send} send as bob, unless it says otherwise
 * @property {import("./world.mjs").Send} past straight to the server, to see what came of it
 * @property {(method: string, target: string) => Promise<{ status: number, text: string }>} raw the target unchanged
 * @property {import("./world.mjs").Person} alice
 * @property {import("./world.mjs").Person} bob
 * @property {import("./world.mjs").Things} things alice's
 * @property {string} own a thread of bob's
 * @property {string} secret the canary
 * @property {{ url: string, hits: string[] }} listener somebody's server on this machine
 * @property {string} mark unlike any other text
 * @property {string} [victim] @property {string} [waiting] @property {string} [assistant] what `prepare` made
 *
 * @typedef {object} Trap
 * @property {string} name
 * @property {(place: Place) => Promise<any>} attack gives the reply
 * @property {(place: Place, reply: any) => Promise<boolean> | boolean} harm whether it did what it should not
 * @property {(place: Place, calls: import("./world.mjs").Call[], reply: any) => void} [mended] where the gate lets it pass, made
 *           harmless: what must be so. Otherwise it is refused, and only looks reach the server.
 * @property {(place: Place) => Promise<void>} [prepare] past the gate
 */

const state = async ({ past, things }) => (await past("GET", `/threads/${things.thread}/state`)).text;
const runsOn = async ({ past, things }) => (await past("GET", `/threads/${things.thread}/runs?limit=100`)).json.length;
const madeBy = async ({ past }, id) => (await past("GET", `/threads/${id}`)).json?.metadata ?? {};
const stampedAsBobs = (place, calls) => assert.equal(calls.at(-1)?.body?.metadata?.owner, place.bob.id);
const showsSecret = (place, reply) => reply.status < 300 && reply.text.includes(place.secret);
/** An attack that shows itself in how alice's runs or state have changed. */
const onHerThread = (attack) => {
  let was;
  return {
    attack: async (place) => {
      was = [await runsOn(place), await state(place)];
      return attack(place);
    },
    harm: (place) => soon(async () => (await runsOn(place)) !== was[0] || (await state(place)) !== was[1]),
  };
};

/** @type {Trap[]} */
const traps = [
  {
    name: "metadata.owner of somebody else on a new thread",
    attack: ({ send, alice }) => send("POST", "/threads", { body: { metadata: { owner: alice.id } } }),
    harm: async (place, reply) => (await madeBy(place, reply.json.thread_id)).owner === place.alice.id,
    mended: stampedAsBobs,
  },
  {
    name: "metadata.owner of somebody else on a run that makes its thread",
    attack: ({ send, alice }) => send("POST", `/threads/${(made.id = randomUUID())}/runs/wait`, { body: { assistant_id: "agent", input, if_not_exists: "create", metadata: { owner: alice.id } } }),
    harm: async (place) => (await madeBy(place, made.id)).owner === place.alice.id,
    mended: stampedAsBobs,
  },
  {
    name: "giving a thread away by PATCH",
    attack: ({ send, own, alice }) => send("PATCH", `/threads/${own}`, { body: { metadata: { owner: alice.id } } }),
    harm: async (place) => (await madeBy(place, place.own)).owner === place.alice.id,
    mended: stampedAsBobs,
  },
  {
    name: "orphaning a thread by owner: null",
    attack: ({ send, own }) => send("PATCH", `/threads/${own}`, { body: { metadata: { owner: null } } }),
    harm: async (place) => (await madeBy(place, place.own)).owner === null,
    mended: stampedAsBobs,
  },
  {
    name: "if_exists=do_nothing gives back the thread that is there",
    attack: ({ send, things }) => send("POST", "/threads", { body: { thread_id: things.thread, if_exists: "do_nothing" } }),
    harm: showsSecret,
    mended: (place, calls, reply) => {
      assert.equal(reply.status, 409);
      assert.ok(calls.every((call) => call.body.if_exists !== "do_nothing"), "the server is asked to create or refuse");
    },
  },
  {
    name: "search for another owner",
    attack: ({ send, alice }) => send("POST", "/threads/search", { body: { metadata: { owner: alice.id }, limit: 100 } }),
    harm: showsSecret,
    mended: stampedAsBobs,
  },
  {
    name: "search by id without metadata in select",
    attack: ({ send, things }) => send("POST", "/threads/search", { body: { ids: [things.thread], select: ["thread_id", "values"] } }),
    harm: showsSecret,
    mended: (place, calls) => {
      stampedAsBobs(place, calls);
      assert.ok(calls.at(-1)?.body.select.includes("metadata"));
    },
  },
  { name: "if_not_exists=create on somebody's thread", ...onHerThread(({ send, things }) => send("POST", `/threads/${things.thread}/runs/wait`, { body: { ...run, if_not_exists: "create" } })),
    mended: (place, calls, reply) => {
      assert.equal(reply.status, 404);
      // The create that the server refuses is the one that decides.
      assert.deepEqual(calls.map((call) => `${call.method} ${call.target} ${call.status}`), ["POST /threads/search 200", "POST /threads 409"]);
    } },
  { name: "checkpoint.thread_id on a state of one's own", ...onHerThread(({ send, own, things }) => send("POST", `/threads/${own}/state`, { body: { values: input, as_node: "answer", checkpoint: { thread_id: things.thread, checkpoint_id: things.checkpoint, checkpoint_ns: "" } } })) },
  { name: "checkpoint.thread_id on a run of one's own", ...onHerThread(({ send, own, things }) => send("POST", `/threads/${own}/runs/wait`, { body: { ...run, checkpoint: { thread_id: things.thread, checkpoint_id: things.checkpoint, checkpoint_ns: "" } } })) },
  { name: "configurable.thread_id on a run of one's own", ...onHerThread(({ send, own, things }) => send("POST", `/threads/${own}/runs/wait`, { body: { ...run, config: { configurable: { thread_id: things.thread } } } })) },
  {
    name: "checkpoint.thread_id when reading a checkpoint",
    attack: ({ send, own, things }) => send("POST", `/threads/${own}/state/checkpoint`, { body: { checkpoint: { thread_id: things.thread, checkpoint_id: things.checkpoint, checkpoint_ns: "" } } }),
    harm: showsSecret,
  },
  {
    name: "checkpoint.thread_id when reading a history",
    attack: ({ send, own, things }) => send("POST", `/threads/${own}/history`, { body: { limit: 10, checkpoint: { thread_id: things.thread } } }),
    harm: showsSecret,
  },
  {
    name: "configurable.langgraph_auth_user",
    attack: ({ send, own, mark }) => send("POST", `/threads/${own}/runs`, { body: { ...run, multitask_strategy: "enqueue", config: { configurable: { langgraph_auth_user: { identity: mark } } } } }),
    harm: (place, reply) => reply.status < 300 && reply.text.includes(place.mark),
  },
  {
    name: "context.langgraph_auth_user",
    attack: ({ send, own, mark }) => send("POST", `/threads/${own}/runs`, { body: { ...run, multitask_strategy: "enqueue", context: { langgraph_auth_user: { identity: mark } } } }),
    harm: (place, reply) => reply.status < 300 && reply.text.includes(place.mark),
  },
  {
    name: "configurable.user_id",
    attack: ({ send, own, mark }) => send("POST", `/threads/${own}/runs`, { body: { ...run, multitask_strategy: "enqueue", config: { configurable: { user_id: mark } } } }),
    harm: (place, reply) => reply.status < 300 && reply.text.includes(place.mark),
  },
  {
    name: "a header that the server copies into configurable",
    attack: ({ send, own, mark }) => send("POST", `/threads/${own}/runs`, { body: { ...run, multitask_strategy: "enqueue" }, headers: { "x-user-role": mark, "x-auth-scheme": "langsmith", cookie: `session=${mark}`, "langsmith-trace": mark } }),
    harm: async (place, reply) => JSON.stringify((await place.past("GET", `/threads/${place.own}/runs/${reply.json?.run_id}`)).json ?? "").includes(place.mark),
    mended: (place, calls) => {
      for (const call of calls) {
        assert.ok(!JSON.stringify(call.headers).includes(place.mark));
        assert.ok(!("x-auth-scheme" in call.headers) && !("authorization" in call.headers) && !("cookie" in call.headers));
      }
    },
  },
  { name: "webhook to the server itself", ...onHerThread(({ send, own, things }) => send("POST", `/threads/${own}/runs/wait`, { body: { ...run, webhook: `/threads/${things.thread}/runs` } })) },
  {
    name: "webhook to whatever the server can reach",
    attack: ({ send, own, listener, mark }) => send("POST", `/threads/${own}/runs/wait`, { body: { ...run, webhook: `${listener.url}/${mark}` } }),
    harm: ({ listener, mark }) => soon(() => listener.hits.some((hit) => hit.includes(mark))),
  },
  {
    name: "a run with somebody's assistant, which shows its configuration",
    attack: ({ send, own, things }) => send("POST", `/threads/${own}/runs/wait`, { body: { ...run, assistant_id: things.assistant } }),
    harm: async (place) => {
      const texts = [`/threads/${place.own}`, `/threads/${place.own}/state`, `/threads/${place.own}/runs`];
      for (const path of texts) if ((await place.past("GET", path)).text.includes(place.secret)) return true;
      return false;
    },
  },
  {
    name: "cancelling runs by their status",
    prepare: async (place) => {
      place.victim = (await place.past("POST", "/threads", { body: { metadata: { owner: place.alice.id } } })).json.thread_id;
      const waiting = await place.past("POST", `/threads/${place.victim}/runs`, { body: { ...run, after_seconds: 600 } });
      place.waiting = waiting.json?.run_id;
    },
    attack: ({ send }) => send("POST", "/runs/cancel", { body: { status: "pending" } }),
    harm: (place, reply) => reply.status < 300 && soon(async () => (await place.past("GET", `/threads/${place.victim}/runs/${place.waiting}`)).json?.status !== "pending"),
  },
  {
    name: "streaming somebody's run without its thread",
    attack: ({ send, things }) => send("GET", `/runs/${things.run}/stream`),
    harm: (_place, reply) => reply.status < 300,
  },
  {
    name: "somebody's run under a thread of one's own",
    attack: ({ send, own, things }) => send("GET", `/threads/${own}/runs/${things.run}/join`),
    harm: showsSecret,
  },
  {
    name: "deleting an assistant with delete_threads",
    prepare: async (place) => {
      const assistant = await place.past("POST", "/assistants", { body: { graph_id: "agent", metadata: { owner: place.bob.id } } });
      place.assistant = assistant.json.assistant_id;
      place.victim = (await place.past("POST", "/threads", { body: { metadata: { owner: place.alice.id, assistant_id: place.assistant } } })).json.thread_id;
    },
    attack: (place) => place.send("DELETE", `/assistants/${place.assistant}?delete_threads=true`),
    harm: async (place) => (await place.past("GET", `/threads/${place.victim}`)).status === 404,
  },
  {
    name: "an old version of an assistant brings its old owner back",
    prepare: async (place) => {
      const assistant = await place.past("POST", "/assistants", { body: { graph_id: "agent", metadata: { owner: place.alice.id } } });
      place.assistant = assistant.json.assistant_id;
      await place.past("PATCH", `/assistants/${place.assistant}`, { body: { graph_id: "agent", metadata: { owner: place.bob.id } } });
    },
    // Bob's now: going back would make it alice's, with all that he has put into it.
    attack: (place) => place.send("POST", `/assistants/${place.assistant}/latest`, { body: { version: 1 } }),
    harm: async (place) => (await place.past("GET", `/assistants/${place.assistant}`)).json.metadata.owner === place.alice.id,
  },
  {
    name: "changing the server's own assistant",
    attack: ({ send, mark }) => send("PATCH", `/assistants/${systemAssistant}`, { body: { graph_id: "agent", metadata: { topic: mark } } }),
    harm: (place, reply) => reply.status < 300 && reply.text.includes(place.mark),
  },
  {
    name: "a store prefix that is a piece of a label",
    attack: ({ send, alice }) => send("POST", "/store/items/search", { body: { namespace_prefix: [alice.id.slice(0, 3)], limit: 100 } }),
    harm: showsSecret,
  },
  {
    name: "an empty store prefix",
    attack: ({ send }) => send("POST", "/store/items/search", { body: { namespace_prefix: [], limit: 100 } }),
    harm: showsSecret,
    mended: (place, calls) => assert.deepEqual(calls.at(-1)?.body.namespace_prefix, [place.bob.id]),
  },
  {
    name: "labels joined with ':' are one place",
    attack: ({ send, things }) => send("GET", `/store/items?namespace=${encodeURIComponent(things.namespace.join(":"))}&key=${things.key}`),
    harm: showsSecret,
  },
  {
    name: "'*' among the labels lists everybody's",
    attack: ({ send }) => send("POST", "/store/namespaces", { body: { prefix: ["*"], limit: 100 } }),
    harm: (place, reply) => reply.text.includes(place.alice.id),
  },
  {
    name: "somebody's namespace in the query",
    attack: ({ send, things }) => send("GET", `/store/items?namespace=${things.namespace.join(".")}&key=${things.key}`),
    harm: showsSecret,
  },
  {
    name: "the namespace twice in the query",
    attack: ({ send, bob, things }) => send("GET", `/store/items?namespace=${bob.id}&namespace=${things.namespace.join(".")}&key=${things.key}`),
    harm: showsSecret,
  },
  {
    name: "a body of a type that the server does not read",
    attack: ({ send, mark }) => send("POST", "/threads", { body: JSON.stringify({ metadata: { topic: mark } }), headers: { "content-type": "application/x-www-form-urlencoded" } }),
    harm: async (place, reply) => reply.status < 300 && (await madeBy(place, reply.json.thread_id)).topic === undefined,
    mended: (place, calls) => {
      assert.equal(calls.at(-1)?.headers["content-type"], "application/json");
      stampedAsBobs(place, calls);
    },
  },
  {
    name: "one name twice in the body",
    attack: ({ send, alice, bob }) => send("POST", "/threads", { body: `{"metadata":{"owner":"${bob.id}"},"metadata":{"owner":"${alice.id}"}}` }),
    harm: async (place, reply) => reply.status < 300 && (await madeBy(place, reply.json.thread_id)).owner === place.alice.id,
  },
  {
    name: "a compressed body",
    attack: ({ send }) => send("POST", "/threads", { body: gzipSync(JSON.stringify({ metadata: {} })).toString("latin1"), headers: { "content-encoding": "gzip" } }),
    harm: (_place, reply) => reply.status < 300,
  },
  {
    name: "HEAD tells which ids are there",
    attack: ({ send, things }) => send("HEAD", `/threads/${things.thread}`),
    harm: (_place, reply) => reply.status === 200,
  },
  { name: "an encoded letter in the path", attack: ({ raw, things }) => raw("GET", `/%74hreads/${things.thread}`), harm: showsSecret },
  { name: "dot segments in the path", attack: ({ raw, things }) => raw("GET", `/ui/../threads/${things.thread}`), harm: showsSecret },
  { name: "encoded dot segments in the path", attack: ({ raw, things }) => raw("GET", `/ok/%2e%2e/threads/${things.thread}`), harm: showsSecret },
  { name: "a whole address as the target", attack: ({ raw, things }) => raw("GET", `http://elsewhere.example/threads/${things.thread}`), harm: showsSecret },
  { name: "an id in capitals", attack: ({ raw, things }) => raw("GET", `/threads/${things.thread.toUpperCase()}`), harm: showsSecret },
  { name: "an id without its dashes", attack: ({ raw, things }) => raw("GET", `/threads/${things.thread.replaceAll("-", "")}`), harm: showsSecret },
  {
    name: "a method in a header",
    prepare: async (place) => void (place.victim = (await place.past("POST", "/threads", { body: { metadata: { owner: place.bob.id } } })).json.thread_id),
    attack: (place) => place.send("GET", `/threads/${place.victim}`, { headers: { "x-http-method-override": "DELETE" } }),
    harm: async (place) => (await place.past("GET", `/threads/${place.victim}`)).status === 404,
    mended: (_place, calls) => assert.ok(calls.every((call) => !("x-http-method-override" in call.headers) && call.method !== "DELETE")),
  },
  {
    name: "copying somebody's thread",
    attack: ({ send, things }) => send("POST", `/threads/${things.thread}/copy`),
    harm: showsSecret,
  },
  {
    name: "a protocol command on somebody's thread",
    attack: ({ send, things }) => send("POST", `/threads/${things.thread}/commands`, { body: { id: 1, method: "state.get", params: { namespace: [] } } }),
    harm: showsSecret,
  },
  { name: "a protocol command starts a run on somebody's thread", ...onHerThread(({ send, things }) => send("POST", `/threads/${things.thread}/commands`, { body: { id: 1, method: "run.start", params: { assistant_id: "agent", input } } })),
    mended: (place, calls, reply) => {
      assert.equal(reply.status, 404);
      assert.deepEqual(calls.map((call) => `${call.method} ${call.target} ${call.status}`), ["POST /threads/search 200", "POST /threads 409"]);
    } },
  {
    name: "searching everybody's crons",
    attack: ({ send }) => send("POST", "/runs/crons/search", { body: { limit: 100 } }),
    harm: showsSecret,
    mended: (place, calls) => assert.ok(calls.length === 1 && calls[0].body.metadata.owner === place.bob.id),
  },
  {
    name: "counting everybody's crons",
    attack: ({ send }) => send("POST", "/runs/crons/count", { body: {} }),
    harm: (_place, reply) => reply.status < 300 && reply.json > 0,
    mended: (place, calls, reply) => assert.ok(calls[0].body.metadata.owner === place.bob.id && !(reply.json > 0)),
  },
  {
    name: "pruning threads of everybody's",
    prepare: async (place) => void (place.victim = (await place.past("POST", "/threads", { body: { metadata: { owner: place.alice.id } } })).json.thread_id),
    attack: (place) => place.send("POST", "/threads/prune", { body: { thread_ids: [place.own, place.victim], strategy: "delete" } }),
    harm: async (place) => (await place.past("GET", `/threads/${place.victim}`)).status === 404,
  },
  {
    name: "MCP runs any assistant",
    attack: ({ send }) => send("POST", "/mcp", { body: { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} }, headers: { accept: "application/json, text/event-stream" } }),
    harm: (_place, reply) => reply.status < 300,
  },
  {
    name: "A2A names a thread inside its message",
    attack: ({ send, things }) =>
      send("POST", `/a2a/${systemAssistant}`, { body: { jsonrpc: "2.0", id: 1, method: "tasks/get", params: { id: things.run, contextId: things.thread } }, headers: { accept: "application/json" } }),
    harm: showsSecret,
  },
  {
    name: "POST /internal/truncate",
    attack: ({ send }) => send("POST", "/internal/truncate", { body: { runs: false } }),
    harm: (_place, reply) => reply.status < 300,
  },
];

/** What a gate may ask in order to know: nothing is changed by it. */
const isLook = (call) => call.method === "GET" || (call.method === "POST" && /\/(search|count|versions)$/.test(call.target));

/** @type {Map<string, string[]>} */
const rows = new Map(traps.map(({ name }) => [name, []]));

for (const kind of /** @type {const} */ (["js", "python"])) {
  describe(`traps, ${kind} server`, () => {
    const alice = person("alice");
    const bob = person("bob");
    const secret = canary();
    const listener = { url: "", hits: /** @type {string[]} */ ([]) };
    const ear = createServer((message, reply) => {
      listener.hits.push(String(message.url));
      reply.end();
    });
    let agent, gate, things, past;
    before(async () => {
      await new Promise((resolve) => ear.listen(0, "127.0.0.1", () => resolve(undefined)));
      listener.url = `http://127.0.0.1:${/** @type {any} */ (ear.address()).port}`;
      agent = await startAgent(kind, { AGENT_WORD_DELAY_MS: "1" });
      gate = await startGate(agent.url);
      past = straight(agent.url);
      things = await furnish(gate.send, alice, secret, kind);
    });
    after(async () => {
      ear.close();
      gate?.stop();
      await agent?.stop();
    });

    const placeOf = async (send, rawSend) => {
      const made = await past("POST", "/threads", { body: { metadata: { owner: bob.id } } });
      return { send, raw: rawSend, past, alice, bob, things, secret, listener, own: made.json.thread_id, mark: `mark-${randomUUID()}` };
    };

    describe("through the gate", () => {
      for (const trap of traps) {
        it(trap.name, async () => {
          const place = await placeOf(
            (method, target, question) => gate.send(method, target, { as: bob, ...question }),
            // Request() would tidy the target up as well; explain takes it as a server would.
            async (method, target) => {
              const { outcome } = await gate.gate.explain({ method, target, headers: { authorization: `Bearer ${bob.token}` } });
              assert.equal(outcome.kind, "refuse", `${target}: ${outcome.kind}`);
              return { status: outcome.status, text: "" };
            },
          );
          await trap.prepare?.(place);
          const was = await look(past, alice, bob, things, kind);
          const from = gate.calls.length;
          const reply = await trap.attack(place);
          const calls = gate.calls.slice(from);
          assert.ok(!reply.text.includes(secret), `${reply.status}: the reply holds what is alice's`);
          if (trap.mended && reply.status !== 500) trap.mended(place, calls, reply);
          else {
            assert.ok(reply.status >= 400, `${reply.status}`);
            assert.deepEqual(calls.filter((call) => !isLook(call)), [], "nothing but looks reaches the server");
          }
          // What comes later, such as a webhook, has had its time in the run that waited.
          assert.equal(await look(past, alice, bob, things, kind), was);
          assert.ok(!listener.hits.some((hit) => hit.includes(place.mark)));
          rows.get(trap.name)?.push(String(reply.status), calls.map((call) => `${call.method} ${call.target.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "ID")}`).join(", ") || "nothing");
        });
      }
    });

    describe("without the gate", () => {
      for (const trap of traps) {
        it(trap.name, async () => {
          const place = await placeOf(past, (method, target) => raw(agent.url, method, target));
          await trap.prepare?.(place);
          const reply = await trap.attack(place);
          const harmed = await trap.harm(place, reply);
          rows.get(trap.name)?.push(harmed ? "harm" : `not in this version (${reply.status})`);
        });
      }
    });
  });
}

describe("the list", () => {
  it("is printed; most traps are real on one of the servers", (test) => {
    test.diagnostic("| trap | JS: through the gate | reached the server | without | Python: through the gate | reached the server | without |");
    test.diagnostic("|---|---|---|---|---|---|---|");
    let real = 0;
    for (const [name, cells] of rows) {
      test.diagnostic(`| ${name} | ${cells.join(" | ")} |`);
      assert.equal(cells.length, 6, name);
      real += cells.includes("harm") ? 1 : 0;
    }
    test.diagnostic(`| ${real} of ${rows.size} do harm without the gate | | | | | | |`);
    assert.ok(real > traps.length / 2);
  });
});
