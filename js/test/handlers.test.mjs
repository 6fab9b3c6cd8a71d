// Handlers of the program: which one is asked, what it is shown, and that nothing but a plain yes opens anything.
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { Auth, HTTPException as LangGraphException } from "@langchain/langgraph-sdk/auth";
import { AuthError, ConfigError, Gate, HTTPException } from "postern";
import { aliceThread, config, quietly, request, scripted, threadId, tick, token, upstreamUrl } from "./support.mjs";

const upstream = { url: upstreamUrl };
const byName = (incoming) => incoming.headers.get("authorization").replace("Bearer ", "");
const as = (name, method, path, more = {}) => request(method, path, { as: name, ...more });

async function gateWith(handlers, table = { "*": () => Response.json({}) }, more = {}) {
  const script = scripted(table);
  const told = [];
  const gate = await Gate.create({ upstream, ...handlers, ...more }, { fetch: script.fetch, onWarning: (line) => told.push(line) });
  return { gate, told, ...script };
}

/** Status and code of one call, and whether anything went upstream. */
async function outcome(handlers, incoming = as("alice", "POST", "/threads", { body: {} })) {
  const { gate, calls, told } = await gateWith(handlers);
  const reply = await gate.handle(incoming);
  const body = await reply.json();
  gate.close();
  return { status: reply.status, code: body.code, detail: body.detail, headers: reply.headers, calls, told };
}
const refusal = async (handlers) => {
  const { status, code, calls } = await outcome(handlers);
  assert.equal(calls.length, 0, "nothing was forwarded");
  return [status, code];
};
const fault = (...given) => Gate.create(...given).then(() => assert.fail("was made"), (reason) => {
  assert.ok(reason instanceof ConfigError, String(reason));
  return reason.message;
});

