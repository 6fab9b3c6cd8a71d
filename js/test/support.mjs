// An issuer's keys and tokens, a fetch that follows a script, and a gate over both.
import { generateKeyPairSync, sign } from "node:crypto";
import { Gate } from "postern";

export const issuer = "https://idp.example/auth/v1";
export const upstreamUrl = "http://127.0.0.1:2024";
export const jwksUrl = `${issuer}/.well-known/jwks.json`;
export const threadId = "11111111-1111-4111-8111-111111111111";

const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
export const jwks = { keys: [{ ...pair.publicKey.export({ format: "jwk" }), kid: "k1", alg: "ES256", use: "sig" }] };

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export function token(claims = {}) {
  const now = Math.floor(Date.now() / 1000);
  const input = [
    encode({ alg: "ES256", typ: "JWT", kid: "k1" }),
    encode({ iss: issuer, aud: "agents", sub: "alice", iat: now, exp: now + 600, ...claims }),
  ].join(".");
  const signature = sign("sha256", Buffer.from(input), { key: pair.privateKey, dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
}

export const config = (more = {}) => ({
  issuers: [{ issuer, audience: "agents", jwks_uri: jwksUrl }],
  upstream: { url: upstreamUrl },
  ...more,
});

/**
 * A fetch that answers from a table of "METHOD path" (path without the origin) and writes down what it was sent.
 * A value is a Response maker or a function of the call; `"*"` answers the rest.
 */
export function scripted(table = {}) {
  const calls = [];
  const script = async (url, init) => {
    const call = {
      url, method: init.method, signal: init.signal, redirect: init.redirect,
      headers: new Headers(init.headers),
      body: init.body === undefined || typeof init.body === "string" ? init.body : new TextDecoder().decode(init.body),
    };
    calls.push(call);
    if (url === jwksUrl && table.keys === undefined) return Response.json(jwks);
    const path = url === jwksUrl ? "keys" : `${init.method} ${url.slice(upstreamUrl.length)}`;
    const reply = table[path] ?? table["*"];
    if (reply === undefined) throw new TypeError(`nothing is scripted for ${path}`);
    return reply(call);
  };
  return { fetch: script, calls, keyFetches: () => calls.filter((call) => call.url === jwksUrl).length };
}

export async function makeGate(table, options = {}, more = {}) {
  const script = scripted(table);
  const decisions = [];
  const gate = await Gate.create(config(more), {
    fetch: script.fetch, onDecision: (decision) => decisions.push(decision), ...options,
  });
  return { gate, decisions, ...script };
}

export function request(method, path, { body, headers = {}, signal, as = token() } = {}) {
  const init = { method, headers: { ...(as !== null && { authorization: `Bearer ${as}` }), ...headers } };
  if (signal !== undefined) init.signal = signal;
  if (body !== undefined) {
    init.body = typeof body === "string" || body instanceof ReadableStream ? body : JSON.stringify(body);
    if (body instanceof ReadableStream) init.duplex = "half";
  }
  return new Request(`https://gate.example${path}`, init);
}

/** Answers for a thread of alice's: the search that asks whose it is, and whatever the test adds. */
export const aliceThread = {
  "POST /threads/search": () => Response.json([{ thread_id: threadId, metadata: { owner: "alice" } }]),
};

/** A promise and the means to settle it. */
export function deferred() {
  let resolve;
  let reject;
  const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}

export const tick = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms));

/** Everything the console was told while `work` ran. */
export async function quietly(work) {
  const said = [];
  const kept = {};
  for (const name of ["log", "info", "warn", "error", "debug"]) {
    kept[name] = console[name];
    console[name] = (...words) => said.push(words.map(String).join(" "));
  }
  try {
    await work();
  } finally {
    Object.assign(console, kept);
  }
  return said;
}

