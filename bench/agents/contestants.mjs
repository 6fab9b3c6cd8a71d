// Who is measured in every JavaScript runtime: Postern, jose, and WebCrypto by hand.
//
// A contestant turns an input into a user, `{ identity, claims }`, and throws or rejects for a token that is wrong.
/**
 * @typedef {object} Contestant
 * @property {(text: string, token: import("../workload.mjs").Token) => unknown} input what it is given, made fresh and outside the clock
 * @property {(input: unknown, key: number) => unknown} work what the clock sees; `key` is the number of the token's key
 * @property {boolean} [sync] work gives no promise, or only where it cannot answer at once
 * @property {boolean} [sequential] is not measured in flight
 * @property {(result: unknown, token: import("../workload.mjs").Token) => boolean} [fits] whether the result is right for this
 *   good token; default: it is its user
 */
import { jwtVerify } from "jose";
import { Gate } from "postern";
import { currentCore } from "../../js/dist/core.js";
import { audience, configuration, issuer } from "../configuration.mjs";

const asIs = (text) => text;

// --------------------------------------------------------------------------------------------------------------- postern

async function makeGate(suite, more, options = {}) {
  const { text, env } = configuration(suite, more);
  return Gate.create(text, { env, onWarning() {}, waitUntil: (work) => signals.waitUntil?.(work), ...options });
}

/** Whether this build knows a part of the configuration. */
async function knows(suite, more) {
  try {
    (await makeGate(suite, more)).close();
    return true;
  } catch {
    return false;
  }
}

const cacheOff = { token_cache: { bytes_max: 0 } };
const cacheOn = { token_cache: { bytes_max: 64 * 1024 * 1024 } };

// A header, a target as a server's parser gives it: one flat string. Two strings joined are put together when they are first
// read, which would be on the clock.
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const flat = (text) => decoder.decode(encoder.encode(text));
const bearer = (text) => flat(`Bearer ${text}`);

// What `authenticate` reads of a Request: in a server the runtime has made one, and that is not Postern's time.
class Head {
  method = "GET";
  url = "http://gate.example/threads";
  constructor(text, signal) {
    this.headers = new Map([["authorization", bearer(text)]]);
    this.signal = signal;
  }
}
// Made in each run: in workerd none may be made outside a request, and none used in another. `waitUntil` is the request's, there.
const signals = {};

async function posternVerify(suite, more) {
  const gate = await makeGate(suite, more);
  return { input: (text) => new Head(text, signals.current), work: (head) => gate.authenticate(head) };
}

/** The string of a header to its user, as a server asks: at once what was verified before, else a promise. */
async function posternRecall(suite, more) {
  const gate = await makeGate(suite, more);
  return {
    sync: true,
    input: bearer,
    work: (authorization) => gate.recall(authorization) ?? gate.authenticate(new Head(authorization.slice(7), signals.current)),
  };
}

async function posternAuthenticate(suite, more) {
  const gate = await makeGate(suite, more);
  return {
    input: (text) => new Request("http://gate.example/threads", { headers: { "authorization": `Bearer ${text}`, "user-agent": "bench", "accept": "*/*" } }),
    work: (request) => gate.authenticate(request),
  };
}

// ------------------------------------------------------------------------------------------------------------ WebCrypto

