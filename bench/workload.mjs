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
 *
 * @typedef {object} Suite all of it is JSON
 * @property {string} alg
 * @property {Record<string, string>[]} jwks public, or "oct" for HS256
 * @property {string[]} pems public, or the secrets for HS256
 * @property {Token[]} tokens
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

/**
 * @param {string} alg
 * @param {number} count of tokens
 * @returns {Suite}
 */
export function makeSuite(alg, count) {
  const keys = Array.from({ length: keyCount }, (_, index) => makeKey(alg, index));
  const tokens = Array.from({ length: count }, (_, i) => {
    const key = i % keyCount;
    const subject = randomUUID();
    const header = encode({ alg, kid: keys[key].kid, typ: "JWT" });
    const claims = claimsOf(subject);
    const input = `${header}.${encode(claims)}`;
    const good = i % 16 !== 7;
    const kind = Math.floor(i / 16) % 3;
    const signer = !good && kind === 2 ? (key + 1) % keyCount : key;
    const signature = signatureOf(alg, keys[signer].secret, input);
    if (!good && kind === 0) signature[Math.floor(signature.length / 2)] ^= 1;
    const shown = !good && kind === 1 ? `${header}.${encode({ ...claims, is_anonymous: true })}` : input;
    return { text: `${shown}.${signature.toString("base64url")}`, key, good, subject };
  });
  return { alg, jwks: keys.map((key) => key.jwk), pems: keys.map((key) => key.pem), tokens };
}