describe("authenticate", () => {
  it("gets a copy of the head, and the body only where that is said", async () => {
    const seen = [];
    const authenticate = async (incoming) => {
      seen.push([incoming.method, new URL(incoming.url).pathname, incoming.headers.get("x-app"), await incoming.text()]);
      incoming.headers.set("x-app", "changed");
      incoming.headers.set("accept", "changed");
      return "alice";
    };
    const body = { metadata: { a: 1 } };
    for (const handlers of [undefined, { bodyBytesMax: 100 }]) {
      const { gate, calls } = await gateWith({ authenticate, ...(handlers && { handlers }) }, { "*": () => Response.json({ metadata: { owner: "alice" } }) });
      const reply = await gate.handle(as("x", "POST", "/threads", { body, headers: { "x-app": "1", accept: "application/json" } }));
      assert.equal(reply.status, 200);
      assert.deepEqual(JSON.parse(calls[0].body).metadata, { a: 1, owner: "alice" });
      assert.equal(calls[0].headers.get("accept"), "application/json");
      gate.close();
    }
    assert.deepEqual(seen, [["POST", "/threads", "1", ""], ["POST", "/threads", "1", JSON.stringify(body)]]);
  });

  it("does not get a body over its bound", async () => {
    const { gate, calls } = await gateWith({ authenticate: () => assert.fail("asked"), handlers: { bodyBytesMax: 10 } });
    const reply = await gate.handle(as("x", "POST", "/threads", { body: { metadata: { a: "0123456789" } } }));
    assert.deepEqual([reply.status, (await reply.json()).code, calls.length], [413, "body_too_large", 0]);
    gate.close();
  });

  it("names the user, with fields of their own", async () => {
    const { gate } = await gateWith({
      authenticate: () => ({ identity: "alice", display_name: "Alice", permissions: ["run"], is_authenticated: true, team: "red", at: [1, { a: null }] }),
    });
    const incoming = as("x", "POST", "/threads", { body: { a: 1 } });
    const user = await gate.authenticate(incoming);
    assert.deepEqual([user.identity, user.displayName, user.permissions, user.fields], ["alice", "Alice", ["run"], { team: "red", at: [1, { a: null }] }]);
    assert.deepEqual(await incoming.json(), { a: 1 }, "the program's request is whole");
    gate.close();
  });

  it("is asked about every request: nobody is remembered for a token", async () => {
    let asked = 0;
    const { gate } = await gateWith({ authenticate: () => { if (++asked > 1) throw new HTTPException(401); return "alice"; } });
    await gate.authenticate(as("same", "GET", "/threads"));
    await assert.rejects(gate.authenticate(as("same", "GET", "/threads")), (reason) => reason instanceof AuthError && reason.status === 401);
    gate.close();
  });

  for (const Exception of [HTTPException, LangGraphException]) {
    it(`refuses with a status, a message and headers (${Exception === HTTPException ? "postern" : "LangGraph"}'s exception)`, async () => {
      const authenticate = () => { throw new Exception(402, { message: "pay first", headers: { "x-why": "because", "content-length": "3" } }); };
      const { status, code, detail, headers, calls } = await outcome({ authenticate });
      assert.deepEqual([status, code, detail, headers.get("x-why"), calls.length], [402, "credential_refused", "pay first", "because", 0]);
    });
  }

  const wrong = {
    "throws": () => { throw new Error("no"); },
    "throws nothing that can be looked at": () => { throw new Proxy({}, { has() { throw new Error("no"); } }); },
    "throws undefined": () => { throw undefined; },
    "rejects": async () => Promise.reject(new TypeError("no")),
    "throws a success": () => { throw new HTTPException(200); },
    "throws headers that are none": () => { throw new HTTPException(401, { headers: { "a b": "c" } }); },
    "returns nothing": () => undefined,
    "returns null": () => null,
    "returns true": () => true,
    "returns a number": () => 7,
    "returns an empty identity": () => "",
    "returns no identity": () => ({ permissions: [] }),
    "returns an identity that is a number": () => ({ identity: 7 }),
    "returns permissions that are text": () => ({ identity: "alice", permissions: "all" }),
    "returns is_authenticated as text": () => ({ identity: "alice", is_authenticated: "false" }),
    "returns what has no JSON": () => ({ identity: "alice", big: 1n }),
    "returns a list": () => ["alice"],
    "returns a control character": () => "ali\nce",
  };
  for (const [what, authenticate] of Object.entries(wrong)) {
    it(`${what}: 500, and nothing is forwarded`, async () => {
      assert.deepEqual(await refusal({ authenticate }), [500, "handler_failed"]);
    });
  }
  it("is_authenticated false: 401", async () => {
    assert.deepEqual(await refusal({ authenticate: () => ({ identity: "alice", is_authenticated: false }) }), [401, "credential_refused"]);
  });
  it("takes too long: 503, whatever it says later", async () => {
    const late = new Promise((resolve) => setTimeout(resolve, 200, "alice"));
    assert.deepEqual(await refusal({ authenticate: () => late, handlers: { timeLimitMs: 30 } }), [503, "handler_timeout"]);
    await late;
    await tick();
  });
  it("what failed is told by its kind, never by its words", async () => {
    const { told } = await outcome({ authenticate: () => { throw new RangeError("secret-token"); } });
    assert.deepEqual(told, ["the handler of authenticate failed: RangeError"]);
  });
  it("a client that leaves meanwhile gets nothing forwarded", async () => {
    const controller = new AbortController();
    const { gate, calls } = await gateWith({ authenticate: async () => { controller.abort(); return "alice"; } });
    await gate.handle(as("x", "POST", "/threads/search", { body: {}, signal: controller.signal }));
    assert.equal(calls.length, 0);
    gate.close();
  });
});

