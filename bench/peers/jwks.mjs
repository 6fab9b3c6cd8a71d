// How do the JavaScript libraries and Postern treat the issuer's key endpoint? Seven situations of 50 requests each, against an
// issuer that fails by script, everything over real HTTP.
//
//   node bench/peers/jwks.mjs [--write]     --write: into docs/peers.md; POSTERN_BIN: the native server's program
//
// Defaults everywhere, but for the age of keys, so that it can pass while somebody waits: a second where a library has such a
// setting, the simulated clock of the npm package, 30 s (the least it takes) for the native server, which is therefore started
// first and asked last.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { JwtVerifier } from "aws-jwt-verify";
import { SimpleJwksCache } from "aws-jwt-verify/jwk";
import { createVerifier } from "fast-jwt";
import buildGetJwks from "get-jwks";
import { verifyWithJwks } from "hono/jwt";
import { createRemoteJWKSet, jwtVerify } from "jose";
import jsonwebtoken from "jsonwebtoken";
import jwksRsa from "jwks-rsa";
import { Gate } from "postern";
import { startFlakyIssuer } from "../../tests/support/flaky-issuer.mjs";
import { startRecordingUpstream } from "../../tests/support/recording-upstream.mjs";
import { removeLogs, root, startGate, startService } from "../../tests/support/services.mjs";
import { makeKey, makeToken } from "../../tests/support/tokens.mjs";
import { markdown, publish, withVersion } from "./page.mjs";

const audience = "agents";
const algorithms = ["ES256"];
const [first, second] = ["first", "second"].map((kid) => makeKey("ES256", { kid }));
const attacker = makeKey("ES256", { kid: "attacker" });
const requests = 50;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const upstream = await startRecordingUpstream();
const scratch = mkdtempSync(join(tmpdir(), "postern-peers-"));

const tokenOf = (issuer, key, header = {}) => {
  const now = Math.floor(Date.now() / 1000);
  return makeToken(key, { iss: issuer.url, aud: audience, sub: "alice", iat: now, exp: now + 7200 }, { header });
};
const invented = (issuer) => tokenOf(issuer, attacker, { kid: `invented-${randomUUID()}` });

// ------------------------------------------------------------------------------------------------------- verifiers

/**
 * @typedef {object} Verifier
 * @property {(token: string) => Promise<unknown>} verify rejects, or gives something false, when it refuses
 * @property {() => Promise<void>} [grow] keys that were fetched come over their age
 * @property {() => Promise<void> | void} [stop]
 *
 * @typedef {import("../../tests/support/flaky-issuer.mjs").FlakyIssuer} FlakyIssuer
 */

const ageMs = 1000;
const grow = () => pause(ageMs + 200);

const jsonwebtokenWith = (/** @type {any} */ options) => (/** @type {FlakyIssuer} */ issuer) => {
  const client = jwksRsa({ jwksUri: issuer.jwksUri, ...options(issuer) });
  const keyOf = (/** @type {any} */ { kid }, /** @type {any} */ done) => client.getSigningKey(kid, (error, key) => done(error, key?.getPublicKey()));
  const verify = (/** @type {string} */ token) =>
    new Promise((resolve, reject) => {
      jsonwebtoken.verify(token, keyOf, { algorithms: /** @type {any} */ (algorithms), issuer: issuer.url, audience }, (error, value) => (error ? reject(error) : resolve(value)));
    });
  return { verify, grow };
};

const jose = (/** @type {FlakyIssuer} */ issuer, /** @type {boolean} */ aged) => {
  const keys = createRemoteJWKSet(new URL(issuer.jwksUri), aged ? { cacheMaxAge: ageMs } : {});
  return { verify: (/** @type {string} */ token) => jwtVerify(token, keys, { issuer: issuer.url, audience, algorithms }), grow };
};

/** A library that looks at this global to tell where it runs. */
const inWorkers = (/** @type {(issuer: FlakyIssuer, aged: boolean) => Verifier} */ make) => (/** @type {FlakyIssuer} */ issuer, /** @type {boolean} */ aged) => {
  /** @type {any} */ (globalThis).WebSocketPair = class {};
  return { ...make(issuer, aged), stop: () => void delete (/** @type {any} */ (globalThis).WebSocketPair) };
};

