// The same tokens and key sets to jose and to the gate: both must accept or both refuse, but for a list of exceptions, each
// with its reason. An exception that never occurs fails the test too: the list would be telling of a difference that is gone.
//
// Tokens are made from a seed: POSTERN_SEED=N repeats a run, POSTERN_TOKENS=N makes it longer.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { describe, it } from "node:test";
import { createLocalJWKSet, jwtVerify } from "jose";
import { AuthError, Gate } from "postern";
import { encode, makeKey, makeToken, p256, withTailBits } from "../support/tokens.mjs";

const seed = Number(process.env.POSTERN_SEED ?? randomInt(2 ** 31));
const tokensWanted = Number(process.env.POSTERN_TOKENS ?? 6000);

/** mulberry32: small, and the same everywhere. */
function randomFrom(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
const random = randomFrom(seed);
const below = (n) => Math.floor(random() * n);
const oneOf = (list) => list[below(list.length)];

// One moment for all of it: an exp that is a second away stays a second away.
const now = 1_800_000_000;
const issuer = "https://issuer.example";
const audience = "agents";
const jwksUrl = `${issuer}/jwks`;

// ------------------------------------------------------------------------------------------------------ exceptions

/**
 * Where the gate refuses and jose accepts. `codes`: with what, and nothing else counts.
 * @type {Record<string, { why: string, codes: string[], occurred: number }>}
 */
const stricter = Object.fromEntries(
  Object.entries({
    "duplicate names": ["which of the two counts is the parser's choice, so two parsers see two tokens", "header_malformed", "payload_malformed"],
    "iat in the future": ["jose looks only when maxTokenAge is set", "token_issued_in_future"],
    "dates out of range": ["a negative or astronomic date is a mistake, and 1e300 never expires", "claim_malformed"],
    "numbers past a double": ["they are Infinity after JSON.parse", "payload_malformed"],
    "crit that names b64": ["no extension is accepted, not even one that is understood", "header_unsupported"],
    "b64 or zip without crit": ["both would change what the payload means", "header_unsupported"],
    "lax base64": ["padding, white space and unused bits let one token have many texts", "jws_malformed", "credential_malformed"],
    typ: ["tokens made for something else are told by their typ; jose compares only with one that is asked for", "type_not_allowed", "header_malformed"],
    "not quite UTF-8": ["a BOM is no JSON, and half a surrogate pair is no character", "header_malformed", "payload_malformed"],
    "aud with members that are no strings": ["RFC 7519 4.1.3 wants strings", "claim_malformed"],
    "sub or jti of a wrong type": ["RFC 7519 4.1.2 and 4.1.7 want strings", "claim_malformed"],
    "identity that is no name": ["empty, over 256 bytes or with control characters", "identity_malformed"],
    "tokens of another kind": ["ID tokens, logout tokens, DPoP proofs and bound tokens are no bearer tokens", "token_kind_not_allowed"],
    limits: ["size, depth and number of values", "token_too_large", "header_malformed", "payload_malformed"],
    // algorithm_not_allowed: the token has no kid, and what is left of its key's type has another alg.
    "RSA with e = 3": ["e must be over 2^16, RFC 8725 3.5", "key_unknown", "keys_unavailable", "algorithm_not_allowed"],
    "a key with a malformed member": ["what is wrong in one part is not used in another", "key_unknown", "keys_unavailable", "algorithm_not_allowed"],
    "a set with a secret in it": ["whoever publishes a private or symmetric key has lost it", "keys_unavailable"],
    "a set with two keys of one kid and type": ["a kid names one key", "keys_unavailable"],
    "a set with duplicate names": ["as in tokens", "keys_unavailable"],
    "a set over the limits": ["64 keys, 256 KiB", "keys_unavailable"],
  }).map(([name, [why, ...codes]]) => [name, { why, codes, occurred: 0 }]),
);

/**
 * Where jose refuses, with `code`, and the gate accepts.
 * @type {Record<string, { why: string, code: string, when: (kid: unknown, world: any) => boolean, occurred: number }>}
 */
const laxer = {
  "no kid, and beside the one usable key another": {
    why: "keys that are left out at load do not count; jose finds two and refuses both",
    code: "ERR_JWKS_MULTIPLE_MATCHING_KEYS",
    when: (kid, world) => kid === undefined && world.leftOut > 0,
    occurred: 0,
  },
};

// ------------------------------------------------------------------------------------------------- worlds of keys

// Made once: RSA keys cost time.
const pool = {
  ES256: [makeKey("ES256"), makeKey("ES256"), makeKey("ES256")],
  ES384: [makeKey("ES384"), makeKey("ES384")],
  ES512: [makeKey("ES512")],
  RS256: [makeKey("RS256"), makeKey("RS256"), makeKey("RS256", { modulusLength: 3072 })],
  EdDSA: [makeKey("EdDSA"), makeKey("EdDSA")],
};
const small = makeKey("RS256", { modulusLength: 1024 });
const cubic = makeKey("RS256", { publicExponent: 3 });
const stranger = { ES256: makeKey("ES256"), ES384: makeKey("ES384"), ES512: makeKey("ES512"), RS256: makeKey("RS256"), EdDSA: makeKey("EdDSA") };

const algorithmsOfType = { EC: { "P-256": ["ES256"], "P-384": ["ES384"], "P-521": ["ES512"] }, RSA: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], OKP: ["EdDSA", "Ed25519"] };
const algorithmsOf = (jwk) => (jwk.kty === "EC" ? algorithmsOfType.EC[jwk.crv] : algorithmsOfType[jwk.kty]);
const algorithms = ["ES256", "ES384", "ES512", ...algorithmsOfType.RSA, ...algorithmsOfType.OKP];