test("a place in the chain, with an identity prefix of its own", async () => {
  const { gate } = await gateWith({ authenticate: () => "alice" }, undefined, {
    issuers: config().issuers.map((issuer) => ({ ...issuer, identity_prefix: "jwt:" })),
    credentials: [{ kind: "jwt" }, { kind: "handler", identity_prefix: "own:" }],
  });
  assert.equal((await gate.authenticate(request("GET", "/threads"))).identity, "jwt:alice");
  assert.equal((await gate.authenticate(as("opaque", "GET", "/threads"))).identity, "own:alice");
  assert.equal((await gate.authenticate(request("GET", "/threads", { as: null }))).identity, "own:alice", "without a token as well");
  const bad = token({ aud: "others" });
  await assert.rejects(gate.authenticate(request("GET", "/threads", { as: bad })), /audience/);
  gate.close();
});

test("LangGraph Studio gets in by its keys, and no handler is asked", async () => {
  let asked = 0;
  const { gate } = await gateWith({ authenticate: () => (asked++, "anybody") }, undefined, {
    credentials: [
      // SHA-256 of pk_ci_for-this-example-only
      { kind: "api_keys", studio: true, identity_prefix: "studio:", keys: [{ id: "ci", sha256: "e5af59c2ff3f31fa2ebfce66f9f4329200c14ac01cc74ec8e69cce1b42241794" }] },
      { kind: "handler", identity_prefix: "own:" },
    ],
  });
  const who = (headers) => gate.authenticate(new Request("http://gate.example/threads", { headers }));
  assert.equal((await who({})).identity, "own:anybody");
  assert.equal(asked, 1);
  await assert.rejects(who({ "x-auth-scheme": "langsmith" }), { code: "credential_missing" });
  assert.equal((await who({ "x-auth-scheme": "langsmith", "x-api-key": "pk_ci_for-this-example-only" })).identity, "studio:ci");
  assert.equal(asked, 1);
  gate.close();
});