/** @type {[string, (issuer: FlakyIssuer, aged: boolean) => Verifier | Promise<Verifier>][]} */
const verifiers = [
  [withVersion("jose"), jose],
  ["jose, on Workers", inWorkers(jose)],
  [
    `${withVersion("hono")}, verifyWithJwks`,
    (issuer) => ({
      verify: (token) =>
        verifyWithJwks(token, { jwks_uri: issuer.jwksUri, allowedAlgorithms: /** @type {any} */ (algorithms), verification: { iss: issuer.url, aud: audience } }),
      grow,
    }),
  ],
  [
    `${withVersion("get-jwks")} + ${withVersion("fast-jwt")}`,
    (issuer, aged) => {
      const jwks = buildGetJwks({ jwksPath: "/jwks", ...(aged && { ttl: ageMs }) });
      const key = async ({ header }) => jwks.getPublicKey({ kid: header.kid, alg: header.alg, domain: issuer.url });
      return { verify: createVerifier({ key, algorithms: /** @type {any} */ (algorithms), allowedIss: issuer.url, allowedAud: audience, cache: false }), grow };
    },
  ],
  [`${withVersion("jwks-rsa")} + ${withVersion("jsonwebtoken")}`, (issuer, aged) => jsonwebtokenWith(() => (aged ? { cacheMaxAge: ageMs } : {}))(issuer)],
  [
    "jwks-rsa, rateLimit and cacheMaxAgeFallback",
    (issuer, aged) => jsonwebtokenWith(() => ({ rateLimit: true, cacheMaxAgeFallback: 3_600_000, ...(aged && { cacheMaxAge: ageMs }) }))(issuer),
  ],
  [
    withVersion("aws-jwt-verify"),
    (issuer) => {
      // Its own fetcher speaks https only.
      const fetcher = { fetch: async (/** @type {string} */ uri) => {
        const reply = await fetch(uri);
        if (reply.status !== 200) throw new Error(`status ${reply.status}`);
        return reply.arrayBuffer();
      } };
      const verifier = JwtVerifier.create({ issuer: issuer.url, audience, jwksUri: issuer.jwksUri }, { jwksCache: new SimpleJwksCache({ fetcher }) });
      return { verify: (token) => verifier.verify(token), grow };
    },
  ],
  [
    "Postern, npm package",
    async (issuer) => {
      let ahead = 0;
      const gate = await Gate.create(
        { issuers: [{ issuer: issuer.url, audience, jwks_uri: issuer.jwksUri }], upstream: { url: upstream.url } },
        { now: () => Date.now() + ahead },
      );
      return {
        verify: (token) => gate.authenticate(new Request("https://gate.example", { headers: { authorization: `Bearer ${token}` } })),
        grow: async () => void (ahead += 601_000),
        stop: () => gate.close(),
      };
    },
  ],
  ["Postern, native server", async (issuer, aged) => (aged ? nativeAged(issuer) : native(await startGate("native", { upstream: upstream.url, issuer: issuer.url, audience })))],
];

/** @param {{ url: string, stop: () => Promise<void> }} gate */
const native = (gate) => ({
  async verify(token) {
    const reply = await fetch(`${gate.url}/threads/search`, { method: "POST", headers: { authorization: `Bearer ${token}` }, body: "{}" });
    await reply.arrayBuffer();
    if (reply.status !== 200) throw new Error(`status ${reply.status}`);
    return true;
  },
  stop: () => gate.stop(),
});

/** @param {FlakyIssuer} issuer @returns {Promise<Verifier>} */
async function nativeAged(issuer) {
  const file = join(scratch, `${randomUUID()}.json`);
  const settings = { issuer: issuer.url, audience, jwks_uri: issuer.jwksUri, max_age_seconds: 30 };
  writeFileSync(file, JSON.stringify({ issuers: [settings], upstream: { url: upstream.url } }));
  const binary = process.env.POSTERN_BIN || join(root, "build/release/postern");
  const gate = await startService("gate-native", [binary, "serve", "--config", file, "--listen", "127.0.0.1:0", "--ready-json"]);
  return { ...native(gate), grow: () => pause(31_000) };
}

// ------------------------------------------------------------------------------------------------------ situations

const accepts = async (/** @type {Verifier} */ verifier, /** @type {string} */ token) => {
  try {
    return Boolean(await verifier.verify(token));
  } catch {
    return false;
  }
};

/** One after the other: how many are accepted. */
async function inTurn(verifier, makeOne) {
  let accepted = 0;
  for (let i = 0; i < requests; i++) accepted += Number(await accepts(verifier, makeOne()));
  return accepted;
}

const fetches = (count) => `${count} ${count === 1 ? "fetch" : "fetches"}`;

/**
 * `play` gives what is shown and whether it is what one wants.
 * @type {{ name: string, wanted: string, keys: any[], aged?: boolean, play: (verifier: Verifier, issuer: FlakyIssuer) => Promise<[string, boolean]> }[]}
 */
