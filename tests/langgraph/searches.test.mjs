// Does a search through the gate return what filtering everything by the filter would?
//
// Policies, users, threads, offsets, limits and orders are drawn; the answer is compared with a filter of our own over all the
// threads. Most rounds run against a small server in memory that searches as the real ones do (and answers the gate alone), a few
// against the real JS server. Between two pages other people make threads.
//
//   POSTERN_SEED=N     draws the same again; a failure names its seed
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { startAgent } from "../support/services.mjs";
import { person, startGate, straight } from "./world.mjs";

const seed = Number(process.env.POSTERN_SEED ?? Date.now() % 1e9);
let state = seed >>> 0;
/** mulberry32: the same numbers for the same seed. */
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (n) => Math.floor(random() * n);
const oneOf = (list) => list[below(list.length)];

// ---------------------------------------------------------------------------------------------- what is drawn

const teams = ["red", "green", "blue"];
const scalars = ["red", "green", "x", 1, 2, true, false];

function drawMetadata(identity) {
  const metadata = {};
  if (random() < 0.8) metadata.owner = oneOf([identity, "somebody", "else"]);
  if (random() < 0.6) metadata.team = oneOf([...teams, 1, null, ["red"]]);
  if (random() < 0.6) metadata.labels = teams.filter(() => random() < 0.5);
  if (random() < 0.3) metadata.level = oneOf([1, 2, "1"]);
  return metadata;
}

/** A filter as a policy may hold it. */
function drawFilter(depth = 2) {
  const kind = random();
  if (depth > 0 && kind < 0.3) return { $or: Array.from({ length: 2 + below(2) }, () => drawFilter(depth - 1)) };
  if (depth > 0 && kind < 0.45) return { $and: Array.from({ length: 2 }, () => drawFilter(depth - 1)) };
  if (kind < 0.6) return { labels: { $contains: random() < 0.5 ? oneOf(teams) : [oneOf(teams)] } };
  if (kind < 0.75) return { owner: "$user.identity" };
  const field = oneOf(["owner", "team", "level"]);
  const value = field === "owner" ? oneOf(["somebody", "$user.identity"]) : field === "team" ? oneOf(["red", "green", "$user.claims.team"]) : oneOf([1, 2]);
  return { [field]: random() < 0.5 ? value : { $eq: value } };
}

/** LangGraph's words, read once more: what the gate's own matcher is compared with. */
function admits(filter, metadata, user) {
  const resolve = (value) => (value === "$user.identity" ? user.id : value === "$user.claims.team" ? user.team : value);
  return Object.entries(filter).every(([key, condition]) => {
    if (key === "$and") return condition.every((one) => admits(one, metadata, user));
    if (key === "$or") return condition.some((one) => admits(one, metadata, user));
    const stored = metadata[key];
    if (condition !== null && typeof condition === "object" && "$contains" in condition) {
      return Array.isArray(stored) && [condition.$contains].flat().every((wanted) => stored.includes(resolve(wanted)));
    }
    const wanted = resolve(condition !== null && typeof condition === "object" ? condition.$eq : condition);
    return Object.hasOwn(metadata, key) && stored === wanted;
  });
}

const contains = (metadata, wanted) => Object.entries(wanted ?? {}).every(([key, value]) => Object.hasOwn(metadata, key) && JSON.stringify(metadata[key]) === JSON.stringify(value));

const orders = [
  {},
  { sort_by: "created_at", sort_order: "asc" },
  { sort_by: "created_at", sort_order: "desc" },
  { sort_by: "updated_at", sort_order: "asc" },
  { sort_by: "thread_id", sort_order: "asc" },
  { sort_by: "thread_id", sort_order: "desc" },
];
const inOrder = (threads, { sort_by = "created_at", sort_order = "desc" }) =>
  [...threads].sort((a, b) => (a[sort_by] < b[sort_by] ? -1 : a[sort_by] > b[sort_by] ? 1 : 0) * (sort_order === "asc" ? 1 : -1));

// -------------------------------------------------------------------------------------- a server that searches

