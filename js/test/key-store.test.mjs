// Keys that outlive their instance: what a second-level store may do for a gate, and what it cannot do to it.
import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { cacheApiStore, Gate } from "postern";
import { currentCore } from "../dist/core.js";
import {
  aliceThread, config, deferred, issuer, jwks, jwksUrl, makeGate, quietly, request, threadId, tick, token,
} from "./support.mjs";

const path = `/threads/${threadId}/state`;
const table = { ...aliceThread, [`GET ${path}`]: () => Response.json({}) };
const down = { ...table, keys: () => Promise.reject(new TypeError("connection refused")) };
const call = (gate, options, more) => gate.handle(request("GET", path, more), options);

/** What was put last is what is got; both are counted. */
function memoryStore(text) {
  const store = {
    text, gets: 0, puts: 0,
    async get() {
      store.gets++;
      return store.text;
    },
    async put(kept) {
      store.puts++;
      store.text = kept;
    },
  };
  return store;
}

/** Text as the store keeps it, from a gate that has fetched the keys. */
async function keptText(more = {}, options = {}) {
  const keyStore = memoryStore();
  const { gate } = await makeGate(table, { keyStore, ...options }, more);
  assert.equal((await call(gate)).status, 200);
  await tick();
  gate.close();
  assert.ok(keyStore.text.includes("postern keys"));
  return keyStore.text;
}

const trapping = () => {
  const bytes = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 116, 0, 0, 10, 5, 1, 3, 0, 0, 11]);
  return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports.t;
};

test("a fetch is put into the store, and a cold start from it asks the issuer nothing", async () => {
  const keyStore = memoryStore();
  const background = [];
  const first = await makeGate(table, { keyStore });
  assert.equal(keyStore.gets, 0, "a gate is made without the store");
  assert.equal((await call(first.gate, { waitUntil: (work) => background.push(work) })).status, 200);
  await Promise.all(background);
  assert.deepEqual([keyStore.gets, keyStore.puts, first.keyFetches()], [1, 1, 1]);
  assert.equal((await call(first.gate)).status, 200);
  assert.deepEqual([keyStore.gets, keyStore.puts], [1, 1]);

  const second = await makeGate(table, { keyStore });
  for (let i = 0; i < 3; i++) assert.equal((await call(second.gate)).status, 200);
  assert.deepEqual([keyStore.gets, keyStore.puts, second.keyFetches()], [2, 1, 0]);
});

test("what is kept are public keys and their age, under a digest: nothing of a token", async () => {
  const secret = token();
  const keyStore = memoryStore();
  const { gate } = await makeGate(table, { keyStore });
  await call(gate, {}, { as: secret });
  await tick();
  const kept = JSON.parse(keyStore.text);
  assert.deepEqual(Object.keys(kept), ["format", "issuers"]);
  assert.deepEqual(Object.keys(kept.issuers[0]), ["config", "fetched_at_ms", "max_age_seconds", "jwks"]);
  assert.deepEqual(JSON.parse(kept.issuers[0].jwks), jwks);
  assert.ok(!secret.split(".").some((part) => keyStore.text.includes(part)));
});

test("the store's keys keep their age: they are refreshed when they were due, and that is put again", async () => {
  const clock = { now: Date.now() };
  const keyStore = memoryStore(await keptText());
  const { gate, keyFetches } = await makeGate(table, { keyStore, now: () => clock.now });
  await call(gate, {}, { as: null });  // there are no keys yet, so nothing is due for long
  clock.now += 500_000;
  assert.equal((await call(gate)).status, 200);
  assert.deepEqual([keyFetches(), keyStore.puts], [0, 0]);
  clock.now += 60_000;  // within a minute of max age
  assert.equal((await call(gate)).status, 200);
  await tick();
  assert.deepEqual([keyFetches(), keyStore.puts], [1, 1]);
});

test("without a credential the store is not read", async () => {
  const keyStore = memoryStore();
  const { gate } = await makeGate(table, { keyStore });
  assert.equal((await call(gate, {}, { as: null })).status, 401);
  assert.equal(keyStore.gets, 0);
  await assert.rejects(gate.authenticate(request("GET", "/", { as: null })), { code: "credential_missing" });
  assert.equal(keyStore.gets, 0);
  assert.equal((await gate.authenticate(request("GET", "/"))).identity, "alice");
  assert.equal(keyStore.gets, 1);
});

test("an empty store is read once", async () => {
  for (const nothing of [undefined, null, ""]) {
    const keyStore = memoryStore(nothing);
    const { gate } = await makeGate(down, { keyStore });
    for (let i = 0; i < 3; i++) assert.equal((await call(gate)).status, 503);
    assert.deepEqual([keyStore.gets, keyStore.puts], [1, 0]);
  }
});

