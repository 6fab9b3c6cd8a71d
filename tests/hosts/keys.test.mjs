// The key engine over real HTTP: how often is an issuer asked that fails, is slow, rotates or is flooded, and who gets in?
//
// The seven situations through the native server and through the worker in workerd, against an issuer that fails by script,
// and a rotation of the real oidc-provider. Two of them need keys to come over their age: 30 s is the least that can be
// configured, so those gates are warmed first and looked at last. With a simulated clock the same situations are in
// tests/unit/key_cache_test.cpp, and through the npm package here, with the default ages.
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import Provider from "oidc-provider";
import { AuthError, Gate } from "postern";
import { startFlakyIssuer } from "../support/flaky-issuer.mjs";
import { leaksInFolder, partsOf } from "../support/leaks.mjs";
import { startRecordingUpstream } from "../support/recording-upstream.mjs";
import { freePort, logFolder, removeLogs, root, startGate, startService } from "../support/services.mjs";
import { makeKey, makeToken } from "../support/tokens.mjs";

const binary = process.env.POSTERN_BIN || join(root, "build/release/postern");
const hosts = /** @type {const} */ (["native", "edge"]);
const audience = "agents";
const ageSeconds = 30;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const alice = `alice-${randomUUID()}`;
const [first, second, third] = ["first", "second", "third"].map((kid) => makeKey("ES256", { kid }));
const attacker = makeKey("ES256", { kid: "attacker" });
const tokenOf = (issuer, key, lies = {}, more = {}) => {
  const now = Math.floor(Date.now() / 1000);
  return makeToken(key, { iss: issuer.url, aud: audience, sub: alice, iat: now, exp: now + 3600, ...more }, lies);
};
const invented = (issuer) => tokenOf(issuer, attacker, { header: { kid: `invented-${randomUUID()}` } });

const scratch = mkdtempSync(join(tmpdir(), "postern-keys-"));
let upstream;

// ----------------------------------------------------------------------------------------------------------- gates

/** A gate whose fetched keys are fresh for 30 s only. */
async function startShortLived(host, issuer) {
  if (host === "native") {
    const file = join(scratch, `${randomUUID()}.json`);
    const settings = { issuer: issuer.url, audience, jwks_uri: issuer.jwksUri, max_age_seconds: ageSeconds };
    writeFileSync(file, JSON.stringify({ issuers: [settings], upstream: { url: upstream.url } }));
    return startService("gate-native", [binary, "serve", "--config", file, "--listen", "127.0.0.1:0", "--log", "debug", "--ready-json"]);
  }
  return startWorker(["--issuer", issuer.url, "--jwks-uri", issuer.jwksUri, "--script", join(root, "tests/hosts/keys-worker.mjs")]);
}

/** A gate that finds the keys through the issuer's discovery document. */
async function startDiscovering(host, issuerUrl) {
  if (host === "native") {
    const flags = ["--upstream", upstream.url, "--issuer", issuerUrl, "--audience", audience];
    return startService("gate-native", [binary, "serve", ...flags, "--listen", "127.0.0.1:0", "--log", "debug", "--ready-json"]);
  }
  return startWorker(["--issuer", issuerUrl]);
}

async function startWorker(flags) {
  const common = ["--port", String(await freePort()), "--upstream", upstream.url, "--audience", audience];
  return startService("gate-edge", [process.execPath, join(root, "edge-worker/start.mjs"), ...common, ...flags], { timeoutSeconds: 120 });
}

// -------------------------------------------------------------------------------------------------------- requests

/** One request; what it was answered, or 0 when the client left. */
async function ask(gate, token, signal) {
  try {
    const reply = await fetch(`${gate.url}/threads/search`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: "{}",
      signal,
    });
    const body = await reply.json();
    if (reply.status === 503) assert.ok(Number(reply.headers.get("retry-after")) >= 1, "503 says when to come back");
    return { status: reply.status, code: body.code };
  } catch (error) {
    if (signal?.aborted) return { status: 0, code: undefined };
    throw error;
  }
}

/** How many of each answer. */
function tally(replies) {
  const counts = {};
  for (const { status, code } of replies) counts[code ?? status] = (counts[code ?? status] ?? 0) + 1;
  return counts;
}

