// Who is measured in Node besides: fast-jwt, node:crypto by hand.
import { constants, createHmac, createPublicKey, createSecretKey, timingSafeEqual, verify } from "node:crypto";
import { createVerifier } from "fast-jwt";
import { audience, issuer } from "../configuration.mjs";
import { Refused, split, userOf } from "./contestants.mjs";

const asIs = (text) => text;

// One verifier a key, and it is told which: no time goes into finding the key. That is in fast-jwt's favour.
function fastJwt(suite, options) {
  const verifiers = suite.pems.map((key) => createVerifier({ key, algorithms: [suite.alg], allowedIss: issuer, allowedAud: audience, ...options }));
  return {
    sync: true,
    input: asIs,
    work(text, key) {
      const claims = verifiers[key](text);
      return { identity: claims.sub, claims };
    },
  };
}

const ecdsa = (key) => ({ key, dsaEncoding: "ieee-p1363" });
const pss = (key) => ({ key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST });
const nodeAlgorithms = {
  ES256: ["sha256", ecdsa], ES384: ["sha384", ecdsa], EdDSA: [null, (key) => key],
  RS256: ["sha256", (key) => key], PS256: ["sha256", pss],
};

function nodeCrypto(suite) {
  const symmetric = suite.alg === "HS256";
  const [hash, dress] = symmetric ? [] : nodeAlgorithms[suite.alg];
  const keys = new Map(
    suite.jwks.map(({ kid }, i) => [kid, symmetric ? createSecretKey(Buffer.from(suite.pems[i])) : dress(createPublicKey(suite.pems[i]))]),
  );
  return {
    sync: true,
    input: asIs,
    work(text) {
      const { header, payload, input, signature } = split(text);
      if (header.alg !== suite.alg) throw new Refused();
      const key = keys.get(header.kid);
      if (symmetric) {
        const expected = createHmac("sha256", key).update(input).digest();
        if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) throw new Refused();
      } else if (!verify(hash, Buffer.from(input), key, signature)) throw new Refused();
      return userOf(payload());
    },
  };
}

/** @returns {Promise<Record<string, import("./contestants.mjs").Contestant>>} */
export async function nodeContestants(kind, suite) {
  switch (kind) {
    case "verify":
      return { "fast-jwt": fastJwt(suite, { cache: false }), "node-crypto": nodeCrypto(suite) };
    case "verify-cached":
      // Room for all of them in each: its cache holds tokens, not bytes.
      return { "fast-jwt": fastJwt(suite, { cache: suite.tokens.length }) };
  }
  return {};
}