test("the issuer is down: keys past their age serve from the store, within the stale bound", async () => {
  const text = await keptText();
  for (const [seconds, status] of [[700, 200], [4000, 200], [4300, 503]]) {
    const now = () => Date.now() + seconds * 1000;
    const { gate } = await makeGate(down, { keyStore: memoryStore(text), now });
    assert.equal((await call(gate, {}, { as: token({ exp: Math.floor(Date.now() / 1000) + 9000 }) })).status, status, `${seconds} s`);
  }
});

test("a store that does not answer delays no longer than its limit, and nobody after the first fetch", async () => {
  const warnings = [];
  let gets = 0;
  const keyStore = { get: () => (gets++, new Promise(() => {})), put: async () => {} };
  const { gate, keyFetches } = await makeGate(table, { keyStore, onWarning: (warning) => warnings.push(warning) });
  const startedAt = performance.now();
  assert.equal((await call(gate)).status, 200);
  const took = performance.now() - startedAt;
  assert.ok(took > 400 && took < 2000, `${took} ms`);
  assert.equal((await call(gate)).status, 200);
  assert.deepEqual([gets, keyFetches()], [1, 1]);
  assert.deepEqual(warnings, ["the key store could not be read: Stalled"]);
});

test("what a slow store brings too late serves the next request", async () => {
  const answer = deferred();
  const { gate } = await makeGate(down, { keyStore: { get: () => answer.promise, put: async () => {} }, onWarning() {} });
  assert.equal((await call(gate)).status, 503);
  answer.resolve(await keptText());
  await tick();
  assert.equal((await call(gate)).status, 200);
});

test("what a slow store brings too late frees those who wait for the issuer", async () => {
  const answer = deferred();
  const { gate } = await makeGate(
    { ...table, keys: () => new Promise(() => {}) }, { keyStore: { get: () => answer.promise, put: async () => {} }, onWarning() {} },
  );
  const settled = [];
  for (const name of ["carries the fetch", "waits for it"]) call(gate).then(({ status }) => settled.push([name, status]));
  const text = await keptText();
  await tick(700);  // both are past the store
  assert.deepEqual(settled, []);
  answer.resolve(text);
  await tick(500);  // a wait that nothing ends takes two seconds
  assert.deepEqual(settled, [["waits for it", 200]]);
});

test("no request waits for another's read of the store", async () => {
  const text = await keptText();
  let gets = 0;
  const keyStore = { get: () => (gets++ === 0 ? new Promise(() => {}) : Promise.resolve(text)), put: async () => {} };
  const { gate, keyFetches } = await makeGate(table, { keyStore, onWarning() {} });
  const order = [];
  await Promise.all(["first", "second"].map(async (name) => {
    assert.equal((await call(gate)).status, 200);
    order.push(name);
  }));
  assert.deepEqual(order, ["second", "first"]);
  assert.deepEqual([gets, keyFetches()], [2, 0]);
});

test("a store that throws: the issuer is asked, and one warning names no more than the kind of fault", async () => {
  const secret = new Error("https://store.example/?key=hidden");
  for (const keyStore of [
    { get() { throw secret; }, put() { throw secret; } },
    { get: () => Promise.reject(secret), put: () => Promise.reject(secret) },
    { get: async () => ({ keys: [] }), put: async () => {} },
    {},
  ]) {
    const warnings = [];
    const { gate, keyFetches } = await makeGate(table, { keyStore, onWarning: (warning) => warnings.push(warning) });
    for (let i = 0; i < 2; i++) assert.equal((await call(gate)).status, 200);
    await tick();
    assert.equal(keyFetches(), 1);
    assert.equal(warnings.length, 1, warnings.join("\n"));
    assert.match(warnings[0], /^the key store could not be read: (Type)?Error$/);
  }
});

test("a store that cannot be written: one warning, to the console where nobody else is told", async () => {
  const { gate } = await makeGate(table, { keyStore: { get: async () => undefined, put: () => Promise.reject(new Error("full")) } });
  const said = await quietly(async () => {
    assert.equal((await call(gate)).status, 200);
    await tick();
  });
  assert.deepEqual(said, ["postern: the key store could not be written: Error"]);
});

test("onWarning that throws changes no answer", async () => {
  const keyStore = { get: () => Promise.reject(new Error()), put: () => Promise.reject(new Error()) };
  const { gate } = await makeGate(table, { keyStore, onWarning() { throw new Error("observer"); } });
  assert.equal((await call(gate)).status, 200);
});

test("a store that keeps failing is left alone", async () => {
  let gets = 0;
  const keyStore = { get: () => (gets++, Promise.reject(new Error())), put: async () => {} };
  const { gate } = await makeGate(down, { keyStore, onWarning() {} });
  for (let i = 0; i < 6; i++) assert.equal((await call(gate)).status, 503);
  assert.equal(gets, 3);
});