const webAlgorithms = {
  ES256: [{ name: "ECDSA", namedCurve: "P-256" }, { name: "ECDSA", hash: "SHA-256" }],
  ES384: [{ name: "ECDSA", namedCurve: "P-384" }, { name: "ECDSA", hash: "SHA-384" }],
  EdDSA: [{ name: "Ed25519" }, { name: "Ed25519" }],
  HS256: [{ name: "HMAC", hash: "SHA-256" }, { name: "HMAC" }],
  RS256: [{ name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, { name: "RSASSA-PKCS1-v1_5" }],
  PS256: [{ name: "RSA-PSS", hash: "SHA-256" }, { name: "RSA-PSS", saltLength: 32 }],
};

async function importAll(suite) {
  const keys = new Map();
  for (const jwk of suite.jwks) keys.set(jwk.kid, await crypto.subtle.importKey("jwk", jwk, webAlgorithms[suite.alg][0], false, ["verify"]));
  return keys;
}

const decodeBase64url =
  typeof Buffer === "function" && typeof Buffer.from === "function"
    ? (text) => Buffer.from(text, "base64url")
    : typeof Uint8Array.fromBase64 === "function"
      ? (text) => Uint8Array.fromBase64(text, { alphabet: "base64url" })
      : (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

export class Refused extends Error {}

/** The checks of a careful hand-written verifier: what jose is asked for as well. */
export function userOf(claims) {
  const now = Date.now() / 1000;
  if (claims.iss !== issuer || claims.aud !== audience || !(claims.exp > now) || typeof claims.sub !== "string") throw new Refused();
  return { identity: claims.sub, claims };
}

/** Splits a token by hand: header, payload bytes, what was signed and the signature. */
export function split(text) {
  const first = text.indexOf(".");
  const second = text.indexOf(".", first + 1);
  return {
    header: JSON.parse(decoder.decode(decodeBase64url(text.slice(0, first)))),
    payload: () => JSON.parse(decoder.decode(decodeBase64url(text.slice(first + 1, second)))),
    input: text.slice(0, second),
    signature: decodeBase64url(text.slice(second + 1)),
  };
}

async function webCrypto(suite) {
  const keys = await importAll(suite);
  const algorithm = webAlgorithms[suite.alg][1];
  return {
    input: asIs,
    async work(text) {
      const { header, payload, input, signature } = split(text);
      if (header.alg !== suite.alg) throw new Refused();
      if (!(await crypto.subtle.verify(algorithm, keys.get(header.kid), signature, encoder.encode(input)))) throw new Refused();
      return userOf(payload());
    },
  };
}

// ----------------------------------------------------------------------------------------------------------------- jose

async function jose(suite) {
  const keys = await importAll(suite);
  const keyOf = (header) => keys.get(header.kid);
  const rules = { algorithms: [suite.alg], issuer, audience };
  return {
    input: asIs,
    async work(text) {
      const { payload } = await jwtVerify(text, keyOf, rules);
      return { identity: payload.sub, claims: payload };
    },
  };
}

// --------------------------------------------------------------------------------------------- the decision on a request

/** A gate in the core itself, under the wrapper; its cache of verified tokens gets the key that the wrapper would give it. */
async function coreGate(suite, more) {
  const { text, env } = configuration(suite, more);
  const core = await currentCore();
  const { handle, error } = core.createGate(text, Object.entries(env).flat());
  if (error !== undefined) throw new Error(error.message);
  if (more.token_cache !== undefined) {
    if (typeof core.seed !== "function") throw new Error("coreGate in bench/agents/contestants.mjs does not know how to seed the core's token cache");
    core.seed(handle, crypto.getRandomValues(new Uint8Array(16)));
  }
  return { core, handle };
}

/** Method, target and header strings to the first request to the upstream, inside the wasm's wrapper; nothing is sent. */
async function threadGet(suite, more) {
  const { core, handle } = await coreGate(suite, more);
  return {
    sync: true,
    input: (text) => [flat(`/threads/${crypto.randomUUID()}`), [["authorization", bearer(text)], ["user-agent", "bench"], ["accept", "*/*"]]],
    work([target, headers]) {
      const { exchange, step } = core.open(handle, "handle", "GET", target, headers, Date.now());
      core.close(exchange);
      if (step.kind !== "forward" && step.kind !== "fetch") throw new Refused();
      return step;
    },
    // Each user asks for their own objects alone: the identity is in what the upstream is asked.
    fits: (step, token) => `${step.request.url} ${typeof step.request.body === "string" ? step.request.body : decoder.decode(step.request.body)}`.includes(token.subject),
  };
}

/**
 * The filter's part of a decision: the upstream's reply about a thread, as bytes, to the Forward or the refusal. The exchange comes so
 * far outside the clock.
 */
async function filterOwner(suite, more) {
  const { core, handle } = await coreGate(suite, more);
  return {
    sync: true,
    input(text, { owner }) {
      const id = crypto.randomUUID();
      const { exchange, step } = core.open(handle, "handle", "GET", `/threads/${id}`, [["authorization", bearer(text)]], Date.now());
      if (step.kind !== "fetch") throw new Error(`a thread is not looked up first: ${step.kind}`);
      const thread = { thread_id: id, metadata: { owner, graph_id: "agent", assistant_id: "fe096781-5601-53d2-b2f6-0d3403f7e9ca" } };
      const reply = { status: 200, headers: [["content-type", "application/json"]], body: encoder.encode(JSON.stringify([thread])) };
      return { exchange, fetchId: step.fetchId, reply };
    },
    work({ exchange, fetchId, reply }) {
      core.giveFetch(handle, fetchId, reply, Date.now());
      const step = core.next(exchange, Date.now());
      core.close(exchange);
      if (step.kind !== "forward") throw new Refused();
      return step;
    },
    fits: () => true,
  };
}

/** The same through Gate.handle, with a fetch that answers at once: what the wrapper's promises and Response cost. */
async function threadHandle(suite, more) {
  const gate = await makeGate(suite, more, {
    fetch: async (_, { body }) => {
      const { ids, metadata } = JSON.parse(typeof body === "string" ? body : decoder.decode(body ?? encoder.encode("{}")));
      return Response.json(ids ? [{ thread_id: ids[0], metadata }] : { thread_id: "x", metadata: {} });
    },
  });
  return {
    input: (text) => new Request(`http://gate.example/threads/${crypto.randomUUID()}`, { headers: { authorization: `Bearer ${text}` } }),
    async work(request) {
      const response = await gate.handle(request);
      if (response.status === 401) throw new Refused();
      return response;
    },
    fits: (response) => response.status === 200,
  };
}

// ---------------------------------------------------------------------------------------------------------------- suites

/**
 * @param {string} kind of suite
 * @param {import("../workload.mjs").Suite} suite
 * @returns {Promise<Record<string, Contestant>>}
 */
export async function contestants(kind, suite) {
  const off = (await knows(suite, cacheOff)) ? cacheOff : {};
  const on = (await knows(suite, cacheOn)) ? cacheOn : undefined;
  switch (kind) {
    case "verify": {
      const list = { postern: await posternVerify(suite, off), jose: await jose(suite), webcrypto: await webCrypto(suite) };
      const portable = { ...off, verifier: "portable" };
      if (suite.alg !== "HS256" && (await knows(suite, portable))) list["postern-portable"] = { ...(await posternVerify(suite, portable)), sequential: true };
      return list;
    }
    case "verify-cached":
      // A build without the cache has nothing to show here.
      return on === undefined ? {} : { postern: await posternRecall(suite, on) };
    case "authenticate":
      return { "postern": await posternAuthenticate(suite, on ?? {}), "postern-no-cache": await posternAuthenticate(suite, off) };
    case "gate.thread-get":
      return on === undefined ? {} : { postern: await threadGet(suite, on) };
    case "filter.owner":
      return { postern: await filterOwner(suite, on ?? {}) };
    case "growth":
      return { postern: await posternVerify(suite, off) };
    case "growth-cached":
      return on === undefined ? {} : { postern: await posternVerify(suite, {}) };
    case "gate.thread-handle":
      return on === undefined ? {} : { postern: await threadHandle(suite, on) };
  }
  return {};
}

export { signals };