/** Fifty that come together; with `leave` the first of them is gone before the issuer has answered. */
async function fifty(gate, issuer, tokens, { leave = false } = {}) {
  const before = issuer.fetches();
  if (!leave) {
    const replies = await Promise.all(tokens.map((token) => ask(gate, token)));
    return { counts: tally(replies), fetches: issuer.fetches() - before };
  }
  const release = issuer.hold();
  const leaving = new AbortController();
  const carrier = ask(gate, tokens[0], leaving.signal);
  await issuer.untilAsked(before + 1);
  const others = tokens.slice(1).map((token) => ask(gate, token));
  await pause(150);
  leaving.abort();
  assert.equal((await carrier).status, 0);
  await pause(150);
  release();
  return { counts: tally(await Promise.all(others)), fetches: issuer.fetches() - before };
}

const many = (count, make) => Array.from({ length: count }, make);

/** What the table at the end shows. @type {Map<string, Record<string, string>>} */
const table = new Map();
const note = (situation, host, what) => table.set(situation, { ...table.get(situation), [host]: what });
const told = ({ fetches, counts }) => `${fetches} ${fetches === 1 ? "fetch" : "fetches"}; ${Object.entries(counts).map(([what, count]) => `${what} x ${count}`).join(", ")}`;

// ------------------------------------------------------------------------------------------------------- the tests

before(async () => {
  upstream = await startRecordingUpstream();
});
after(async () => {
  await upstream.close();
  rmSync(scratch, { recursive: true, force: true });
  console.log("| 50 requests each | native | workerd | package, simulated clock |");
  console.log("|---|---|---|---|");
  for (const [situation, { native = "FAILED", edge = "FAILED", package: simulated = "" }] of table) console.log(`| ${situation} | ${native} | ${edge} | ${simulated} |`);
});

/** Warmed now, looked at when their keys are over their age. */
const aged = {};
before(async () => {
  for (const host of hosts) {
    const failing = await startFlakyIssuer({ keys: [first] });
    const removing = await startFlakyIssuer({ keys: [first, second] });
    const gates = [await startShortLived(host, failing), await startShortLived(host, removing)];
    aged[host] = { failing, removing, gates, warmedAt: Date.now() };
    assert.equal((await ask(gates[0], tokenOf(failing, first))).status, 200);
    assert.equal((await ask(gates[1], tokenOf(removing, second))).status, 200);
    aged[host].warmedAt = Date.now();
    failing.fail({ status: 500 });
    removing.publish(first);
  }
});
after(async () => {
  for (const { failing, removing, gates } of Object.values(aged)) {
    await Promise.all([...gates.map((gate) => gate.stop()), failing.close(), removing.close()]);
  }
});

