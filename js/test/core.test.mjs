// The wasm instance from below the Gate: handles, limits, memory, and what happens when it traps.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { aliceThread, config, deferred, jwks, makeGate, quietly, request, threadId, tick, token } from "./support.mjs";
import { Core, CoreRefused, currentCore } from "../dist/core.js";
import { hostErrors } from "../dist/errors.js";

const now = 1_800_000_000_000;
const bearer = [["authorization", `Bearer ${token()}`]];
// One that is not over with its first step: it needs the issuer's keys.
const open = (core, gate) => core.open(gate, "authenticate", "GET", "/threads", bearer, now).exchange;
const gateOf = (core, settings = config()) => core.createGate(JSON.stringify(settings), []).handle;

// A function whose call traps, as the core's own abort does.
const trapping = () => {
  const bytes = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 116, 0, 0, 10, 5, 1, 3, 0, 0, 11]);
  return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports.t;
};

test("the list of errors is the core's", async () => {
  const core = await currentCore();
  const source = readFileSync(new URL("../src/errors.ts", import.meta.url), "utf8");
  const union = source.slice(source.indexOf("export type ErrorCode"));
  const listed = [...union.slice(0, union.indexOf(";")).matchAll(/\| "(\w+)"/g)].map(([, code]) => code);
  assert.deepEqual(listed, core.errors.map((row) => row.code));
  for (const [code, [status, sentence]] of Object.entries(hostErrors)) {
    assert.deepEqual(core.errors.find((row) => row.code === code), { code, status, sentence });
  }
});

test("a handle names one exchange: closed, made up or of a closed gate, it is refused", async () => {
  const core = await currentCore();
  const gate = gateOf(core);
  const first = open(core, gate);
  core.close(first);
  core.close(first);
  assert.throws(() => core.next(first, now), CoreRefused);
  assert.throws(() => core.next(0, now), CoreRefused);
  assert.throws(() => core.next(0xffff_ffff, now), CoreRefused);
  const second = open(core, gate);
  assert.notEqual(second, first);
  core.closeGate(gate);
  assert.throws(() => core.next(second, now), CoreRefused);
  assert.throws(() => open(core, gate), CoreRefused);
  assert.throws(() => core.due(gate, now), CoreRefused);
  assert.equal(core.dead, false);
});

test("the open exchanges are bounded, and a closed one makes room", async () => {
  const core = await currentCore();
  const gate = gateOf(core);
  const all = [];
  const refused = () => {
    for (;;) all.push(open(core, gate));
  };
  assert.throws(refused, (error) => error instanceof CoreRefused && error.code === "gate_overloaded");
  assert.equal(all.length, 4096);
  assert.equal(new Set(all).size, 4096);
  core.close(all[7]);
  const again = open(core, gate);
  assert.ok(!all.includes(again));
  core.closeGate(gate);
});

test("what is over with its first step takes no place", async () => {
  const core = await currentCore();
  const gate = gateOf(core);
  for (let count = 0; count < 5000; count++) {
    const { exchange, step } = core.open(gate, "handle", "GET", "/ok", [], now);
    assert.deepEqual([exchange, step.kind], [0, "forward"]);
    assert.deepEqual(core.open(gate, "handle", "GET", "/threads", [], now).step.status, 401);
  }
  core.closeGate(gate);
});

test("a gate that is full answers 503", async () => {
  const core = await currentCore();
  const { gate } = await makeGate({});
  const filler = gateOf(core);
  try {
    for (;;) open(core, filler);
  } catch {
    // full
  }
  const response = await gate.handle(request("GET", "/threads"));
  assert.deepEqual([response.status, (await response.json()).code], [503, "gate_overloaded"]);
  core.closeGate(filler);
  assert.equal((await gate.handle(request("GET", "/threads", { as: null }))).status, 401);
});

test("a result for another step ends the exchange in 500", async () => {
  const core = await currentCore();
  const gate = gateOf(core, { issuers: [{ issuer: config().issuers[0].issuer, audience: "agents", keys: jwks }], upstream: { url: "http://127.0.0.1:2024" } });
  const none = new Uint8Array(0);
  const start = () => {
    const { exchange, step } = core.open(gate, "handle", "POST", "/threads", bearer, Date.now());
    assert.equal(step.kind, "readBody");
    return { exchange, step };
  };
  for (const mislead of [
    ({ exchange, step }) => core.giveBody(exchange, step.stepId + 1n, "whole", none, Date.now()),
    ({ exchange, step }) => core.giveReply(exchange, step.stepId, { status: 200, headers: [], body: none }, Date.now()),
    ({ exchange, step }) => core.fail(exchange, step.stepId),
    () => {},  // asking on without giving anything
  ]) {
    const started = start();
    mislead(started);
    const step = core.next(started.exchange, Date.now());
    assert.deepEqual([step.kind, step.status], ["respond", 500]);
    core.close(started.exchange);
  }
  core.giveFetch(gate, 12345n, { status: 200, headers: [], body: none }, Date.now());  // unknown: dropped
  core.closeGate(gate);
});