/** Threads in memory, searched as both servers do it: containment in metadata, ids, select, order, limit and offset, headers. */
async function startSearchServer() {
  let threads = [];
  let clock = 0;
  const hooks = { after: (/** @type {string} */ _route) => {} };
  const make = (metadata, id = randomUUID()) => {
    // Times of their own, and some that two threads share.
    clock += random() < 0.2 ? 0 : 1;
    const at = new Date(Date.UTC(2026, 0, 1) + clock * 1000).toISOString();
    const thread = { thread_id: id, created_at: at, updated_at: at, metadata, status: "idle", values: { text: "v" } };
    threads.push(thread);
    return thread;
  };
  const server = createServer(async (message, reply) => {
    let text = "";
    for await (const chunk of message) text += chunk;
    const body = text === "" ? {} : JSON.parse(text);
    const send = (status, json, headers = {}) => reply.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(json));
    const route = `${message.method} ${message.url}`;
    if (route === "POST /threads/search" || route === "POST /threads/count") {
      const found = inOrder(threads, body).filter((thread) => (!body.ids?.length || body.ids.includes(thread.thread_id)) && contains(thread.metadata, body.metadata));
      if (route.endsWith("count")) return send(200, found.length);
      const { offset = 0, limit = 10 } = body;
      const page = found.slice(offset, offset + limit);
      const more = found.length > offset + page.length;
      send(200, page.map((thread) => (body.select ? Object.fromEntries(body.select.map((name) => [name, thread[name]])) : thread)), {
        "x-pagination-total": String(offset + page.length + (more ? 1 : 0)),
        ...(more && { "x-pagination-next": String(offset + page.length) }),
      });
    } else if (route === "POST /threads") {
      const existing = threads.find((thread) => thread.thread_id === body.thread_id);
      if (existing && body.if_exists !== "do_nothing") send(409, { detail: "taken" });
      else send(200, existing ?? make(body.metadata ?? {}, body.thread_id));
    } else if (/^GET \/threads\/[^/]+$/.test(route)) {
      const found = threads.find((thread) => route.endsWith(thread.thread_id));
      send(found ? 200 : 404, found ?? {});
    } else if (/^POST \/threads\/[^/]+\/runs/.test(route)) {
      const id = route.split("/")[2];
      if (!threads.some((thread) => thread.thread_id === id)) {
        if (body.if_not_exists !== "create") return send(404, { detail: "not found" });
        make(body.metadata ?? {}, id);
      }
      runs.push({ thread_id: id, metadata: body.metadata });
      send(200, { run_id: randomUUID(), thread_id: id });
    } else send(404, {});
  });
  const runs = [];
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    hooks,
    make,
    runs,
    get threads() {
      return threads;
    },
    reset() {
      threads = [];
      runs.length = 0;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

// ------------------------------------------------------------------------------------------------ the comparison

/** A page is right when it is the slice of all that is admitted, but for the order among those with one sort key. */
function comparePage(page, all, { offset, limit, order }, what) {
  const sortBy = order.sort_by ?? "created_at";
  const expected = all.slice(offset, offset + limit);
  assert.equal(page.length, expected.length, `${what}: ${page.length} threads instead of ${expected.length}`);
  const ids = new Set(all.map((thread) => thread.thread_id));
  assert.equal(new Set(page.map((thread) => thread.thread_id)).size, page.length, `${what}: one thread twice`);
  page.forEach((thread, i) => {
    assert.ok(ids.has(thread.thread_id), `${what}: a thread that the filter does not admit`);
    const whole = all.find((one) => one.thread_id === thread.thread_id);
    assert.equal(whole[sortBy], expected[i][sortBy], `${what}: out of order at ${i}`);
  });
}

function compareHeaders(headers, all, { offset, limit }, what) {
  const reached = offset + Math.max(0, Math.min(limit, all.length - offset));
  const more = all.length > reached;
  assert.equal(headers.get("x-pagination-total"), String(reached + (more ? 1 : 0)), `${what}: x-pagination-total`);
  assert.equal(headers.get("x-pagination-next"), more ? String(reached) : null, `${what}: x-pagination-next`);
}

const rounds = 60;
const searchesPerRound = 8;

describe(`searches, seed ${seed}`, () => {
  let server;
  before(async () => (server = await startSearchServer()));
  after(() => server?.stop());

  it("return what filtering everything returns, headers and counts too", async () => {
    let notEmpty = 0;
    let paged = 0;
    for (let round = 0; round < rounds; ++round) {
      server.reset();
      const team = oneOf(teams);
      const user = { ...person("user", { team }), team };
      const filter = drawFilter();
      for (let i = below(120); i > 0; --i) server.make(drawMetadata(user.id));
      const gate = await startGate(server.url, { policy: { threads: { filter } } });
      try {
        for (let i = 0; i < searchesPerRound; ++i) {
          const order = oneOf(orders);
          const asked = random() < 0.3 ? { team: oneOf(scalars) } : undefined;
          const query = { offset: random() < 0.5 ? 0 : below(60), limit: 1 + below(30), order };
          const select = random() < 0.3 ? ["thread_id"] : undefined;
          const what = `seed ${seed}, round ${round}, ${JSON.stringify({ filter, ...query, asked, select })}`;
          // A field that the filter fixes is the filter's, as under LangGraph's add_owner: then there is nothing else to compare with.
          const admitted = server.threads.filter((thread) => admits(filter, thread.metadata, user));
          const all = inOrder(admitted.filter((thread) => contains(thread.metadata, asked)), order);
          const fixed = asked !== undefined && JSON.stringify(filter).includes('"team"');
          if (fixed) continue;
          const reply = await gate.send("POST", "/threads/search", { as: user, body: { ...order, offset: query.offset, limit: query.limit, ...(asked && { metadata: asked }), ...(select && { select }) } });
          assert.equal(reply.status, 200, `${what}: ${reply.status} ${reply.text}`);
          comparePage(reply.json, all, query, what);
          compareHeaders(reply.headers, all, query, what);
          if (select) for (const thread of reply.json) assert.deepEqual(Object.keys(thread), select, what);
          const count = await gate.send("POST", "/threads/count", { as: user, body: asked ? { metadata: asked } : {} });
          assert.equal(count.json, all.length, `${what}: counted ${count.text} of ${all.length}`);
          notEmpty += reply.json.length > 0 ? 1 : 0;
          paged += reply.headers.has("x-pagination-next") ? 1 : 0;
        }
      } finally {
        gate.stop();
      }
    }
    assert.ok(notEmpty > 80 && paged > 20, `${notEmpty} searches found something, ${paged} had a next page: the draw is no test`);
  });

  it("page by page give every admitted thread once, while others make threads", async () => {
    for (let round = 0; round < 20; ++round) {
      server.reset();
      const team = oneOf(teams);
      const user = { ...person("user", { team }), team };
      const filter = drawFilter();
      for (let i = 60 + below(60); i > 0; --i) server.make(drawMetadata(user.id));
      const order = { sort_by: "created_at", sort_order: "asc" };
      const admitted = server.threads.filter((thread) => admits(filter, thread.metadata, user));
      const gate = await startGate(server.url, {
        policy: { threads: { filter } },
        // Between any two calls to the server, threads of all sorts come to its end.
        between: () => void server.make(drawMetadata(random() < 0.5 ? user.id : "other")),
      });
      try {
        const got = new Map();
        for (let offset = 0, pages = 0; ; ++pages) {
          assert.ok(pages < 200, `seed ${seed}, round ${round}: no end`);
          const reply = await gate.send("POST", "/threads/search", { as: user, body: { ...order, offset, limit: 7 } });
          assert.equal(reply.status, 200, reply.text);
          for (const thread of reply.json) {
            assert.ok(admits(filter, thread.metadata, user), `seed ${seed}, round ${round}: not admitted`);
            got.set(thread.thread_id, (got.get(thread.thread_id) ?? 0) + 1);
          }
          const next = reply.headers.get("x-pagination-next");
          if (next === null || got.size > admitted.length + 40) break;
          offset = Number(next);
        }
        const tied = new Set(server.threads.map((one) => one.created_at)).size < server.threads.length;
        for (const thread of admitted) assert.ok(got.has(thread.thread_id), `seed ${seed}, round ${round}, ${JSON.stringify(filter)}: a thread is missing`);
        if (!tied) for (const times of got.values()) assert.equal(times, 1, `seed ${seed}, round ${round}: a thread twice`);
      } finally {
        gate.stop();
      }
    }
  });

  it("reach no further than their bounds, and then say 422", async () => {
    server.reset();
    const user = person("user");
    for (let i = 0; i < 1100; ++i) server.make({ labels: ["red"], owner: user.id });
    const gate = await startGate(server.url, { policy: { threads: { filter: { $or: [{ owner: "$user.identity" }, { team: "red" }] } } } });
    try {
      const far = await gate.send("POST", "/threads/search", { as: user, body: { offset: 990, limit: 20 } });
      assert.equal(far.status, 422);
      assert.equal(far.json.code, "search_not_enforceable");
      const near = await gate.send("POST", "/threads/search", { as: user, body: { offset: 970, limit: 20 } });
      assert.equal(near.status, 200, near.text);
      assert.equal(near.json.length, 20);
    } finally {
      gate.stop();
    }
  });
});

describe(`the real JS server, seed ${seed}`, () => {
  let agent;
  before(async () => (agent = await startAgent("js")));
  after(() => agent?.stop());

  it("is searched through the gate as it is filtered", async () => {
    const past = straight(agent.url);
    const team = oneOf(teams);
    const user = { ...person("user", { team }), team };
    for (let i = 0; i < 80; ++i) {
      // Only what this server takes and finds again as it is.
      const reply = await past("POST", "/threads", { body: { metadata: drawMetadata(user.id) } });
      assert.equal(reply.status, 200, reply.text);
    }
    const everything = (await past("POST", "/threads/search", { body: { limit: 1000 } })).json;
    for (let round = 0; round < 25; ++round) {
      const filter = drawFilter();
      const gate = await startGate(agent.url, { policy: { threads: { filter } } });
      try {
        const order = oneOf(orders);
        const query = { offset: below(20), limit: 1 + below(15), order };
        const all = inOrder(everything.filter((thread) => admits(filter, thread.metadata, user)), order);
        const what = `seed ${seed}, round ${round}, ${JSON.stringify({ filter, ...query })}`;
        const reply = await gate.send("POST", "/threads/search", { as: user, body: { ...order, offset: query.offset, limit: query.limit } });
        assert.equal(reply.status, 200, `${what}: ${reply.text}`);
        comparePage(reply.json, all, query, what);
        const count = await gate.send("POST", "/threads/count", { as: user, body: {} });
        assert.equal(count.json, all.length, `${what}: counted ${count.text} of ${all.length}`);
      } finally {
        gate.stop();
      }
    }
  });
});

describe("creating against somebody who is faster", () => {
  let server;
  before(async () => (server = await startSearchServer()));
  after(() => server?.stop());
  const message = { messages: [{ role: "user", content: "hello" }] };
  const run = { assistant_id: "agent", input: message };
  const ways = [
    ["threads.create", (id) => ["POST", "/threads", { thread_id: id }]],
    ["threads.create, do_nothing", (id) => ["POST", "/threads", { thread_id: id, if_exists: "do_nothing" }]],
    ["runs.create, if_not_exists=create", (id) => ["POST", `/threads/${id}/runs`, { ...run, if_not_exists: "create" }]],
    ["runs.wait, if_not_exists=create", (id) => ["POST", `/threads/${id}/runs/wait`, { ...run, if_not_exists: "create" }]],
  ];
  for (const [name, ask] of ways) {
    it(`${name}: the other's thread may come between any two calls`, async () => {
      const alice = person("alice");
      const bob = person("bob");
      // Before the first call, after it, after the second...: until the request is over before the other comes.
      let met = 0;
      for (let moment = 0; moment < 6; ++moment) {
        server.reset();
        const id = randomUUID();
        let calls = 0;
        const insert = () => void (server.threads.some((thread) => thread.thread_id === id) || server.make({ owner: alice.id, secret: "canary" }, id));
        if (moment === 0) insert();
        const gate = await startGate(server.url, { between: () => void (++calls === moment && insert()) });
        const [method, target, body] = ask(id);
        const reply = await gate.send(method, target, { as: bob, body });
        gate.stop();
        const thread = server.threads.find((one) => one.thread_id === id);
        const hers = thread?.metadata.owner === alice.id;
        if (hers) {
          met += 1;
          assert.ok([404, 409].includes(reply.status), `moment ${moment}: ${reply.status} ${reply.text}`);
          assert.ok(!reply.text.includes("canary"), `moment ${moment}`);
          assert.deepEqual(server.runs, [], `moment ${moment}: a run on alice's thread`);
          assert.deepEqual(thread.metadata, { owner: alice.id, secret: "canary" });
        } else {
          assert.equal(reply.status, 200, `moment ${moment}: ${reply.text}`);
          assert.equal(thread?.metadata.owner, bob.id);
        }
      }
      assert.ok(met >= 1 && (target_takes_more(name) ? met >= 2 : true), `the other came in time only ${met} times`);
    });
  }
  /** A run has a look before it and a creation: there is a moment between. @param {string} name */
  function target_takes_more(name) {
    return name.startsWith("runs.");
  }
});