for (const host of hosts) {
  describe(host, { timeout: 240_000 }, () => {
    const inUse = [];
    const issuerWith = async (...keys) => {
      const issuer = await startFlakyIssuer({ keys, latencyMs: 100 });
      inUse.push(() => issuer.close());
      return issuer;
    };
    const gateOf = async (issuer) => {
      // The seam that all tests of hosts use; keys are at the path it names.
      const gate = await startGate(host, { upstream: upstream.url, issuer: issuer.url, audience });
      inUse.push(() => gate.stop());
      return gate;
    };
    after(() => Promise.all(inUse.map((end) => end())));

    it("parallel cold: one fetch; then unknown kids: at most three, and good tokens never wait", async () => {
      const issuer = await issuerWith(first);
      const gate = await gateOf(issuer);
      const cold = await fifty(gate, issuer, many(50, () => tokenOf(issuer, first)));
      note("parallel cold", host, told(cold));
      assert.deepEqual(cold, { counts: { 200: 50 }, fetches: 1 });

      const before = issuer.fetches();
      const replies = [];
      for (let i = 0; i < 50; i++) {
        replies.push(await ask(gate, invented(issuer)));
        if (i % 10 === 0) assert.equal((await ask(gate, tokenOf(issuer, first))).status, 200);
      }
      const flood = { counts: tally(replies), fetches: issuer.fetches() - before };
      note("unknown kid, one after the other", host, told(flood));
      assert.ok(flood.fetches <= 3, told(flood));
      assert.ok(replies.every(({ status }) => status === 401 || status === 503), told(flood));

      const together = await fifty(gate, issuer, many(50, () => invented(issuer)));
      note("50 more of them at once", host, told(together));
      assert.ok(flood.fetches + together.fetches <= 4, "a token comes back to the bucket every 10 s");
    });

    it("parallel cold, the first client leaves: one fetch; then a key published just after it, a bad kid, a rotation", async () => {
      const issuer = await issuerWith(first);
      const gate = await gateOf(issuer);
      const cold = await fifty(gate, issuer, many(50, () => tokenOf(issuer, first)), { leave: true });
      note("parallel cold, the first client leaves", host, told(cold));
      assert.deepEqual(cold, { counts: { 200: 49 }, fetches: 1 });

      issuer.publish(first, second);
      const fresh = await fifty(gate, issuer, many(50, () => tokenOf(issuer, second)));
      note("a new key just after a fetch", host, told(fresh));
      assert.deepEqual(fresh, { counts: { 200: 50 }, fetches: 1 });

      assert.equal((await ask(gate, invented(issuer))).status, 401);
      issuer.publish(third);
      const rotated = await fifty(gate, issuer, many(50, () => tokenOf(issuer, third)));
      note("a bad kid, then a real rotation", host, told(rotated));
      assert.deepEqual(rotated, { counts: { 200: 50 }, fetches: 1 });
      assert.equal((await ask(gate, tokenOf(issuer, first))).status === 200, false, "the set was replaced, not added to");
    });

    it("unknown kids at once, the first client leaves: at most three fetches", async () => {
      const issuer = await issuerWith(first);
      const gate = await gateOf(issuer);
      assert.equal((await ask(gate, tokenOf(issuer, first))).status, 200);
      const flood = await fifty(gate, issuer, many(50, () => invented(issuer)), { leave: true });
      note("unknown kid at once, the first client leaves", host, told(flood));
      assert.ok(flood.fetches <= 3, told(flood));
      assert.ok(Object.keys(flood.counts).every((code) => ["key_unknown", "keys_unavailable"].includes(code)), told(flood));
    });

    it("an issuer that fails on a cold cache: at most three fetches, 503 for everybody, and good again when it is back", async () => {
      const issuer = await issuerWith(first);
      issuer.fail({ status: 500 });
      const gate = await gateOf(issuer);
      const before = issuer.fetches();
      const together = await fifty(gate, issuer, many(25, () => tokenOf(issuer, first)));
      const replies = [];
      for (let i = 0; i < 25; i++) replies.push(await ask(gate, tokenOf(issuer, first)));
      const all = { counts: { keys_unavailable: together.counts.keys_unavailable + tally(replies).keys_unavailable }, fetches: issuer.fetches() - before };
      note("endpoint 500, cold: 25 at once, 25 one after the other", host, told(all));
      assert.deepEqual(all.counts, { keys_unavailable: 50 });
      assert.ok(all.fetches <= 3, told(all));
      issuer.fail(undefined);
      for (let i = 0; ; i++) {
        const { status } = await ask(gate, tokenOf(issuer, first));
        if (status === 200) break;
        assert.ok(status === 503 && i < 50, `${status}`);
        await pause(200);
      }
    });

    it("an issuer that fails on a cold cache, the first client leaves: at most three fetches", async () => {
      const issuer = await issuerWith(first);
      issuer.fail({ status: 500 });
      const gate = await gateOf(issuer);
      const all = await fifty(gate, issuer, many(50, () => tokenOf(issuer, first)), { leave: true });
      note("endpoint 500, cold, the first client leaves", host, told(all));
      assert.deepEqual(all.counts, { keys_unavailable: 49 });
      assert.ok(all.fetches <= 3, told(all));
    });

    // Each takes a gate of its own. A worker takes long to start, and the package that runs in it is tried in tests/attacks.
    if (host === "edge") return;
    it("an issuer that hangs up, one that answers nonsense, one that redirects: failures like any other", async () => {
      for (const answer of [{ hangUp: true }, { body: "<html>" }, { status: 302, headers: { location: "/elsewhere" } }]) {
        const issuer = await issuerWith(first);
        issuer.fail(answer);
        const all = await fifty(await gateOf(issuer), issuer, many(50, () => tokenOf(issuer, first)));
        assert.deepEqual(all.counts, { keys_unavailable: 50 });
        assert.ok(all.fetches <= 3, told(all));
        assert.ok(!issuer.asked.includes("/elsewhere"), "a redirect is not followed");
      }
    });
  });
}

