// node:crypto: synchronous, so that a signature costs no trip to a thread pool and back.
import { constants, createPublicKey, verify, type KeyObject } from "node:crypto";
import { webCryptoVerifier, type HostVerifier } from "./verifier.js";

export const nodeVerifier: HostVerifier = {
  algorithms: webCryptoVerifier.algorithms,
  importKey: (jwk) => createPublicKey({ key: jwk as never, format: "jwk" }),
  verify(key, alg, input, signature) {
    const rsa = key as KeyObject;
    return verify(
      `sha${alg.slice(2)}`, input,
      // RFC 7518 section 3.5: the salt is as long as the hash.
      alg.startsWith("PS")
        ? { key: rsa, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
        : { key: rsa, padding: constants.RSA_PKCS1_PADDING },
      signature,
    );
  },
};
