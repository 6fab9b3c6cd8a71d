// Keys and tokens that every contestant gets, made anew for each run.
//
// A suite is 8 keys of one algorithm and their tokens, shaped like Supabase's access tokens (some 750 bytes). Of each 16 tokens
// one is wrong, and wrong in its signature alone, so that nobody can refuse it before the costly part: a flipped bit, a payload
// that was changed afterwards, or another key of the set.
import {
  constants, createHmac, createSecretKey, generateKeyPairSync, randomBytes, randomUUID, sign,
} from "node:crypto";
import { audience, issuer } from "./configuration.mjs";

export const algorithms = ["ES256", "ES384", "EdDSA", "HS256", "RS256", "PS256"];
export const keyCount = 8;

/**
 * @typedef {object} Token
 * @property {string} text
 * @property {number} key of which it says it is
 * @property {boolean} good
 * @property {string} subject
 * @property {string} [owner] of the object they ask for, in suites about that
 *
 * @typedef {object} Suite all of it is JSON
 * @property {string} alg
 * @property {Record<string, string>[]} jwks public, or "oct" for HS256
 * @property {string[]} pems public, or the secrets for HS256
 * @property {Token[]} tokens
 * @property {object[]} [issuers] instead of the one that has `jwks`
 * @property {object} [more] on top of a gate's configuration
 */

function makeKey(alg, index) {
  const kid = `${alg}-${index}-${randomBytes(6).toString("hex")}`;
  if (alg === "HS256") {
    const secret = randomBytes(48).toString("base64url");
    const jwk = { kty: "oct", k: Buffer.from(secret).toString("base64url"), kid, alg };
    return { kid, jwk, pem: secret, secret: createSecretKey(Buffer.from(secret)) };
  }
  const pair =
    alg === "ES256" ? generateKeyPairSync("ec", { namedCurve: "P-256" })
    : alg === "ES384" ? generateKeyPairSync("ec", { namedCurve: "P-384" })
    : alg === "EdDSA" ? generateKeyPairSync("ed25519")
    : generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = { ...pair.publicKey.export({ format: "jwk" }), kid, alg, use: "sig" };
  return { kid, jwk, pem: pair.publicKey.export({ format: "pem", type: "spki" }), secret: pair.privateKey };
}

function signatureOf(alg, key, input) {
  const bytes = Buffer.from(input);
  switch (alg) {
    case "HS256":
      return createHmac("sha256", key).update(bytes).digest();
    case "EdDSA":
      return sign(null, bytes, key);
    case "RS256":
      return sign("sha256", bytes, key);
    case "PS256":
      return sign("sha256", bytes, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST });
    default:
      return sign(`sha${alg.slice(2)}`, bytes, { key, dsaEncoding: "ieee-p1363" });
  }
}

const encode = (object) => Buffer.from(JSON.stringify(object)).toString("base64url");

function claimsOf(subject) {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: issuer, sub: subject, aud: audience, exp: now + 24 * 3600, iat: now, email: `${subject}@users.example`, phone: "",
    app_metadata: { provider: "email", providers: ["email"] },
    user_metadata: { email: `${subject}@users.example`, email_verified: true },
    role: "authenticated", aal: "aal1", session_id: randomUUID(), is_anonymous: false,
  };
}

/** The token with number `i`; `keyOf(0)` is its key, `keyOf(1)` another one. One in 16 is wrong. */
function makeToken(alg, i, keyOf) {
  const key = keyOf(0);
  const subject = randomUUID();
  const header = encode({ alg, kid: key.kid, typ: "JWT" });
  const claims = { ...claimsOf(subject), iss: key.issuer };
  const input = `${header}.${encode(claims)}`;
  const good = i % 16 !== 7;
  // With a single key there is no other one to sign with.
  const kind = Math.floor(i / 16) % (keyOf(1).kid === key.kid ? 2 : 3);
  const signature = signatureOf(alg, !good && kind === 2 ? keyOf(1).secret : key.secret, input);
  if (!good && kind === 0) signature[Math.floor(signature.length / 2)] ^= 1;
  const shown = !good && kind === 1 ? `${header}.${encode({ ...claims, is_anonymous: true })}` : input;
  return { text: `${shown}.${signature.toString("base64url")}`, key: i % keyCount, good, subject };
}

/**
 * Many keys, of one issuer or of several, and tokens of keys drawn from all of them.
 *
 * @param {number[]} keysOf how many keys each issuer has
 * @param {number} count of tokens
 */
export function makeKeys(keysOf, count) {
  const issuers = keysOf.map((keys, i) => ({ issuer: `https://idp-${i}.example/`, keys: Array.from({ length: keys }, (_, k) => makeKey("ES256", k)) }));
  const all = issuers.flatMap(({ issuer, keys }) => keys.map((key) => ({ issuer, key })));
  const tokens = Array.from({ length: count }, (_, i) => makeToken("ES256", i, (shift) => {
    const { issuer, key } = all[(i * 7919 + shift) % all.length];
    return { ...key, issuer };
  }));
  return {
    alg: "ES256", jwks: [all[0].key.jwk], pems: [all[0].key.pem], tokens: tokens.map((token) => ({ ...token, key: 0 })),
    more: { shared_identities: true },
    issuers: issuers.map(({ issuer, keys }) => ({ issuer, keys: { keys: keys.map(({ jwk }) => jwk) } })),
  };
}

/** Tokens that are all good, and objects of which one in 16 is somebody else's. @returns {Suite} */
export function makeOwners(count) {
  const suite = makeSuite("ES256", Math.ceil(count / 15) * 16);
  const tokens = suite.tokens.filter(({ good }) => good).slice(0, count);
  return { ...suite, tokens: tokens.map((token, i) => ({ ...token, good: i % 16 !== 7, owner: i % 16 !== 7 ? token.subject : randomUUID() })) };
}

/**
 * @param {string} alg
 * @param {number} count of tokens
 * @returns {Suite}
 */
export function makeSuite(alg, count) {
  const keys = Array.from({ length: keyCount }, (_, index) => makeKey(alg, index));
  const tokens = Array.from({ length: count }, (_, i) => makeToken(alg, i, (shift) => ({ ...keys[(i + shift) % keyCount], issuer })));
  return { alg, jwks: keys.map((key) => key.jwk), pems: keys.map((key) => key.pem), tokens };
}