describe("the package, by a simulated clock", () => {
  let clock = 0;
  beforeEach(() => {
    clock = Date.now();
  });
  const gateOf = (issuer) =>
    Gate.create({ issuers: [{ issuer: issuer.url, audience, jwks_uri: issuer.jwksUri }], upstream: { url: upstream.url } }, { now: () => clock });
  const judge = async (gate, token) => {
    try {
      await gate.authenticate(new Request("https://gate.example", { headers: { authorization: `Bearer ${token}` } }));
      return { status: 200 };
    } catch (fault) {
      assert.ok(fault instanceof AuthError);
      return { status: fault.status, code: fault.code };
    }
  };

  it("keys over their age and endpoint 500: the old ones serve, without a fetch on the request's path, up to the bound", async () => {
    const issuer = await startFlakyIssuer({ keys: [first] });
    const gate = await gateOf(issuer);
    const token = tokenOf(issuer, first, {}, { exp: Math.floor(clock / 1000) + 86_400 });
    assert.equal((await judge(gate, token)).status, 200);
    issuer.fail({ status: 500 });
    clock += 601_000;
    // Nothing was due in between here, so one request meets the failure; it and all others are answered by the old keys.
    assert.equal((await judge(gate, token)).status, 200);
    await pause(50);
    const before = issuer.fetches();
    const replies = await Promise.all(many(50, () => judge(gate, token)));
    const result = { counts: tally(replies), fetches: issuer.fetches() - before };
    note("warm, keys over their age, endpoint 500", "package", told(result));
    assert.deepEqual(result, { counts: { 200: 50 }, fetches: 0 });
    clock += 3_600_000;
    assert.deepEqual(await judge(gate, token), { status: 503, code: "keys_unavailable" });
    issuer.fail(undefined);
    clock += 61_000;
    assert.equal((await judge(gate, token)).status, 200);
    gate.close();
    await issuer.close();
  });

  it("a rotation in the middle of a flood of unknown kids: waits for the bucket's next fetch, whoever draws it", async () => {
    const issuer = await startFlakyIssuer({ keys: [first] });
    const gate = await gateOf(issuer);
    assert.equal((await judge(gate, tokenOf(issuer, first))).status, 200);
    for (let i = 0; i < 50; i++) {
      clock += 1;
      await judge(gate, invented(issuer));
    }
    issuer.publish(second);
    clock += 1;
    assert.deepEqual(await judge(gate, tokenOf(issuer, second)), { status: 503, code: "keys_unavailable" }, "not 401: the token may be good");
    assert.equal((await judge(gate, tokenOf(issuer, first))).status, 200, "tokens of known keys never wait");
    clock += 10_000;
    assert.equal((await judge(gate, invented(issuer))).status, 401, "the flood draws the fetch");
    assert.equal((await judge(gate, tokenOf(issuer, second))).status, 200, "and brings the new key");
    gate.close();
    await issuer.close();
  });

  it("a removed key: refused once the keys are over their age", async () => {
    const issuer = await startFlakyIssuer({ keys: [first, second] });
    const gate = await gateOf(issuer);
    const [kept, removed] = [first, second].map((key) => tokenOf(issuer, key, {}, { exp: Math.floor(clock / 1000) + 86_400 }));
    assert.equal((await judge(gate, removed)).status, 200);
    issuer.publish(first);
    clock += 600_000;
    const before = issuer.fetches();
    const replies = await Promise.all(many(50, () => judge(gate, removed)));
    const result = { counts: tally(replies), fetches: issuer.fetches() - before };
    note("a removed key, keys over their age", "package", told(result));
    assert.deepEqual(result.counts, { key_unknown: 50 });
    assert.equal((await judge(gate, kept)).status, 200);
    gate.close();
    await issuer.close();
  });
});