const situations = [
  {
    name: "parallel, cold",
    wanted: "1 fetch",
    keys: [first],
    async play(verifier, issuer) {
      const verdicts = await Promise.all(Array.from({ length: requests }, () => accepts(verifier, tokenOf(issuer, first))));
      assert.ok(verdicts.every(Boolean), "good tokens");
      return [String(issuer.fetches()), issuer.fetches() <= 1];
    },
  },
  {
    name: "unknown kid x 50",
    wanted: "at most 3 fetches",
    keys: [first],
    async play(verifier, issuer) {
      assert.ok(await accepts(verifier, tokenOf(issuer, first)));
      const before = issuer.fetches();
      assert.equal(await inTurn(verifier, () => invented(issuer)), 0);
      const count = issuer.fetches() - before;
      return [String(count), count <= 3];
    },
  },
  {
    name: "endpoint 500, cold, x 50",
    wanted: "at most 3 fetches",
    keys: [first],
    async play(verifier, issuer) {
      issuer.fail({ status: 500 });
      assert.equal(await inTurn(verifier, () => tokenOf(issuer, first)), 0);
      return [String(issuer.fetches()), issuer.fetches() <= 3];
    },
  },
  {
    name: "warm, keys over their age, endpoint 500",
    wanted: "accept, fetches bounded",
    keys: [first],
    aged: true,
    async play(verifier, issuer) {
      assert.ok(await accepts(verifier, tokenOf(issuer, first)));
      issuer.fail({ status: 500 });
      await verifier.grow?.();
      const before = issuer.fetches();
      const accepted = await inTurn(verifier, () => tokenOf(issuer, first));
      const count = issuer.fetches() - before;
      const verdict = accepted === requests ? "accept" : accepted === 0 ? "refuse" : `${accepted} accepted`;
      return [`${verdict}, ${fetches(count)}`, accepted === requests && count <= 3];
    },
  },
  {
    name: "new key just after a fetch",
    wanted: "accept",
    keys: [first],
    async play(verifier, issuer) {
      assert.ok(await accepts(verifier, tokenOf(issuer, first)));
      issuer.publish(first, second);
      const accepted = await accepts(verifier, tokenOf(issuer, second));
      return [accepted ? "accept" : "refuse", accepted];
    },
  },
  {
    name: "a bad kid, then a real rotation",
    wanted: "accept",
    keys: [first],
    async play(verifier, issuer) {
      assert.ok(await accepts(verifier, tokenOf(issuer, first)));
      assert.ok(!(await accepts(verifier, invented(issuer))));
      issuer.publish(second);
      const accepted = await accepts(verifier, tokenOf(issuer, second));
      return [accepted ? "accept" : "refuse", accepted];
    },
  },
  {
    name: "removed key, over its age",
    wanted: "refuse",
    keys: [first, second],
    aged: true,
    async play(verifier, issuer) {
      assert.ok(await accepts(verifier, tokenOf(issuer, second)));
      issuer.publish(first);
      await verifier.grow?.();
      const accepted = await accepts(verifier, tokenOf(issuer, second));
      return [accepted ? "accept" : "refuse", !accepted];
    },
  },
];

async function measure([name, make], situation) {
  const issuer = await startFlakyIssuer({ keys: situation.keys, latencyMs: 20 });
  const verifier = await make(issuer, situation.aged ?? false);
  try {
    const [shown, good] = await situation.play(verifier, issuer);
    return { shown: good ? shown : `**${shown}**`, good };
  } catch (error) {
    throw new Error(`${name}, ${situation.name}: ${error.message}`, { cause: error });
  } finally {
    await verifier.stop?.();
    await issuer.close();
  }
}

// What takes long goes on while the rest runs; the rest runs in turn, so that nothing else is busy.
const cells = new Map();
const keyOf = (name, situation) => `${name} / ${situation.name}`;
const slow = verifiers.flatMap((verifier) =>
  situations.filter((situation) => situation.aged && verifier[0] === "Postern, native server").map((situation) => [verifier, situation]),
);
const late = Promise.all(slow.map(async ([verifier, situation]) => cells.set(keyOf(verifier[0], situation), await measure(verifier, situation))));
for (const verifier of verifiers) {
  for (const situation of situations) {
    if (slow.some(([other, same]) => other === verifier && same === situation)) continue;
    cells.set(keyOf(verifier[0], situation), await measure(verifier, situation));
  }
}
await late;

const rows = verifiers.map(([name]) => {
  const row = situations.map((situation) => cells.get(keyOf(name, situation)));
  return [name, ...row.map(({ shown }) => shown), `${row.filter(({ good }) => good).length} of ${situations.length}`];
});
rows.push(["*wanted*", ...situations.map(({ wanted }) => `*${wanted}*`), ""]);
publish("jwks", markdown(["", ...situations.map(({ name }) => name), "as wanted"], rows));
await upstream.close();
rmSync(scratch, { recursive: true, force: true });
removeLogs();
const ours = verifiers.filter(([name]) => name.startsWith("Postern"));
if (ours.some(([name]) => situations.some((situation) => !cells.get(keyOf(name, situation)).good))) process.exitCode = 1;
