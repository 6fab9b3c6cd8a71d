// Signatures apart from tokens: RFC 7515 5.2. They say that a listed key signed these bytes, and nothing
// about who may do what: a Gate is the way to let somebody in.
import { currentCore } from "./core.js";
import type { ErrorCode } from "./errors.js";

/** A JWS or a signature was refused. `code` is from the error list; nothing of the token is in it. */
export class JwsError extends Error {
  override name = "JwsError";
  constructor(readonly code: ErrorCode) {
    super(`the JWS was refused: ${code}`);
  }
}

/**
 * The payload of a compact JWS that a key of the set verifies. The key decides the algorithm.
 *
 * @param jws three base64url parts
 * @param jwkSet `{ keys: [...] }`, RFC 7517
 * @param options `symmetricKeys: true` accepts "oct" keys, which must have an `alg`: for a set of your own, never for a fetched one
 * @throws JwsError
 */
export async function verifyJws(
  jws: string, jwkSet: object, options: { symmetricKeys?: boolean } = {},
): Promise<Uint8Array> {
  const core = await currentCore();
  const answer = core.verifyJws(jws, JSON.stringify(jwkSet), options.symmetricKeys === true);
  if ("code" in answer) throw new JwsError(answer.code as ErrorCode);
  return answer.payload;
}

/**
 * Whether `signature` over `input` verifies with one JWK under `alg` (RFC 7518 section 3; ECDSA as r || s). A key that is refused
 * is an error, a signature that does not verify is `false`.
 *
 * @throws JwsError
 */
export async function verifySignature(
  jwk: object, alg: string, input: Uint8Array, signature: Uint8Array,
): Promise<boolean> {
  const core = await currentCore();
  const code = core.verifySignature(JSON.stringify(jwk), alg, input, signature);
  if (code === undefined) return true;
  if (code === "signature_invalid" || code === "signature_malformed") return false;
  throw new JwsError(code as ErrorCode);
}