/** A key of the pool as an entry of a set: with or without kid, alg and use. */
function entry(key, kid) {
  const { kty, crv, n, e, x, y } = key.jwk;
  const jwk = JSON.parse(JSON.stringify({ kty, crv, n, e, x, y }));
  if (kid !== undefined) jwk.kid = kid;
  if (random() < 0.6) jwk.alg = oneOf(algorithmsOf(jwk));
  if (random() < 0.6) jwk.use = "sig";
  if (random() < 0.2) jwk.key_ops = ["verify"];
  if (random() < 0.1) jwk.x5t = "irrelevant";
  return { key: { ...key, kid, alg: jwk.alg ?? oneOf(algorithmsOf(jwk)) }, jwk, exception: undefined };
}

/** Makes an entry unusable; with an exception, unusable for the gate alone. */
const keyMutations = [
  (item) => void (item.jwk.use = "enc"),
  (item) => void (item.jwk.key_ops = ["sign"]),
  (item) => void (item.jwk.key_ops = ["verify", "verify"]),
  (item) => void (item.jwk.alg = "RSA-OAEP"),
  (item) => void (item.jwk.alg = item.jwk.kty === "RSA" ? "ES256" : "RS256"),
  (item) => void (item.jwk.kty = "XYZ"),
  (item) => void (item.jwk.crv = "P-999"),
  (item) => {
    delete item.jwk[item.jwk.kty === "RSA" ? "n" : "x"];
    item.leftOut = true;
  },
  (item) => {
    item.jwk.kid = 7;
    item.exception = "a key with a malformed member";
  },
  (item) => void (item.jwk.use = null),
  (item) => {
    const name = item.jwk.kty === "RSA" ? "n" : "x";
    item.jwk[name] = `${item.jwk[name]}=`;
    item.exception = "a key with a malformed member";
  },
];

/** Changes the set as a whole so that the gate takes none of it. */
const setMutations = [
  ["a set with a secret in it", (set) => set.push({ jwk: { kty: "oct", kid: "oct", k: encode("x".repeat(32)) } })],
  ["a set with a secret in it", (set) => set.push({ jwk: { ...stranger.ES256.jwk, kid: "leaked", d: stranger.ES256.privateKey.export({ format: "jwk" }).d } })],
  ["a set with two keys of one kid and type", (set) => {
    const { kty, crv, x, y } = pool.ES256[0].jwk;
    const other = stranger.ES256.jwk;
    set.push({ jwk: { kty, crv, x, y, kid: "twins" } }, { jwk: { kty, crv, x: other.x, y: other.y, kid: "twins" } });
  }],
  ["a set over the limits", (set) => {
    const { kty, crv, x, y } = stranger.ES384.jwk;
    for (let i = 0; i < 65; i++) set.push({ jwk: { kty, crv, x, y, kid: `filler-${i}` } });
  }],
  ["a set with duplicate names", () => {}],
];

