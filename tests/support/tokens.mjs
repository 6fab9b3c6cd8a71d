// Keys and tokens that a test makes itself, with node:crypto alone: every part can be a lie under a signature that holds.
import {
  constants, createHmac, createSecretKey, generateKeyPairSync, randomBytes, sign as signBytes,
} from "node:crypto";

const curves = { ES256: "P-256", ES384: "P-384", ES512: "P-521", ES256K: "secp256k1" };
const hashOf = (alg) => `sha${/(256|384|512)/.exec(alg)?.[1] ?? "512"}`;

/**
 * @typedef {object} SigningKey
 * @property {string} alg
 * @property {string | undefined} kid
 * @property {import("node:crypto").KeyObject} privateKey the secret itself for HMAC
 * @property {import("node:crypto").KeyObject | undefined} publicKey
 * @property {Record<string, unknown>} jwk public members, with kid, alg and use; empty for HMAC
 * @property {string | undefined} secret HMAC only
 */

/**
 * @param {string} alg a name of RFC 7518 or 8037
 * @param {{ kid?: string, secret?: string, modulusLength?: number, publicExponent?: number, jwk?: Record<string, unknown> }} [options]
 *   `jwk`: members on top of the published form; one given as undefined is left out
 * @returns {SigningKey}
 */
export function makeKey(alg, { kid, secret, modulusLength = 2048, publicExponent = 65537, jwk = {} } = {}) {
  if (alg.startsWith("HS")) {
    // Text, as a configuration file holds it: every byte of it counts.
    const text = secret ?? randomBytes(48).toString("base64url");
    return { alg, kid, secret: text, privateKey: createSecretKey(Buffer.from(text)), publicKey: undefined, jwk: {} };
  }
  const pair =
    alg in curves
      ? generateKeyPairSync("ec", { namedCurve: curves[alg] })
      : alg === "EdDSA" || alg === "Ed25519"
        ? generateKeyPairSync("ed25519")
        : generateKeyPairSync("rsa", { modulusLength, publicExponent });
  const published = { ...pair.publicKey.export({ format: "jwk" }), kid, alg, use: "sig", ...jwk };
  return { alg, kid, secret: undefined, ...pair, jwk: JSON.parse(JSON.stringify(published)) };
}

/** The signature over `input`, in JWS form (ECDSA as r || s). @param {SigningKey} key @param {string | Buffer} input */
export function signatureOf(key, input, alg = key.alg) {
  const bytes = Buffer.from(input);
  if (alg.startsWith("HS")) return createHmac(hashOf(alg), key.privateKey).update(bytes).digest();
  if (alg.startsWith("ES")) return signBytes(hashOf(alg), bytes, { key: key.privateKey, dsaEncoding: "ieee-p1363" });
  if (alg.startsWith("PS")) {
    const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
    return signBytes(hashOf(alg), bytes, { key: key.privateKey, ...padding });
  }
  if (alg.startsWith("RS")) return signBytes(hashOf(alg), bytes, key.privateKey);
  return signBytes(null, bytes, key.privateKey);
}

/** base64url of an object's JSON, of a text or of bytes. @param {object | string | Buffer} value */
export function encode(value) {
  if (Buffer.isBuffer(value)) return value.toString("base64url");
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
}

/**
 * A compact JWS.
 *
 * @param {SigningKey} key
 * @param {Record<string, unknown>} claims a member that is undefined is left out
 * @param {object} [lies]
 * @param {Record<string, unknown>} [lies.header] on top of alg, kid and typ
 * @param {string | Buffer} [lies.headerText] the header's bytes instead
 * @param {string | Buffer} [lies.payloadText] the payload's bytes instead
 * @param {(text: string) => string} [lies.encodedHeader] changes the encoded header before it is signed
 * @param {(text: string) => string} [lies.encodedPayload] changes the encoded payload before it is signed
 * @param {(signature: Buffer, input: string) => Buffer | string} [lies.signature] changes it; a string is taken as encoded
 */
export function makeToken(key, claims, lies = {}) {
  const header = { alg: key.alg, kid: key.kid, typ: "JWT", ...lies.header };
  const same = (text) => text;
  const first = (lies.encodedHeader ?? same)(encode(lies.headerText ?? header));
  const second = (lies.encodedPayload ?? same)(encode(lies.payloadText ?? claims));
  const input = `${first}.${second}`;
  const good = signatureOf(key, input);
  const signature = lies.signature ? lies.signature(good, input) : good;
  return `${input}.${typeof signature === "string" ? signature : encode(signature)}`;
}

/** A JWK Set of the keys that are not symmetric. @param {SigningKey[]} keys */
export const jwkSet = (...keys) => ({ keys: keys.filter((key) => key.publicKey).map((key) => key.jwk) });

/** The order of P-256. */
const p256Order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const number = (bytes) => BigInt(`0x${bytes.toString("hex")}`);
const bytes32 = (value) => Buffer.from(value.toString(16).padStart(64, "0"), "hex");

/** An ES256 signature as numbers, and back. */
export const p256 = {
  order: p256Order,
  /** @param {Buffer} signature */
  split: (signature) => ({ r: number(signature.subarray(0, 32)), s: number(signature.subarray(32)) }),
  /** @param {bigint} r @param {bigint} s */
  join: (r, s) => Buffer.concat([bytes32(r), bytes32(s)]),
  /** The other signature that holds as well: (r, n - s). @param {Buffer} signature */
  twin(signature) {
    const { r, s } = p256.split(signature);
    return p256.join(r, p256Order - s);
  },
};

/**
 * The same characters but for the last, whose unused bits are not zero: a lax decoder reads the same bytes.
 * @param {string} encoded of a length that leaves unused bits (not a multiple of four)
 */
export function withTailBits(encoded) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  if (encoded.length % 4 === 0) throw new Error("no bit of the last character is unused");
  return encoded.slice(0, -1) + alphabet[alphabet.indexOf(encoded.at(-1)) ^ 1];
}