test("text outside ASCII arrives whole, in and out", async () => {
  const core = await currentCore();
  const gate = gateOf(core, { issuers: [{ issuer: config().issuers[0].issuer, audience: "agents", keys: jwks }], upstream: { url: "http://127.0.0.1:2024" } });
  const name = "Ægir 🜁 ﷽";
  const headers = [["x-ü", "ÿ"], ["authorization", `Bearer ${token({ name })}`], ["x-€", "𝄞"]];
  const { exchange, step } = core.open(gate, "authenticate", "GET", "/é?ø=🜁", headers, Date.now());
  assert.equal(exchange, 0);
  assert.deepEqual([step.kind, step.user.displayName], ["authenticated", name]);
  assert.equal(step.user.claims.name, name);
  core.closeGate(gate);
});

test("large bodies do not stay: the memory does not grow with their number", async () => {
  const core = await currentCore();
  const gate = gateOf(core, { issuers: [{ issuer: config().issuers[0].issuer, audience: "agents", keys: jwks }], upstream: { url: "http://127.0.0.1:2024" } });
  const body = new TextEncoder().encode(JSON.stringify({ metadata: { text: "x".repeat(4_000_000) } }));
  const sizes = [];
  for (let i = 0; i < 12; i++) {
    const { exchange, step: read } = core.open(gate, "handle", "POST", "/threads", bearer, Date.now());
    core.giveBody(exchange, read.stepId, "whole", body, Date.now());
    assert.equal(core.next(exchange, Date.now()).kind, "forward");
    core.close(exchange);
    sizes.push(core.memoryBytes);
  }
  assert.equal(sizes.at(-1), sizes[3], `it went on growing: ${sizes}`);
  core.closeGate(gate);
});

test("a body larger than a message may be is refused without harm", async () => {
  const core = await currentCore();
  const gate = gateOf(core);
  const exchange = open(core, gate);
  const large = new Uint8Array(25 * 1024 * 1024);
  assert.throws(() => core.giveBody(exchange, 1n, "whole", large, now), CoreRefused);
  assert.equal(core.dead, false);
  core.closeGate(gate);
});

test("a trap: the request at hand and every open one end in 500, the next finds a new instance", async () => {
  const lookUp = deferred();
  const { gate, calls, decisions } = await makeGate({
    "POST /threads/search": (call) => lookUp.promise.then(() => aliceThread["POST /threads/search"](call)),
    [`GET /threads/${threadId}/state`]: () => Response.json({}),
  });
  const before = await currentCore();
  // One waits for the upstream when it happens; it must not be replayed in the new instance.
  const waiting = gate.handle(request("GET", `/threads/${threadId}/state`));
  await tick(20);
  const secret = token();
  const said = await quietly(async () => {
    before.exportsForTests.postern_next = trapping();
    const response = await gate.handle(request("GET", `/threads/${threadId}/state`, { as: secret }));
    assert.equal(response.status, 500);
    assert.deepEqual(await response.json(), { detail: "the host could not carry out a step", code: "host_failed" });
    assert.equal(before.dead, true);
    lookUp.resolve();
    assert.equal((await waiting).status, 500);
  });
  assert.ok(said.length > 0);
  assert.ok(said.every((line) => !line.includes(secret) && !line.includes(secret.split(".")[1])));
  const sent = calls.length;
  assert.equal((await gate.handle(request("GET", `/threads/${threadId}/state`))).status, 200);
  const after = await currentCore();
  assert.equal(after.epoch, before.epoch + 1);
  // Keys, look-up, state: all anew, and nothing of the two that failed.
  assert.equal(calls.length - sent, 3);
  assert.deepEqual(decisions.map(({ outcome }) => outcome), ["failed", "failed", "forwarded"]);
});

test("a real abort inside the wasm is a trap too", async () => {
  const core = await currentCore();
  const gate = gateOf(core);
  // The core refuses a clock that is not one: time must not become a moment at which everything is valid.
  await quietly(async () => assert.throws(() => core.open(gate, "handle", "GET", "/ok", [], Number.NaN), { name: "CoreTrapped" }));
  assert.equal(core.dead, true);
  assert.throws(() => open(core, gate), { name: "CoreTrapped" });
  core.close(1);
  core.closeGate(gate);
  const fresh = await currentCore();
  assert.notEqual(fresh, core);
  assert.ok(fresh instanceof Core);
});

test("requests that find the instance gone together share one new one", async () => {
  const { gate, keyFetches } = await makeGate({ ...aliceThread, [`GET /threads/${threadId}/state`]: () => Response.json({}) });
  const core = await currentCore();
  core.exportsForTests.postern_open = trapping();
  await quietly(async () => assert.equal((await gate.handle(request("GET", "/threads"))).status, 500));
  const all = await Promise.all(Array.from({ length: 10 }, () => gate.handle(request("GET", `/threads/${threadId}/state`))));
  assert.deepEqual(all.map((response) => response.status), Array(10).fill(200));
  assert.equal(keyFetches(), 1);
});