async function makeWorld(index) {
  /** @type {{ key: any, jwk: any, exception?: string, leftOut?: boolean }[]} */
  const items = [];
  const picked = new Set();
  const count = 1 + below(5);
  for (let i = 0; i < count; i++) {
    const kind = oneOf(Object.keys(pool).filter((name) => name !== "ES512" || random() < 0.3));
    const key = oneOf(pool[kind]);
    if (picked.has(key)) continue;
    picked.add(key);
    items.push(entry(key, random() < 0.75 ? `kid-${i}` : undefined));
  }
  // Two keys of different types may share a kid: the type tells them apart.
  if (items.length > 1 && items[0].jwk.kty !== items[1].jwk.kty && random() < 0.5) {
    for (const item of items.slice(0, 2)) item.jwk.kid = item.key.kid = "shared";
  }
  for (const item of items) {
    if (random() < 0.2) oneOf(keyMutations)(item);
  }
  // What a run must have at least once is not left to chance.
  if (index % 7 === 4) {
    const [usable, broken] = pool.ES256.slice(1).map((key) => key.jwk);
    items.length = 0;
    items.push({ key: { ...pool.ES256[1], kid: undefined }, jwk: { kty: "EC", crv: "P-256", x: usable.x, y: usable.y } });
    items.push({ key: { ...pool.ES256[2], kid: "broken" }, jwk: { kty: "EC", crv: "P-256", kid: "broken", x: `${broken.x}=`, y: broken.y }, exception: "a key with a malformed member" });
  }
  if (index % 7 === 5) {
    const { kty, n, e } = cubic.jwk;
    items.push({ key: { ...cubic, kid: "cubic", alg: "RS256" }, jwk: { kty, n, e, kid: "cubic" }, exception: "RSA with e = 3" });
  }
  if (index % 7 === 6) {
    const { kty, n, e } = small.jwk;
    items.push({ key: { ...small, kid: "small", alg: "RS256" }, jwk: { kty, n, e, kid: "small" }, exception: undefined, leftOut: true });
  }
  let exception;
  let edit = (text) => text;
  if (index >= worldCount - setMutations.length * 2) {
    const [name, mutate] = setMutations[index % setMutations.length];
    exception = name;
    const { kty, crv, x, y } = pool.ES256[1].jwk;
    items.splice(0, items.length, { key: { ...pool.ES256[1], kid: "sound" }, jwk: { kty, crv, x, y, kid: "sound" } });
    mutate(/** @type {any} */ (items));
    if (name === "a set with duplicate names") edit = (text) => text.replace('{"kty"', '{"kty":"RSA","kty"');
  }
  const text = edit(JSON.stringify({ keys: items.map((item) => item.jwk) }));
  // A test of the test: what jose reads of the text is what a remote set would give it.
  const getKey = createLocalJWKSet(JSON.parse(text));
  const gate = await Gate.create(
    { issuers: [{ issuer, audience, jwks_uri: jwksUrl, algorithms }], upstream: { url: "https://upstream.example" } },
    { now: () => now * 1000, fetch: async () => new Response(text, { status: 200 }), onWarning: () => {} },
  );
  const leftOut = items.filter((item) => item.leftOut || item.exception).length;
  return { name: `set ${index}`, items: items.filter((item) => item.key), leftOut, exception, getKey, gate, algorithms };
}