test("configurations that cannot be meant", async () => {
  const authenticate = () => "alice";
  assert.match(await fault({ upstream, credentials: [{ kind: "handler" }] }), /needs a program/);
  assert.match(await fault(JSON.stringify({ upstream, credentials: [{ kind: "handler" }] })), /needs a program/);
  assert.match(await fault({ upstream, on: {} }), /issuers/);
  assert.match(await fault({ ...config(), authenticate }), /tried first/);
  assert.match(await fault({ ...config(), credentials: [{ kind: "jwt" }], authenticate }), /leaves the program's/);
  assert.match(await fault({ upstream, authenticate, on: { "thread:create": () => true } }), /on\["thread:create"\]: is no event/);
  assert.match(await fault({ upstream, authenticate, on: { threads: true } }), /must be a function/);
  assert.match(await fault({ upstream, authenticate: "alice" }), /authenticate: must be a function/);
  assert.match(await fault({ upstream, auth: {} }), /Auth object/);
  assert.match(await fault({ upstream, auth: new Auth(), authenticate }), /not both/);
  assert.match(await fault({ upstream, authenticate, strict: true }), /strict/);
  assert.match(await fault({ upstream, authenticate, handlers: { timeLimitMs: 0 } }), /timeLimitMs/);
});

test("beside a text they stand among the options", async () => {
  const script = scripted({ "*": () => Response.json([]) });
  const gate = await Gate.create(JSON.stringify({ upstream }), { fetch: script.fetch, authenticate: byName, on: { threads: ({ user }) => ({ owner: user.identity }) } });
  assert.equal((await gate.handle(as("alice", "POST", "/threads/search", { body: {} }))).status, 200);
  assert.deepEqual(JSON.parse(script.calls[0].body).metadata, { owner: "alice" });
  gate.close();
});

describe("on", () => {
  const search = () => as("alice", "POST", "/threads/search", { body: { limit: 3 } });
  const asked = async (on, incoming = search(), more = {}) => {
    const { gate, calls, told } = await gateWith({ authenticate: byName, on, ...more }, { ...aliceThread, "*": () => Response.json([]) });
    const reply = await gate.handle(incoming);
    const text = await reply.text();
    gate.close();
    return { status: reply.status, code: reply.status >= 400 ? JSON.parse(text).code : undefined, calls, told };
  };

  it("is shown LangGraph's question", async () => {
    let seen;
    await asked({ "*": (question) => { seen = question; return true; } });
    assert.deepEqual(Object.keys(seen), ["event", "resource", "action", "value", "user", "permissions"]);
    assert.deepEqual([seen.event, seen.resource, seen.action], ["threads:search", "threads", "search"]);
    assert.deepEqual(seen.value, { metadata: undefined, ids: undefined, status: undefined, values: undefined, limit: 3, offset: undefined });
    assert.ok("metadata" in seen.value, "as the tutorials ask");
    assert.deepEqual(seen.user, { identity: "alice", display_name: "alice", is_authenticated: true, permissions: [], claims: {} });
  });

  it("the most specific key decides, alone", async () => {
    const order = ["threads:search", "threads", "*:search", "*"];
    for (let from = 0; from < order.length; from++) {
      const called = [];
      await asked(Object.fromEntries(order.slice(from).reverse().map((key) => [key, () => { called.push(key); return true; }])));
      assert.deepEqual(called, [order[from]]);
    }
  });

  const denied = {
    "no handler": { "threads:create": () => true },
    "nothing": { "*": () => {} },
    "null": { "*": () => null },
    "false": { "*": () => false },
    "{}": { "*": () => ({}) },
    "an unknown operator": { "*": () => ({ owner: { $ne: "bob" } }) },
    "two operators": { "*": () => ({ owner: { $eq: "alice", $contains: "alice" } }) },
    "an empty operand": { "*": () => ({ owner: { $eq: "" } }) },
    "an undefined operand": { "*": () => ({ owner: undefined }) },
    "an operand that is a function": { "*": () => ({ owner: () => "alice" }) },
    "an empty list": { "*": () => ({ owner: { $contains: [] } }) },
    "an empty $or": { "*": () => ({ $or: [] }) },
  };
  for (const [what, on] of Object.entries(denied)) {
    it(`${what}: 403`, async () => {
      const { status, code, calls } = await asked(on);
      assert.deepEqual([status, code, calls.length], [403, "handler_denied", 0]);
    });
  }
  for (const [what, verdict] of Object.entries({ "1": 1, "text": "yes", "a list": [], "a Map": new Map(), "a Date": new Date(0), "what has no JSON": { a: 1n } })) {
    it(`${what}: 500`, async () => {
      const { status, code, calls } = await asked({ "*": () => verdict });
      assert.deepEqual([status, code, calls.length], [500, "handler_failed", 0]);
    });
  }
  it("a throw, an exception, a time that passed", async () => {
    assert.equal((await asked({ "*": () => { throw new Error("x"); } })).code, "handler_failed");
    const { status, code } = await asked({ "*": () => { throw new LangGraphException(451); } });
    assert.deepEqual([status, code], [451, "handler_denied"]);
    assert.equal((await asked({ "*": () => new Promise(() => {}) }, search(), { handlers: { timeLimitMs: 20 } })).code, "handler_timeout");
  });

  it("filters are the core's: operators, lists, $or and $and", async () => {
    const { calls } = await asked({ "*": ({ user }) => ({ $and: [{ owner: user.identity }, { team: { $eq: "red" } }] }) });
    assert.deepEqual(JSON.parse(calls[0].body).metadata, { owner: "alice", team: "red" });
    const either = await asked({ "*": ({ user }) => ({ $or: [{ owner: user.identity }, { shared: true }] }) });
    assert.deepEqual(either.calls.map((call) => JSON.parse(call.body).metadata), [{ owner: "alice" }, { shared: true }]);
  });

  it("changes metadata, and keeps the digits of the rest", async () => {
    const on = { "threads:create": ({ value, user }) => { value.metadata.owner = user.identity; delete value.metadata.spy; return { owner: user.identity }; } };
    const { calls } = await asked(on, as("alice", "POST", "/threads", { body: '{"metadata":{"n":12345678901234567890,"owner":"bob","spy":1}}' }));
    assert.equal(calls[0].body, '{"metadata":{"n":12345678901234567890,"owner":"alice"}}');
  });

  it("may change nothing else", async () => {
    for (const change of [
      (value) => { value.if_exists = "do_nothing"; },
      (value) => { value.thread_id = threadId; },
      (value) => { value.metadata = "x"; },
      (value) => { value.metadata = []; },
    ]) {
      const { code, calls } = await asked({ "*": ({ value }) => { change(value); return true; } }, as("alice", "POST", "/threads", { body: {} }));
      assert.deepEqual([code, calls.length], ["handler_failed", 0], String(change));
    }
    const run = as("alice", "POST", "/runs", { body: { assistant_id: "agent", config: { configurable: { a: 1 } } } });
    assert.equal((await asked({ "*": ({ value }) => { value.kwargs.config.configurable.a = 2; return true; } }, run)).code, "handler_failed");
    // What LangGraph's server ignores is ignored here.
    const { status, calls } = await asked({ "*": ({ value }) => { value.metadata = { owner: "x" }; value.extra = 1; return true; } }, as("alice", "GET", `/threads/${threadId}`));
    assert.deepEqual([status, calls.length], [200, 1]);
  });

  it("puts another namespace in the place of the client's, and may not take it away", async () => {
    const put = () => as("alice", "PUT", "/store/items", { body: { namespace: ["notes"], key: "k", value: { a: 1 } } });
    const { calls } = await asked({ store: ({ value, user }) => { value.namespace = [user.identity, ...value.namespace]; return true; } }, put());
    assert.deepEqual(JSON.parse(calls[0].body).namespace, ["alice", "notes"]);
    const unshifted = await asked({ store: ({ value, user }) => { value.namespace.unshift(user.identity); return true; } }, put());
    assert.deepEqual(JSON.parse(unshifted.calls[0].body).namespace, ["alice", "notes"]);
    for (const gone of [undefined, null, "alice", [1], ["a.b"]]) {
      const wrong = await asked({ store: ({ value }) => { value.namespace = gone; return true; } }, put());
      assert.deepEqual([wrong.code, wrong.calls.length], ["handler_failed", 0], String(gone));
    }
  });

  it("with a policy both must allow", async () => {
    const policy = { threads: { filter: { owner: "$user.identity" } } };
    const { calls } = await asked({ "*": () => ({ team: "red" }) }, search(), { policy });
    assert.deepEqual(JSON.parse(calls[0].body).metadata, { owner: "alice", team: "red" });
    assert.equal((await asked({ "*": () => true }, as("alice", "POST", "/assistants/search", { body: {} }), { policy })).code, "policy_denied");
  });

  it("works for users of issuers, whose claims it sees", async () => {
    let seen;
    const script = scripted({ "*": () => Response.json([]) });
    const gate = await Gate.create({ ...config(), on: { "*": ({ user }) => { seen = user; return { org: user.claims.org }; } } }, { fetch: script.fetch });
    const incoming = request("POST", "/threads/search", { body: {}, as: token({ org: "acme", permissions: ["run"] }) });
    assert.equal((await gate.handle(incoming)).status, 200);
    assert.deepEqual([seen.identity, seen.permissions, seen.claims.org], ["alice", ["run"], "acme"]);
    assert.deepEqual(JSON.parse(script.calls.at(-1).body).metadata, { org: "acme" });
    gate.close();
  });

  it("explain says that a handler decides, and filterFor does not answer for it", async () => {
    const { gate } = await gateWith({ authenticate: byName, on: { "*": () => true } });
    assert.equal((await gate.explain({ method: "GET", target: `/threads/${threadId}` })).outcome.kind, "handler_asked");
    await assert.rejects(gate.filterFor({ identity: "alice" }, "threads", "read"), /handlers/);
    gate.close();
  });
});

describe("an Auth object of LangGraph's", () => {
  const owner = () => new Auth()
    .authenticate(async (incoming) => {
      const name = (incoming.headers.get("authorization") ?? "").replace("Bearer ", "");
      if (name === "") throw new LangGraphException(401, { message: "who are you?" });
      return { identity: name, permissions: [] };
    })
    .on("threads", ({ value, user }) => {
      if ("metadata" in value) {
        value.metadata ??= {};
        value.metadata.owner = user.identity;
      }
      return { owner: user.identity };
    });
  const status = async (auth, incoming, more = {}) => {
    const { gate, calls } = await gateWith({ auth, ...more }, { "*": () => Response.json([]) });
    const reply = await gate.handle(incoming);
    gate.close();
    return [reply.status, calls.length];
  };

  it("is taken as it is", async () => {
    const { gate, calls } = await gateWith({ auth: owner() }, { "*": () => Response.json({ metadata: { owner: "alice" } }) });
    assert.equal((await gate.handle(as("alice", "POST", "/threads", { body: { metadata: { owner: "bob" } } }))).status, 200);
    assert.deepEqual(JSON.parse(calls[0].body).metadata, { owner: "alice" });
    const nobody = await gate.handle(request("GET", "/threads", { as: null }));
    assert.deepEqual([nobody.status, (await nobody.json()).detail], [401, "who are you?"]);
    gate.close();
  });

  const search = () => as("alice", "POST", "/assistants/search", { body: {} });
  for (const [what, auth] of [
    ["a resource without a handler", owner()],
    ["nothing", owner().on("assistants", () => {})],
    ["null", owner().on("assistants", () => null)],
    ["{}", owner().on("assistants", () => ({}))],
  ]) {
    it(`${what} allows, and denies under strict`, async () => {
      assert.deepEqual(await status(auth, search()), [200, 1]);
      assert.deepEqual(await status(auth, search(), { strict: true }), [403, 0]);
    });
  }
  it("true allows in both", async () => {
    const auth = owner().on("assistants", () => true);
    assert.deepEqual([await status(auth, search()), await status(auth, search(), { strict: true })], [[200, 1], [200, 1]]);
  });
  for (const filter of [{ owner: { $eq: "" } }, { owner: { $or: ["a"] } }, { $or: [] }, { owner: ["alice"] }, { owner: { $contains: [] } }, { owner: undefined }]) {
    it(`${JSON.stringify(filter)} denies: the one documented difference`, async () => {
      assert.deepEqual(await status(owner().on("assistants", () => filter), search()), [403, 0]);
    });
  }

  it("what it leaves open is said once, at the start", async () => {
    const { gate, told } = await gateWith({ auth: owner().on("store:get", () => true).on("thread:create", () => true) });
    gate.close();
    assert.equal(told.length, 2);
    assert.match(told[0], /auth\.on\("thread:create"\): is no event/);
    assert.match(told[1], /no handler for assistants, crons, store:put, store:search, store:delete, store:list_namespaces: open to every user; /);
    const strict = await gateWith({ auth: owner(), strict: true });
    assert.deepEqual(strict.told, []);
    strict.gate.close();
    const said = await quietly(async () => {
      for (let n = 0; n < 3; n++) (await Gate.create({ upstream, auth: owner().on("crons:read", () => true) })).close();
    });
    assert.equal(said.filter((line) => line.includes("open to every user")).length, 1);
  });
});

describe("what a handler throws or returns, and is none of HTTPException's or a filter's", () => {
  const apiError = () => Object.assign(new Error("the key sk-live-SECRET is not good"), { status: 429, headers: { "x-secret": "1" }, error: {}, code: null });
  const thrown = {
    "an API's error": apiError,
    "the same, without an Error": () => ({ status: 429, headers: { "x-secret": "1" }, message: "sk-live-SECRET" }),
    "a fetched Response": () => new Response("sk-live-SECRET", { status: 401, headers: { "x-secret": "1", "set-cookie": "a=b" } }),
  };
  for (const [what, make] of Object.entries(thrown)) {
    it(`${what}: 500, and neither its words nor its headers`, async () => {
      const wrong = () => { throw make(); };
      for (const handlers of [{ authenticate: wrong }, { authenticate: byName, on: { "*": wrong } }, { auth: new Auth().authenticate(wrong) }]) {
        const { status, code, detail, headers, calls } = await outcome(handlers);
        assert.deepEqual([status, code, calls.length], [500, "handler_failed", 0]);
        assert.equal(headers.get("x-secret") ?? headers.get("set-cookie"), null);
        assert.doesNotMatch(detail, /SECRET/);
      }
    });
  }

  it("LangGraph's exception is known by its name, and under `auth` without it", async () => {
    class Mangled extends Error {
      constructor(status, { message, headers = {} }) {
        super(message);
        this.status = status;
        this.headers = headers;
      }
    }
    const wrong = () => { throw new Mangled(402, { message: "pay first" }); };
    const { status, detail } = await outcome({ auth: new Auth().authenticate(wrong) });
    assert.deepEqual([status, detail], [402, "pay first"]);
    assert.equal((await outcome({ authenticate: wrong })).status, 500);
  });

  it("an operand without JSON denies; a toJSON of its own opens nothing", async () => {
    const search = () => as("alice", "POST", "/threads/search", { body: {} });
    const of = async (filter) => {
      const { status, calls } = await outcome({ authenticate: byName, on: { "*": () => filter } }, search());
      return [status, calls.length];
    };
    for (const operand of [Symbol("x"), undefined, () => true]) assert.deepEqual(await of({ a: "x", owner: operand }), [403, 0]);
    for (const text of [true, false, "x", [], {}, null, undefined]) {
      assert.deepEqual(await of({ owner: "x", toJSON: () => text }), [500, 0]);
    }
  });
});

describe("callers whom no handler has admitted yet", () => {
  const stalling = (bytes, signal) => new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array(bytes).fill(32));
      signal?.addEventListener("abort", () => controller.error(signal.reason));
    },
  });

  it("leave room for the others' bodies, and their own must come in the handler's time", async () => {
    const eight = 8 * 1024 * 1024 - 1024;
    const { gate } = await gateWith(
      { ...config(), shared_identities: true, credentials: [{ kind: "jwt" }, { kind: "handler" }], authenticate: () => "x", handlers: { bodyBytesMax: 10 * 1024 * 1024, timeLimitMs: 400 } },
      { "*": () => Response.json({ thread_id: threadId, metadata: { owner: "alice" } }) },
    );
    const anonymous = Array.from({ length: 4 }, () => gate.handle(as("unknown", "POST", "/threads", { body: stalling(eight) })));
    await tick(50);
    const known = await gate.handle(request("POST", "/threads", { body: `{"metadata":{}}${" ".repeat(eight)}` }));
    assert.equal(known.status, 200, "a token's body of eight megabytes fits beside those");
    const answers = await Promise.all(anonymous.map(async (one) => (await (await one).json()).code));
    assert.deepEqual(answers.sort(), ["body_malformed", "body_malformed", "gate_overloaded", "gate_overloaded"]);
    const later = await gate.handle(as("unknown", "POST", "/threads", { body: {} }));
    assert.notEqual(later.status, 503, "what they held is given back");
    gate.close();
  });

  it("a body that does not come in time is refused in authenticate as well, and the bytes are given back", async () => {
    const { gate } = await gateWith({ authenticate: () => "x", handlers: { bodyBytesMax: 10 * 1024 * 1024, timeLimitMs: 50 } });
    for (let round = 0; round < 4; round++) {
      await assert.rejects(gate.authenticate(as("x", "POST", "/", { body: stalling(8 * 1024 * 1024) })), { code: "body_malformed", status: 400 });
    }
    assert.equal((await gate.authenticate(as("x", "POST", "/", { body: {} }))).identity, "x");
    gate.close();
  });

  it("hold no exchange once they have left", async () => {
    const { gate } = await gateWith({ authenticate: () => new Promise(() => {}), handlers: { timeLimitMs: 60_000 } });
    const clients = Array.from({ length: 4096 }, () => new AbortController());
    const asked = clients.map(({ signal }) => gate.handle(as("x", "GET", "/threads/search", { signal })));
    // Half of an instance's exchanges are for those who are known already.
    const statuses = await Promise.race([Promise.all(asked.slice(2048).map(async (one) => (await one).status)), tick(5_000)]);
    assert.deepEqual([...new Set(statuses)], [503]);
    const other = await gateWith({ ...config() }, { "POST /threads/search": () => Response.json([]) });
    assert.equal((await other.gate.handle(request("POST", "/threads/search", { body: {} }))).status, 200);
    for (const client of clients) client.abort();
    const left = await Promise.race([Promise.all(asked.slice(0, 2048).map(async (one) => (await one).status)), tick(5_000)]);
    assert.deepEqual([...new Set(left)], [499]);
    const next = await gateWith({ authenticate: () => "x" }, { "*": () => Response.json({}) });
    assert.equal((await next.gate.authenticate(as("x", "GET", "/"))).identity, "x");
    for (const one of [gate, other.gate, next.gate]) one.close();
  });
});

