// SHA-256 and the others through the wasm, whose block function the native tests do not run: HMAC of every length as node:crypto's.
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { test } from "node:test";
import { verifySignature } from "../../js/dist/index.node.js";

for (const bits of [256, 384, 512]) {
  test(`HS${bits}: secrets and inputs of every length`, async () => {
    for (let length = 0; length <= 300; ++length) {
      const secret = randomBytes(bits / 8 + (length * 7) % 301);
      const input = randomBytes(length === 300 ? 100_000 : length);
      const tag = createHmac(`sha${bits}`, secret).update(input).digest();
      const jwk = { kty: "oct", alg: `HS${bits}`, k: secret.toString("base64url") };
      const said = `${secret.length} bytes of secret, ${input.length} of input`;
      assert.equal(await verifySignature(jwk, jwk.alg, input, tag), true, said);
      tag[length % tag.length] ^= 1 << length % 8;
      assert.equal(await verifySignature(jwk, jwk.alg, input, tag), false, said);
    }
  });
}