async function makeSecretWorld(alg) {
  const key = makeKey(alg, { kid: "secret", secret: "s".repeat(64) });
  const getKey = async (/** @type {any} */ header) => {
    if (header.kid !== undefined && header.kid !== "secret") throw Object.assign(new Error("another kid"), { code: "ERR_JWKS_NO_MATCHING_KEY" });
    return Buffer.from(/** @type {string} */ (key.secret));
  };
  const gate = await Gate.create(
    { issuers: [{ issuer, audience, symmetric_keys: [{ alg, kid: "secret", secret: key.secret }] }], upstream: { url: "https://upstream.example" } },
    { now: () => now * 1000, onWarning: () => {} },
  );
  return { name: alg, items: [{ key, jwk: {}, exception: undefined }], leftOut: 0, exception: undefined, getKey, gate, algorithms: [alg] };
}

// ------------------------------------------------------------------------------------------------------- mutations

/**
 * What a token is made from, in the order in which it is made: members, JSON text, bytes, base64url, signature.
 * @typedef {{ key: any, header: any, claims: any, exceptions: Set<string>,
 *   headerTexts: ((text: string) => string)[], payloadTexts: ((text: string) => string)[],
 *   headerBytes: ((bytes: Buffer) => Buffer)[], payloadBytes: ((bytes: Buffer) => Buffer)[],
 *   encodedHeaders: ((text: string) => string)[], encodedPayloads: ((text: string) => string)[],
 *   signatures: ((signature: Buffer | string, input: string) => Buffer | string)[], tokens: ((token: string) => string)[] }} Draft
 */

const spaces = [" ", "\t"];
const inside = (text, what) => {
  const at = 1 + below(text.length - 1);
  return text.slice(0, at) + what + text.slice(at);
};
const firstMember = (name, value) => (text) => `{${JSON.stringify(name)}:${value},${text.slice(1)}`;
const padded = (text) => text + ("=".repeat((4 - (text.length % 4)) % 4) || "=");
/** @type {((signature: Buffer) => Buffer)[]} */
const brokenSignatures = [
  (signature) => signature.subarray(1),
  (signature) => signature.subarray(0, -1),
  (signature) => Buffer.concat([signature, Buffer.from([0])]),
  (signature) => Buffer.concat([Buffer.from([0]), signature]),
  (signature) => Buffer.concat([signature.subarray(signature.length / 2), signature.subarray(0, signature.length / 2)]),
  (signature) => Buffer.alloc(signature.length),
  (signature) => Buffer.alloc(signature.length, 0xff),
  () => Buffer.alloc(0),
];
/** @type {((token: string) => string)[]} */
const brokenShapes = [
  (token) => `${token}.`,
  (token) => `.${token}`,
  (token) => `${token}.${encode("x")}.${encode("y")}`,
  (token) => token.replace(".", ""),
  (token) => token.replace(".", ".."),
  (token) => token.slice(0, token.lastIndexOf(".")),
  (token) => token.slice(0, token.lastIndexOf(".") + 1),
  () => "..",
  () => ".",
];
const set = (part, name, ...values) => (draft) => void (draft[part][name] = oneOf(values));

