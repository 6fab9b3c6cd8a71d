// The step VerifySignature: the runtime's own RSA, where it is faster than WebAssembly (js/README.md has the figures).
//
// Everything around the signature stays in the core: which key, whether it is sound, the algorithm, every check before and
// after. What is asked here is one question, and only the literal `true` is a yes. A verifier that throws, answers something else or, when
// it is a program's, takes too long is not believed: the core then verifies by itself.
import { type Verdict, type VerifySignature } from "./abi.js";
import { testInput, testKey, testSignatures } from "./verifier-test.js";
import { withinTime } from "./fetching.js";

/**
 * Verifies signatures in place of the core. The runtime's own is chosen unless the program names another; the configuration
 * cannot name one.
 */
export interface HostVerifier {
  /** What it is asked for, by the names of RFC 7518: RS256, RS384, RS512, PS256, PS384, PS512. */
  readonly algorithms: readonly string[];
  /** What `verify` gets for a public key (a JWK, RFC 7517); made once for each key and algorithm. */
  importKey(jwk: JsonWebKey, alg: string): unknown;
  /** `true` and nothing else says that the signature is good. A promise is awaited. */
  verify(key: unknown, alg: string, input: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer>): boolean | Promise<boolean>;
}

const rsaAlgorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] as const;

// What a verification names, made once. A plain name where there is no more to say: runtimes look for a dozen members otherwise.
// RFC 7518 section 3.5: the salt is as long as the hash.
const webAlgorithms = new Map<string, string | RsaPssParams>(rsaAlgorithms.map((alg) =>
  [alg, alg.startsWith("PS") ? { name: "RSA-PSS", saltLength: Number(alg.slice(2)) / 8 } : "RSASSA-PKCS1-v1_5"]));

/** `crypto.subtle`: in every runtime, and always a promise. */
export const webCryptoVerifier: HostVerifier = {
  algorithms: rsaAlgorithms,
  importKey: (jwk, alg) =>
    crypto.subtle.importKey("jwk", jwk, { name: webName(alg), hash: `SHA-${alg.slice(2)}` }, false, ["verify"]),
  verify: (key, alg, input, signature) => crypto.subtle.verify(webAlgorithms.get(alg)!, key as CryptoKey, signature, input),
};

const webName = (alg: string): string => (alg.startsWith("PS") ? "RSA-PSS" : "RSASSA-PKCS1-v1_5");

// A verification takes a tenth of a millisecond; what takes this long is stuck.
const timeLimitMs = 2_000;
// For one algorithm: 16 issuers with 64 keys each, the most there can be of one generation.
const keysMax = 1024;

/** One gate's use of a verifier: imported keys by the core's handles, and which algorithms have shown that they work. */
export class HostVerification {
  readonly #verifier: HostVerifier;
  readonly #whose: "runtime" | "program";
  readonly #told: (fault: string) => void;
  // Keys, never promises of keys: in workerd a promise of one request's may never settle in another. By algorithm, since WebCrypto's
  // are for one hash, and handle. Only of algorithms that work.
  readonly #keys = new Map<string, Map<bigint, unknown>>();
  readonly #tested = new Map<string, boolean>();

  /** `told`: of an algorithm that failed its test, once each. */
  constructor(verifier: HostVerifier, whose: "runtime" | "program", told: (fault: string) => void) {
    this.#verifier = verifier;
    this.#whose = whose;
    this.#told = told;
  }

  /** `jwk`: gives the public key of the question's handle, as text. Neither throws nor rejects. */
  verdict(question: VerifySignature, jwk: () => string): Verdict | Promise<Verdict> {
    const key = this.#keys.get(question.alg)?.get(question.keyHandle);
    return key === undefined ? this.#firstVerdict(question, jwk) : this.#ask(key, question);
  }

  #ask(key: unknown, { alg, input, signature }: VerifySignature): Verdict | Promise<Verdict> {
    try {
      const answer = this.#verifier.verify(key, alg, input, signature) as unknown;
      if (!(answer instanceof Promise)) return verdictOf(answer);
      // The runtime's own has shown that it answers. A timer for each signature would cost as much as half of one.
      return (this.#whose === "runtime" ? answer : withinTime<unknown>(timeLimitMs, answer)).then(verdictOf, unable);
    } catch {
      return "unable";
    }
  }

  async #firstVerdict(question: VerifySignature, jwk: () => string): Promise<Verdict> {
    try {
      if (!(this.#tested.get(question.alg) ?? (await this.#test(question.alg)))) return "unable";
      return await this.#ask(await this.#import(question, jwk()), question);
    } catch {
      return "unable";
    }
  }

  async #import({ keyHandle, alg }: VerifySignature, jwk: string): Promise<unknown> {
    const key = await withinTime(timeLimitMs, Promise.resolve(this.#verifier.importKey(JSON.parse(jwk) as JsonWebKey, alg)));
    // A test that was under way at the same time may have said no meanwhile.
    if (this.#tested.get(alg) !== true) throw new Error("the verifier failed its test");
    let keys = this.#keys.get(alg);
    if (keys === undefined) this.#keys.set(alg, keys = new Map());
    // Handles of a set that was replaced are never asked for again; the oldest goes first.
    if (keys.size >= keysMax) keys.delete(keys.keys().next().value!);
    keys.set(keyHandle, key);
    return key;
  }

  /** Before its first use: a good signature must be good, and bad with one bit changed. */
  async #test(alg: string): Promise<boolean> {
    let works = false;
    try {
      const signature = bytesOf(testSignatures[alg]!);
      const input = new TextEncoder().encode(testInput);
      const key = await this.#verifier.importKey({ ...testKey }, alg);
      const wrong = signature.slice();
      wrong[wrong.length - 1]! ^= 1;
      works =
        (await withinTime<unknown>(timeLimitMs, Promise.resolve(this.#verifier.verify(key, alg, input, signature)))) === true &&
        (await withinTime<unknown>(timeLimitMs, Promise.resolve(this.#verifier.verify(key, alg, input, wrong)))) === false;
    } catch {
      // told below
    }
    if (!works && this.#tested.get(alg) !== false) this.#told(`the host's verifier does not verify ${alg}: signatures are verified by the core`);
    // Of several tests at the same time one failure is enough.
    const good = works && this.#tested.get(alg) !== false;
    this.#tested.set(alg, good);
    if (!good) this.#keys.delete(alg);
    return good;
  }
}

const unable = (): Verdict => "unable";
const verdictOf = (said: unknown): Verdict => (said === true ? "valid" : said === false ? "invalid" : "unable");

function bytesOf(base64url: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