describe("gate.authenticate and the request's body", () => {
  // What is copied and not read is kept in memory whole.
  it("is not copied where no handler gets it", async () => {
    for (const [handlers, copies] of [[undefined, 0], [{ bodyBytesMax: 1024 }, 1]]) {
      const { gate } = await gateWith({ authenticate: () => "x", ...(handlers && { handlers }) });
      const incoming = as("x", "POST", "/", { body: { a: 1 } });
      let copied = 0;
      const { clone } = incoming;
      incoming.clone = function () { copied++; return clone.call(this); };
      assert.equal((await gate.authenticate(incoming)).identity, "x");
      assert.equal(copied, copies);
      assert.deepEqual(await incoming.json(), { a: 1 });
      gate.close();
    }
  });
  it("may have been read already where no handler gets it", async () => {
    const { gate } = await gateWith({ authenticate: () => "x" });
    const incoming = as("x", "POST", "/", { body: { a: 1 } });
    await incoming.text();
    assert.equal((await gate.authenticate(incoming)).identity, "x");
    gate.close();
  });
});

describe("routes of the configuration beside an Auth object", () => {
  const routes = { url: upstreamUrl, routes: [{ method: "GET", path: "/admin", rule: "admin:read" }, { method: "GET", path: "/notes", rule: "notes:search" }] };
  const four = () => new Auth().authenticate(byNameOf).on("threads", () => true).on("assistants", () => true).on("crons", () => true).on("store", () => true);
  const byNameOf = () => ({ identity: "alice", permissions: [] });

  it("are named where no handler is asked about them, from a text too", async () => {
    const { gate, told } = await gateWith({ auth: four(), upstream: routes });
    assert.match(told.join("\n"), /no handler for admin:read, notes:search: open to every user/);
    gate.close();
    const said = [];
    (await Gate.create(`// a text\n${JSON.stringify({ upstream: routes })}`, { auth: four().on("*:read", () => true), onWarning: (line) => said.push(line) })).close();
    assert.match(said.join("\n"), /no handler for notes:search: open to every user/);
    const covered = await gateWith({ auth: four().on("*", () => true), upstream: routes });
    assert.doesNotMatch(covered.told.join("\n"), /open to every user/);
    covered.gate.close();
  });

  it("a handler under a name that is no event is said to be never called, and is not", async () => {
    const { gate, told } = await gateWith({ auth: four().on("notes", () => assert.fail("called")), upstream: routes });
    assert.match(told[0], /auth\.on\("notes"\).*never called/);
    assert.match(told[1], /no handler for admin:read, notes:search/);
    assert.equal((await gate.handle(as("alice", "GET", "/notes"))).status, 200);
    gate.close();
  });
});