/** Each: [weight, exception or undefined, change]. @type {[number, string | undefined, (draft: Draft) => void][]} */
const mutations = [
  // the header
  [2, undefined, set("header", "alg", "none", "None", "", "HS256", "RS256", "PS256", "ES256", "ES384", "RS512", "es256", " ES256", "ES256K", "RSA1_5", null, 0, ["ES256"])],
  [1, undefined, (draft) => void delete draft.header.alg],
  [2, undefined, set("header", "kid", "kid-0", "kid-1", "kid-2", "shared", "nobody", "KID-0", "kid-0 ", "../kid-0", 0, null, ["kid-0"])],
  [1, undefined, (draft) => void delete draft.header.kid],
  [2, undefined, set("header", "kid", "")],
  [1, "typ", set("header", "typ", "dpop+jwt", "logout+jwt", "secevent+jwt", "", "JOSE", 1, null, ["JWT"], "text/jwt")],
  [1, undefined, set("header", "typ", "jwt", "at+jwt", "application/at+jwt", "AT+JWT", "application/jwt")],
  [1, undefined, (draft) => void delete draft.header.typ],
  [1, undefined, set("header", "crit", ["exp"], ["x"], [], "exp", null, [1], ["b64"])],
  [1, "crit that names b64", (draft) => void Object.assign(draft.header, { crit: ["b64"], b64: true })],
  [1, undefined, (draft) => void Object.assign(draft.header, { crit: ["b64"], b64: false })],
  [1, "b64 or zip without crit", (draft) => void Object.assign(draft.header, oneOf([{ b64: true }, { b64: false }, { b64: "x" }, { zip: "DEF" }, { zip: null }]))],
  [1, undefined, (draft) => void Object.assign(draft.header, oneOf([{ jku: "https://evil.example/jwks" }, { x5u: "https://evil.example" }, { jwk: stranger.ES256.jwk }, { x5c: ["AAAA"] }, { cty: "JWT" }, { x5t: 1 }]))],
  [1, "duplicate names", (draft) => void draft.headerTexts.push(firstMember(oneOf(["alg", "kid", "typ", "x"]), '"first"'), firstMember("x", "1"), firstMember("x", "2"))],
  [1, "limits", (draft) => void draft.headerTexts.push(firstMember("deep", `${"[".repeat(6)}${"]".repeat(6)}`))],
  [1, "limits", (draft) => void (draft.header.many = Array.from({ length: 70 }, (_, i) => i))],
  [1, "not quite UTF-8", (draft) => void draft.headerTexts.push(firstMember("note", '"\\ud800"'))],
  [1, "not quite UTF-8", (draft) => void draft.headerBytes.push((bytes) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]))],
  [1, undefined, (draft) => void draft.headerTexts.push(() => oneOf(["[]", "null", '"x"', "", "{", '{"alg":"ES256"', "{'alg':'ES256'}"]))],
  [1, undefined, (draft) => void draft.headerTexts.push((text) => `${oneOf([" ", "\n", "\r\n", "\t"])}${text.replaceAll(":", " : ")}${oneOf(["", "\n"])}`)],

  // the claims
  [3, undefined, set("claims", "exp", now - 6, now - 5, now - 4, now - 3600, now, 0, now - 5.5, now - 4.5, now + 0.5, now + 1e6)],
  [1, undefined, set("claims", "exp", null, "never", `${now + 600}`, true, [now + 600], { value: now + 600 })],
  [1, undefined, (draft) => void delete draft.claims.exp],
  [1, "dates out of range", set("claims", "exp", 1e300, 2 ** 53 + 2, 1e16)],
  [2, undefined, set("claims", "nbf", now - 6, now, now + 4, now + 5, now + 5.5, now + 6, now + 3600)],
  [1, undefined, set("claims", "nbf", null, "0", false, [], {})],
  [1, "dates out of range", set("claims", "nbf", -1, -1e300, -0.5)],
  [1, undefined, set("claims", "iat", now, now - 1e6, 0, now - 0.5, now + 5, now + 4.5)],
  [1, undefined, set("claims", "iat", null, "0", false, [], {})],
  [1, "iat in the future", set("claims", "iat", now + 6, now + 3600, now + 1e6)],
  [1, "dates out of range", set("claims", "iat", -1, -1e300, 1e300)],
  [1, undefined, (draft) => void delete draft.claims.iat],
  [2, undefined, set("claims", "iss", `${issuer}/`, "https://evil.example", issuer.slice(0, -1), [issuer], null, 0, "", { issuer }, issuer.toUpperCase())],
  [1, undefined, (draft) => void delete draft.claims.iss],
  [2, undefined, set("claims", "aud", "agents-admin", "agent", "Agents", ["other"], [], null, 0, { agents: 1 }, [["agents"]], "")],
  [1, undefined, set("claims", "aud", ["other", "agents"], ["agents"], ["agents", "agents"])],
  [1, "aud with members that are no strings", set("claims", "aud", ["agents", 1], [null, "agents"], ["agents", ["x"]])],
  [1, undefined, (draft) => void delete draft.claims.aud],
  [1, undefined, (draft) => void delete draft.claims.sub],
  [1, "sub or jti of a wrong type", set("claims", "sub", null, 1, true, ["alice"], { id: "alice" })],
  [1, "sub or jti of a wrong type", set("claims", "jti", null, 1, ["x"])],
  [1, "identity that is no name", set("claims", "sub", "", "x".repeat(257), "a\nb", "a\u0000", "\u007f")],
  [1, undefined, set("claims", "sub", "x".repeat(256), "josé", "jose\u0301", "李", "😀", "a b", "__proto__", "constructor")],
  [1, "tokens of another kind", (draft) => void Object.assign(draft.claims, oneOf([{ nonce: "n" }, { at_hash: "h" }, { c_hash: "h" }, { events: {} }, { htm: "GET" }, { htu: "x" }, { cnf: { jkt: "x" } }]))],
  [1, undefined, (draft) => void Object.assign(draft.claims, oneOf([{ scope: "a b" }, { roles: ["a"] }, { nested: { a: [1, { b: null }] } }, { big: 1.5e10 }]))],
  // Some issuers copy the nonce to access tokens; those must not call themselves at+jwt.
  [1, "tokens of another kind", (draft) => void Object.assign(draft.claims, { scope: "openid", nonce: "n" })],
  [1, "duplicate names", (draft) => void draft.payloadTexts.push(firstMember("sub", '"mallory"'), firstMember("x", "1"), firstMember("x", "2"))],
  [1, "duplicate names", (draft) => void draft.payloadTexts.push(firstMember("nested", '{"a":1,"\\u0061":2}'))],
  [1, undefined, (draft) => void draft.payloadTexts.push(firstMember("SUB", '"mallory"'))],
  [1, "numbers past a double", (draft) => void draft.payloadTexts.push(firstMember("big", oneOf(["1e999", "-1e999", `1${"0".repeat(400)}`])))],
  [1, "not quite UTF-8", (draft) => void draft.payloadTexts.push(firstMember("note", oneOf(['"\\ud800"', '"\\udc00\\ud800"'])))],
  [1, "not quite UTF-8", (draft) => void draft.payloadBytes.push((bytes) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]))],
  [1, undefined, (draft) => void draft.payloadBytes.push((bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from(oneOf([[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80]])), bytes.subarray(-1)]))],
  [1, undefined, (draft) => void draft.payloadTexts.push(() => oneOf(["[]", "null", '"x"', "", "{}", "{", "{}{}", '{"a":01}', "NaN", '{"a":.5}', '{"a":1,}', "{/**/}"]))],
  [1, undefined, (draft) => void draft.payloadTexts.push((text) => ` \n${text.replaceAll(",", " ,\t")}\r\n`)],
  [1, "limits", (draft) => void draft.payloadTexts.push(firstMember("deep", oneOf([`${"[".repeat(16)}${"]".repeat(16)}`, `${'{"a":'.repeat(16)}0${"}".repeat(16)}`, `${"[".repeat(800)}${"]".repeat(800)}`])))],
  [1, undefined, (draft) => void draft.payloadTexts.push(firstMember("deep", `${"[".repeat(15)}${"]".repeat(15)}`))],
  [1, "limits", (draft) => void (draft.claims.many = Array.from({ length: 1100 }, () => 0))],
  [1, "limits", (draft) => void (draft.claims.padding = "x".repeat(8000))],

  // base64url, signed as it stands
  [1, "lax base64", (draft) => void draft.encodedHeaders.push((text) => oneOf([padded(text), inside(text, oneOf(spaces))]))],
  [1, "lax base64", (draft) => void draft.encodedPayloads.push((text) => oneOf([padded(text), inside(text, oneOf(spaces))]))],
  [1, "lax base64", (draft) => void draft.encodedHeaders.push((text) => (text.length % 4 === 0 ? text : withTailBits(text)))],
  [1, "lax base64", (draft) => void draft.encodedPayloads.push((text) => (text.length % 4 === 0 ? text : withTailBits(text)))],
  [1, "lax base64", (draft) => void draft.signatures.push((signature) => {
    const text = encode(/** @type {Buffer} */ (signature));
    return oneOf([padded(text), inside(text, oneOf(spaces)), text.length % 4 === 0 ? text : withTailBits(text)]);
  })],
  [1, undefined, (draft) => void draft.encodedPayloads.push((text) => text.replaceAll("-", "+").replaceAll("_", "/").replace("e", "+"))],
  [1, undefined, (draft) => void draft.encodedPayloads.push((text) => inside(text, oneOf(["!", "*", ",", "~", "é", "\u0001"])))],

  // the signature
  [3, undefined, (draft) => void draft.signatures.push((signature) => flipped(/** @type {Buffer} */ (signature)))],
  [1, undefined, (draft) => void draft.signatures.push((signature) => oneOf(brokenSignatures)(/** @type {Buffer} */ (signature)))],
  [1, undefined, (draft) => void draft.signatures.push((signature) => (signature.length === 64 && draft.key.alg === "ES256" ? p256.twin(/** @type {Buffer} */ (signature)) : signature))],
  [2, undefined, (draft) => void (draft.key = signsLike(draft.key))],

  // the whole
  [1, undefined, (draft) => void draft.tokens.push((token) => oneOf(brokenShapes)(token))],
  // "lax base64": the bit may be one that is not used.
  [2, "lax base64", (draft) => void draft.tokens.push((token) => {
    const at = below(token.length);
    const code = token.charCodeAt(at) ^ (1 << below(7));
    return code <= 0x20 || code >= 0x7f ? token : token.slice(0, at) + String.fromCharCode(code) + token.slice(at + 1);
  })],
];
const weights = mutations.flatMap((mutation, i) => Array(mutation[0]).fill(i));

