// The issuer's signing keys: one signs, the rest are published until they are revoked.
//
// The order of a rotation is Supabase's: the new key is published before it signs for long, and the old one stays published
// until somebody revokes it, so tokens that are already out keep verifying.

import { KeyObject, createHmac, randomBytes, randomUUID, sign as signBytes } from "node:crypto";
import { CompactSign, exportJWK, generateKeyPair, jwtVerify } from "jose";

export const algorithms = /** @type {const} */ (["ES256", "RS256", "HS256"]);

/** Each published key is fetched by every gate; a handful is all a rotation ever needs. */
const publishedKeysMax = 8;

/**
 * @typedef {(typeof algorithms)[number]} Alg
 * @typedef {{ kid: string, privateKey: import("node:crypto").KeyObject, publicKey: import("node:crypto").KeyObject,
 *             jwk: import("jose").JWK }} SigningKey
 */

export class KeyRing {
  /** @type {Map<string, SigningKey>} in the order they were made; the last one signs */
  #keys = new Map();
  /** @type {Uint8Array | undefined} */
  #secret;

  /** @param {Alg} alg @param {string} [secret] the shared secret of HS256 */
  constructor(alg, secret) {
    this.alg = alg;
    if (alg === "HS256") this.#secret = new TextEncoder().encode(secret ?? randomBytes(32).toString("base64url"));
  }

  /** @param {Alg} alg @param {string} [secret] */
  static async create(alg, secret) {
    if (!algorithms.includes(alg)) throw new TypeError(`alg must be one of ${algorithms.join(", ")}`);
    if (secret !== undefined && secret.length < 32) throw new TypeError("the HS256 secret needs at least 32 characters");
    const ring = new KeyRing(alg, secret);
    if (alg !== "HS256") await ring.rotate();
    return ring;
  }

  get symmetric() {
    return this.#secret !== undefined;
  }

  /** The kid that signs now; undefined with HS256, whose legacy tokens name none that a JWK Set could hold. */
  get currentKid() {
    return [...this.#keys.keys()].at(-1);
  }

  /** The JWK Set. A shared secret is never in it: Supabase publishes no keys for HS256 either. */
  jwkSet() {
    return { keys: [...this.#keys.values()].map((key) => key.jwk).reverse() };
  }

  /** For the file a developer asked for, never for a log. */
  secretText() {
    return this.#secret && new TextDecoder().decode(this.#secret);
  }

  async rotate() {
    if (this.symmetric) throw new KeyError("HS256 has one shared secret; restart with another one");
    if (this.#keys.size >= publishedKeysMax) throw new KeyError("revoke a key first: too many are published");
    const { privateKey, publicKey } = await generateKeyPair(this.alg, { extractable: true, modulusLength: 2048 });
    const kid = randomUUID();
    const jwk = { ...(await exportJWK(publicKey)), kid, alg: this.alg, use: "sig", key_ops: ["verify"] };
    this.#keys.set(kid, {
      kid,
      jwk,
      privateKey: KeyObject.from(/** @type {any} */ (privateKey)),
      publicKey: KeyObject.from(/** @type {any} */ (publicKey)),
    });
    return kid;
  }

  /** @param {string} kid */
  revoke(kid) {
    if (!this.#keys.has(kid)) throw new KeyError("no published key has this kid");
    if (kid === this.currentKid) throw new KeyError("this key signs; rotate first");
    this.#keys.delete(kid);
  }

  /**
   * Signs a claims set. With header overrides it also makes tokens that an honest issuer would not: tests of a verifier need a
   * wrong `kid`, `typ` or `alg` under a signature that is otherwise good. `null` or `undefined` takes a header away.
   *
   * @param {Record<string, unknown>} claims
   * @param {Record<string, unknown>} [headerOverrides]
   */
  async sign(claims, headerOverrides = {}) {
    const key = this.#keys.get(this.currentKid ?? "");
    /** @type {Record<string, unknown>} */
    const header = { alg: this.alg, ...(key && { kid: key.kid }), typ: "JWT" };
    for (const [name, value] of Object.entries(headerOverrides)) {
      if (value === null || value === undefined) delete header[name];
      else header[name] = value;
    }
    const payload = new TextEncoder().encode(JSON.stringify(claims));
    if (header.alg === this.alg && header.crit === undefined && header.b64 === undefined) {
      return new CompactSign(payload).setProtectedHeader(/** @type {any} */ (header)).sign(key?.privateKey ?? /** @type {Uint8Array} */ (this.#secret));
    }
    // jose refuses to sign under a header that lies about the key, and rightly so.
    const input = `${Buffer.from(JSON.stringify(header)).toString("base64url")}.${Buffer.from(payload).toString("base64url")}`;
    return `${input}.${this.#rawSignature(Buffer.from(input), key).toString("base64url")}`;
  }

  /** @param {Buffer} input @param {SigningKey | undefined} key */
  #rawSignature(input, key) {
    if (!key) return createHmac("sha256", /** @type {Uint8Array} */ (this.#secret)).update(input).digest();
    return signBytes("sha256", input, { key: key.privateKey, dsaEncoding: "ieee-p1363" });
  }

  /** @param {string} token @param {{ issuer: string, audience: string }} expected */
  async verify(token, expected) {
    const options = { ...expected, algorithms: [this.alg], requiredClaims: ["sub", "exp"] };
    if (this.#secret) return (await jwtVerify(token, this.#secret, options)).payload;
    const keyOf = (/** @type {import("jose").JWTHeaderParameters} */ header) => {
      const key = this.#keys.get(header.kid ?? "");
      if (!key) throw new KeyError("no published key has this kid");
      return key.publicKey;
    };
    return (await jwtVerify(token, keyOf, options)).payload;
  }
}

/** A request about keys that cannot be met; the message holds nothing secret. */
export class KeyError extends Error {}