describe("the real oidc-provider rotates its keys", { timeout: 240_000 }, () => {
  const secret = randomBytes(32).toString("hex");
  const privateJwk = (alg, kid) => {
    const { privateKey } = alg === "RS256" ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : generateKeyPairSync("ec", { namedCurve: "P-256" });
    return { ...privateKey.export({ format: "jwk" }), kid, alg, use: "sig" };
  };
  const keys = { rsa: privateJwk("RS256", "rsa"), ec: privateJwk("ES256", "ec"), newer: privateJwk("ES256", "newer") };
  const tokens = [];
  let server;
  let url;
  let answer;

  /** An issuer is one port whatever its keys: a rotation is another provider behind it. The first key signs. */
  function publish(...list) {
    const resource = {
      scope: "api", audience, accessTokenFormat: "jwt", accessTokenTTL: 600, jwt: { sign: { alg: list[0].alg } },
    };
    // What it says about its runtime and its in-memory store is for people who deploy it.
    const { warn, info } = console;
    console.warn = console.info = () => {};
    const provider = new Provider(url, {
      jwks: { keys: list },
      clients: [{
        client_id: alice, client_secret: secret, grant_types: ["client_credentials"], redirect_uris: [], response_types: [],
        id_token_signed_response_alg: list[0].alg,
      }],
      ttl: { ClientCredentials: 600 },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: { enabled: true, defaultResource: () => "urn:agents", useGrantedResource: () => true, getResourceServerInfo: () => resource },
      },
    });
    answer = provider.callback();
    Object.assign(console, { warn, info });
  }
  async function logIn() {
    const reply = await fetch(`${url}/token`, {
      method: "POST",
      headers: { authorization: `Basic ${Buffer.from(`${alice}:${secret}`).toString("base64")}`, "content-type": "application/x-www-form-urlencoded" },
      body: "grant_type=client_credentials&resource=urn:agents&scope=api",
    });
    const { access_token: token } = await reply.json();
    tokens.push(token);
    return token;
  }

  before(async () => {
    server = createServer((message, reply) => answer(message, reply));
    await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
    url = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}`;
    publish(keys.rsa);
  });
  after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  for (const host of hosts) {
    it(`${host}: found by discovery, a new key at once, a removed key no more`, async () => {
      publish(keys.rsa);
      const gate = await startDiscovering(host, url);
      try {
        const old = await logIn();
        assert.deepEqual(await ask(gate, old), { status: 200, code: undefined });
        publish(keys.ec, keys.rsa);
        const renewed = await logIn();
        assert.equal((await ask(gate, renewed)).status, 200, "the new key, at once");
        assert.equal((await ask(gate, old)).status, 200, "the old key, still published");
        publish(keys.newer, keys.ec);
        assert.equal((await ask(gate, await logIn())).status, 200, "the next key");
        assert.deepEqual(await ask(gate, old), { status: 401, code: "key_unknown" }, "the removed key");
        assert.equal((await ask(gate, renewed)).status, 200);
        note("oidc-provider: RS256, then ES256 beside it, then RS256 removed", host, "200; 200 and 200; 401");
      } finally {
        await gate.stop();
      }
    });
  }

  it("the logs hold no token, no key and no claim", () => {
    const secrets = /** @type {[string, string][]} */ ([["the identity", alice], ["the client's secret", secret], ...tokens.flatMap((token) => partsOf("a token", token))]);
    assert.ok(tokens.length >= 6);
    assert.deepEqual(leaksInFolder(logFolder(), secrets), []);
  });
});

describe("keys over their age", { timeout: 120_000 }, () => {
  for (const host of hosts) {
    it(`${host}: endpoint 500: the old keys serve; a removed key is refused`, async () => {
      const { failing, removing, gates, warmedAt } = aged[host];
      await pause(Math.max(0, warmedAt + (ageSeconds + 1) * 1000 - Date.now()));
      // Without a timer of its own the worker finds out with its first request; that one is answered by the old keys too.
      assert.equal((await ask(gates[0], tokenOf(failing, first))).status, 200);
      const stale = await fifty(gates[0], failing, many(50, () => tokenOf(failing, first)));
      note("warm, keys over their age, endpoint 500", host, told(stale));
      assert.deepEqual(stale.counts, { 200: 50 });
      // None on the requests' path; a retry of the gate's own may fall into the same moment.
      assert.ok(stale.fetches <= 1, told(stale));

      const removed = await fifty(gates[1], removing, many(50, () => tokenOf(removing, second)));
      note("a removed key, keys over their age", host, told(removed));
      assert.deepEqual(removed.counts, { key_unknown: 50 });
      assert.ok(removed.fetches <= 3, told(removed));
      assert.equal((await ask(gates[1], tokenOf(removing, first))).status, 200, "the key that is left");
    });
  }
  after(() => {
    assert.deepEqual(leaksInFolder(logFolder(), [["the identity", alice]]), []);
    removeLogs();
  });
});
