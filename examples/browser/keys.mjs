// Example keys and tokens, made by the page itself with the browser's own WebCrypto.

export const issuer = "https://issuer.example/auth/v1";
export const audience = "authenticated";
export const threadId = "7d5a1b9e-3c4f-4e2a-9b61-0c8f2d6e4a11";

const text = new TextEncoder();
const base64url = (/** @type {Uint8Array} */ bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
const encode = (/** @type {unknown} */ value) => base64url(text.encode(JSON.stringify(value)));

/** A signer of tokens and the JWK Set that verifies them. */
export async function makeIssuer() {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const pair = await crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]);
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const kid = "example-1";

  /** @param {Record<string, unknown>} claims @param {Record<string, unknown>} [header] */
  async function sign(claims, header = {}) {
    const now = Math.floor(Date.now() / 1000);
    const input = [
      encode({ alg: "ES256", typ: "JWT", kid, ...header }),
      encode({ iss: issuer, aud: audience, iat: now, exp: now + 3600, role: "authenticated", ...claims }),
    ].join(".");
    const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, text.encode(input));
    return `${input}.${base64url(new Uint8Array(signature))}`;
  }
  return { sign, jwks: { keys: [{ kty, crv, x, y, kid, alg: "ES256", use: "sig" }] } };
}

/** A token's three parts, decoded and not verified; undefined for what cannot be read. @param {string} token */
export function partsOf(token) {
  const parts = token.split(".");
  const read = (/** @type {string | undefined} */ part) => {
    try {
      const binary = atob((part ?? "").replaceAll("-", "+").replaceAll("_", "/"));
      return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (c) => c.charCodeAt(0))));
    } catch {
      return undefined;
    }
  };
  return { header: read(parts[0]), payload: read(parts[1]), signatureBytes: Math.floor(((parts[2] ?? "").length * 3) / 4) };
}

/** The same token with another payload and the old signature. @param {string} token @param {Record<string, unknown>} claims */
export function tampered(token, claims) {
  const [header, , signature] = token.split(".");
  return [header, encode({ ...partsOf(token).payload, ...claims }), signature].join(".");
}

/** @param {Record<string, unknown>} claims */
export function unsigned(claims) {
  const now = Math.floor(Date.now() / 1000);
  return `${encode({ alg: "none", typ: "JWT" })}.${encode({ iss: issuer, aud: audience, iat: now, exp: now + 3600, ...claims })}.`;
}