test("the client leaves while the store is read", async () => {
  const client = new AbortController();
  const { gate, decisions } = await makeGate(table, { keyStore: { get: () => new Promise(() => {}), put: async () => {} } });
  const answer = call(gate, {}, { signal: client.signal });
  await tick(5);
  client.abort();
  assert.equal((await answer).status, 499);
  assert.equal(decisions[0].outcome, "left");
  const gone = new AbortController();
  gone.abort();
  const failing = await makeGate(table, { keyStore: { get: () => Promise.reject(new Error()), put: async () => {} }, onWarning() {} });
  assert.equal((await call(failing.gate, {}, { signal: gone.signal })).status, 499);
});

test("a put that hangs holds no answer back, and is part of the background work", async () => {
  const held = deferred();
  const background = [];
  const { gate } = await makeGate(table, { keyStore: { get: async () => undefined, put: () => held.promise } });
  assert.equal((await call(gate, { waitUntil: (work) => background.push(work) })).status, 200);
  assert.equal(background.length, 1);
  let done = false;
  background[0].then(() => (done = true));
  await tick(5);
  assert.equal(done, false);
  held.resolve();
  await background[0];
});

test("poisoned text is refused: the issuer is asked, and a key that only the text has opens nothing", async () => {
  const mallory = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const stolen = JSON.stringify({ keys: [{ ...mallory.publicKey.export({ format: "jwk" }), kid: "k1", alg: "ES256", use: "sig" }] });
  const [head, claims] = token().split(".");
  const forged = `${head}.${claims}.${sign("sha256", Buffer.from(`${head}.${claims}`), { key: mallory.privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;

  const altered = (text, change) => {
    const kept = JSON.parse(text);
    kept.issuers.forEach((one) => change(one, (one.jwks = stolen)));
    return JSON.stringify(kept);
  };
  const own = await keptText();
  const other = await keptText({ issuers: [{ issuer, audience: "agents", jwks_uri: jwksUrl, jwks_origins: ["https://other.example"] }] });
  const poisons = {
    "another configuration's": altered(other, () => {}),
    "from the future": altered(own, (one) => (one.fetched_at_ms += 3_600_000)),
    "past the stale bound": altered(own, (one) => (one.fetched_at_ms -= 4_300_000)),
    "without a digest": altered(own, (one) => delete one.config),
    "with an age that is none": altered(own, (one) => (one.fetched_at_ms = "now")),
    "another format": altered(own, () => {}).replace("postern keys 1", "postern keys 2"),
    "a name given twice": altered(own, () => {}).replace('"format"', '"format":"postern keys 1","format"'),
    "a plain JWK Set": stolen,
    "no JSON": "{",
    "no Unicode": "\ud800",
    "far too long": " ".repeat(64 * 1024 * 1024),
  };
  const memoryBytes = (await currentCore()).memoryBytes;
  // Whoever can write to the store decides who gets in: without a fault of its own such text is taken.
  const control = await makeGate(table, { keyStore: memoryStore(altered(own, () => {})) });
  assert.equal((await call(control.gate, {}, { as: forged })).status, 200);
  for (const [what, text] of Object.entries(poisons)) {
    const keyStore = memoryStore(text);
    const { gate, keyFetches } = await makeGate(table, { keyStore });
    assert.equal((await call(gate, {}, { as: forged })).status, 401, what);
    assert.equal((await call(gate)).status, 200, what);
    await tick();
    assert.equal(keyFetches(), 1, what);
    assert.notEqual(keyStore.text, text, `${what}: the store is mended by what was fetched`);
    gate.close();
  }
  assert.equal((await currentCore()).memoryBytes, memoryBytes);
});

test("a set that is refused in the store is refused whole: no key of it is used", async () => {
  const text = await keptText();
  const kept = JSON.parse(text);
  kept.issuers[0].jwks = JSON.stringify({ keys: [...jwks.keys, { kty: "oct", k: "AAAA", kid: "s" }] });
  const { gate, keyFetches } = await makeGate(table, { keyStore: memoryStore(JSON.stringify(kept)) });
  assert.equal((await call(gate)).status, 200);
  assert.equal(keyFetches(), 1);
});

test("after a trap the new instance reads the store again", async () => {
  const keyStore = memoryStore();
  const { gate, keyFetches } = await makeGate(table, { keyStore });
  assert.equal((await call(gate)).status, 200);
  await tick();
  await quietly(async () => {
    (await currentCore()).exportsForTests.postern_next = trapping();
    assert.equal((await call(gate)).status, 500);
  });
  assert.equal((await call(gate)).status, 200);
  assert.deepEqual([keyStore.gets, keyFetches()], [2, 1]);
});

test("text that makes the instance trap does so once", async () => {
  const warnings = [];
  const keyStore = memoryStore(await keptText());
  const { gate, keyFetches } = await makeGate(table, { keyStore, onWarning: (warning) => warnings.push(warning) });
  (await currentCore()).exportsForTests.postern_import_keys = trapping();
  await quietly(async () => assert.equal((await call(gate)).status, 500));
  assert.equal((await call(gate)).status, 200);
  assert.deepEqual([keyStore.gets, keyFetches()], [1, 1]);
  assert.deepEqual(warnings, ["the key store could not be read: CoreTrapped (RuntimeError)"]);
});

test("keyFaults: what was wrong with an issuer, until it is mended", async () => {
  let answer = () => new Response("gone", { status: 500 });
  const clock = { now: Date.now() };
  const { gate } = await makeGate({ ...table, keys: () => answer() }, { now: () => clock.now });
  assert.deepEqual(gate.keyFaults(), []);
  assert.equal((await call(gate)).status, 503);
  assert.deepEqual(gate.keyFaults(), [`${issuer}: JWK Set: status 500`]);
  answer = () => Response.json(jwks);
  clock.now += 2_000;
  assert.equal((await call(gate)).status, 200);
  assert.deepEqual(gate.keyFaults(), []);
  gate.close();
  assert.deepEqual(gate.keyFaults(), []);
});

test("handles that name no gate, and a time that is none: nothing is given and nothing taken", async () => {
  const core = await currentCore();
  assert.deepEqual([core.exportKeys(1), core.keysVersion(1), core.importKeys(1, "{}", 0), core.keyFaults(1)], ["", 0, 0, []]);
  const { handle } = core.createGate(JSON.stringify(config()), []);
  const text = await keptText();
  assert.deepEqual([Number.NaN, -1, 1e300].map((now) => core.importKeys(handle, text, now)), [0, 0, 0]);
  assert.equal(core.importKeys(handle, text, Date.now()), 1);
  core.closeGate(handle);
  assert.equal(core.dead, false);
});

test("cacheApiStore: a private URL for each set of issuers, for as long as the keys can be of use", async (context) => {
  const caches = new Map();
  const opened = [];
  globalThis.caches = {
    open: async (name) => {
      opened.push(name);
      return {
        match: async (url) => caches.get(url)?.clone(),
        put: async (url, response) => void caches.set(url, response),
      };
    },
  };
  context.after(() => delete globalThis.caches);

  const background = [];
  const first = await makeGate(table, { keyStore: cacheApiStore(config()) });
  assert.equal((await call(first.gate, { waitUntil: (work) => background.push(work) })).status, 200);
  await Promise.all(background);
  const second = await makeGate(table, { keyStore: cacheApiStore(config()) });
  assert.equal((await call(second.gate)).status, 200);
  assert.equal(second.keyFetches(), 0);
  assert.deepEqual(new Set(opened), new Set(["postern-keys"]));
  const [[url, kept]] = caches;
  assert.match(url, /^https:\/\/postern\.invalid\/keys\/[0-9a-f]{64}$/);
  assert.equal(kept.headers.get("cache-control"), "max-age=4200");

  const putUnder = async (...args) => {
    caches.clear();
    await cacheApiStore(...args).put("x");
    const [[key, response]] = caches;
    return [key, response.headers.get("cache-control")];
  };
  const [plain] = config().issuers;
  const named = async (change, options) => (await putUnder({ ...config(), issuers: [{ ...plain, ...change }] }, options))[0];
  assert.equal(await named({ audience: "others", require: { a: "b" } }), url, "rules about claims do not make the keys others'");
  assert.equal(await named({ symmetric_keys: [{ alg: "HS256", secret: "s" }] }), url, "no secret enters the name");
  for (const change of [{ issuer: "https://other.example" }, { jwks_uri: "https://other.example" }, { jwks_origins: ["https://o.example"] }]) {
    assert.notEqual(await named(change), url);
  }
  assert.equal(await named({}, { origin: "https://gate.example" }), url.replace("postern.invalid", "gate.example"));
  const long = { ...config(), issuers: [plain, { ...plain, max_age_seconds: 1000, stale_seconds_max: 0 }, { ...plain, stale_seconds_max: 7200 }] };
  assert.equal((await putUnder(long))[1], "max-age=7800");
  assert.equal((await putUnder(JSON.stringify(config())))[1], "max-age=4200");
});

test("cacheApiStore where there is no Cache API, or no configuration: told once, and the issuer is asked", async () => {
  assert.equal(globalThis.caches, undefined);
  const warnings = [];
  const { gate } = await makeGate(table, { keyStore: cacheApiStore(config()), onWarning: (warning) => warnings.push(warning) });
  assert.equal((await call(gate)).status, 200);
  await tick();
  assert.equal(warnings.length, 1);
  await assert.rejects(Gate.create({}, { keyStore: cacheApiStore({}) }), { name: "ConfigError" });
});