function flipped(signature) {
  const bytes = Buffer.from(signature);
  bytes[below(bytes.length)] ^= 1 << below(8);
  return bytes;
}

/** Another key of the same kind under the same name: what an attacker has. */
function signsLike(key) {
  const { kty, crv } = key.jwk;
  const other = kty === "RSA" ? stranger.RS256 : kty === "OKP" ? stranger.EdDSA : { "P-256": stranger.ES256, "P-384": stranger.ES384, "P-521": stranger.ES512 }[crv];
  return other ? { ...other, kid: key.kid, alg: key.alg } : { ...key, privateKey: Buffer.from("t".repeat(64)) };
}

/** @returns {{ token: string, exceptions: Set<string>, kid: unknown }} */
function makeCase(world) {
  const item = oneOf(world.items);
  /** @type {Draft} */
  const draft = {
    key: item.key,
    header: { alg: item.key.alg, typ: "JWT", ...(item.key.kid !== undefined && { kid: item.key.kid }) },
    claims: { iss: issuer, sub: `user-${below(1000)}`, aud: audience, iat: now - 10, exp: now + 600, jti: `${below(1e9)}` },
    exceptions: new Set([item.exception, world.exception].filter((name) => name !== undefined)),
    headerTexts: [], payloadTexts: [], headerBytes: [], payloadBytes: [], encodedHeaders: [], encodedPayloads: [], signatures: [], tokens: [],
  };
  const count = oneOf([0, 0, 1, 1, 1, 1, 1, 2, 2, 3]);
  // Each once: the same member put in twice would be a duplicate name.
  for (const index of new Set(Array.from({ length: count }, () => oneOf(weights)))) {
    const [, exception, change] = mutations[index];
    if (exception) draft.exceptions.add(exception);
    change(draft);
  }
  const through = (changes, value, ...more) => changes.reduce((current, change) => change(current, ...more), value);
  const bytesOf = (object, texts, bytes) => through(bytes, Buffer.from(through(texts, JSON.stringify(object))));
  let token = makeToken(draft.key, {}, {
    headerText: bytesOf(draft.header, draft.headerTexts, draft.headerBytes),
    payloadText: bytesOf(draft.claims, draft.payloadTexts, draft.payloadBytes),
    encodedHeader: (text) => through(draft.encodedHeaders, text),
    encodedPayload: (text) => through(draft.encodedPayloads, text),
    // Two changes of a signature: the second would get text where it expects bytes.
    signature: (signature, input) => through(draft.signatures.slice(0, 1), signature, input),
  });
  token = through(draft.tokens, token);
  return { token, exceptions: draft.exceptions, kid: draft.header.kid };
}

// --------------------------------------------------------------------------------------------------------- verdicts

async function joseVerdict(world, token) {
  try {
    const { payload } = await jwtVerify(token, world.getKey, {
      issuer, audience, algorithms: world.algorithms, requiredClaims: ["exp", "sub"], clockTolerance: 5, currentDate: new Date(now * 1000),
    });
    return { accepted: true, payload, code: undefined };
  } catch (fault) {
    return { accepted: false, code: fault.code };
  }
}

async function gateVerdict(world, token) {
  let request;
  try {
    request = new Request("https://gate.example/", { headers: { authorization: `Bearer ${token}` } });
  } catch {
    return { accepted: false, code: "not_sendable" };
  }
  try {
    return { accepted: true, user: await world.gate.authenticate(request) };
  } catch (fault) {
    assert.ok(fault instanceof AuthError);
    return { accepted: false, code: fault.code };
  }
}

// What is told of a token when the two disagree: how it was made, never the token.
const describeCase = (world, index, made, gate) => `token ${index} of seed ${seed} (${world.name}; ${[...made.exceptions].join(", ") || "no exception"}): the gate says ${gate.code ?? "yes"}`;

const worldCount = 34;

describe("jose and the gate", () => {
  it(`agree on ${tokensWanted} tokens but for the exceptions`, { timeout: 600_000 }, async (t) => {
    t.diagnostic(`seed ${seed}`);
    const worlds = [];
    for (let index = 0; index < worldCount; index++) worlds.push(await makeWorld(index));
    for (const alg of ["HS256", "HS384", "HS512"]) worlds.push(await makeSecretWorld(alg));
    const counts = { accepted: 0, refused: 0 };
    const disagreements = [];
    for (let index = 0; index < tokensWanted; index++) {
      const world = worlds[index % worlds.length];
      if (world.items.length === 0) continue;
      const made = makeCase(world);
      const jose = await joseVerdict(world, made.token);
      const gate = await gateVerdict(world, made.token);
      if (jose.accepted === gate.accepted) {
        counts[gate.accepted ? "accepted" : "refused"] += 1;
        if (gate.accepted) {
          assert.ok(gate.user.identity === jose.payload.sub, `${describeCase(world, index, made, gate)}, as somebody else`);
          assert.deepEqual(gate.user.claims, jose.payload, `${describeCase(world, index, made, gate)}, with other claims`);
        }
        continue;
      }
      const excuse = jose.accepted
        ? stricter[[...made.exceptions].find((name) => stricter[name]?.codes.includes(gate.code)) ?? ""]
        : Object.values(laxer).find(({ code, when }) => code === jose.code && when(made.kid, world));
      if (excuse) excuse.occurred += 1;
      else disagreements.push(`${describeCase(world, index, made, gate)}, jose ${jose.accepted ? "accepts" : "refuses"}`);
    }
    for (const world of worlds) world.gate.close();

    console.log(`| jose and the gate, seed ${seed} | tokens | why |`);
    console.log("|---|---|---|");
    console.log(`| both accept | ${counts.accepted} | |`);
    console.log(`| both refuse | ${counts.refused} | |`);
    for (const [name, { why, occurred }] of Object.entries(stricter)) console.log(`| only the gate refuses: ${name} | ${occurred} | ${why} |`);
    for (const [name, { why, occurred }] of Object.entries(laxer)) console.log(`| only jose refuses: ${name} | ${occurred} | ${why} |`);
    assert.deepEqual(disagreements.slice(0, 20), [], `${disagreements.length} disagreements`);
    assert.ok(counts.accepted > tokensWanted / 12 && counts.refused > tokensWanted / 12, "neither side says the same to everything");
    const idle = Object.entries({ ...stricter, ...laxer }).flatMap(([name, { occurred }]) => (occurred === 0 ? [name] : []));
    assert.deepEqual(idle, [], "exceptions that never occurred");
  });
});
