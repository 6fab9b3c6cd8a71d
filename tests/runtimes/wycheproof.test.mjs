// Wycheproof and the RFC examples through the wasm in Node; tests/unit/wycheproof_test.cpp runs them through the native core.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { JwsError, verifyJws, verifySignature } from "../../js/dist/index.node.js";

const folder = process.env.POSTERN_VECTORS
  ? new URL(`${process.env.POSTERN_VECTORS}/`, "file:///")
  : new URL("../../../shared/vectors/", import.meta.url);
const missing = !existsSync(new URL("wycheproof/", folder));
if (missing && process.env.CI) throw new Error("the vectors are missing, and CI must run them");
const options = { skip: missing && "no ../shared/vectors and no POSTERN_VECTORS" };

const read = (name) => JSON.parse(readFileSync(new URL(name, folder), "utf8"));
const exceptions = JSON.parse(readFileSync(new URL("../support/wycheproof-exceptions.json", import.meta.url), "utf8"));
const bytes = (hex) => Buffer.from(hex, "hex");
const base64url = (hex) => bytes(hex).toString("base64url");
const withoutSignByte = (hex) => hex.replace(/^00/, "");

/** Accepted or not; a key that is refused accepts nothing. */
async function accepts(verification) {
  try {
    return (await verification) !== false;
  } catch (error) {
    if (error instanceof JwsError) return false;
    throw error;
  }
}

/** @param {string} file @param {number} wanted right answers @param {(group: any) => (test: any) => Promise<[boolean, boolean]>} judge */
function vectors(file, wanted, judge) {
  test(`${file}: ${wanted} right`, options, async () => {
    let right = 0;
    let total = 0;
    for (const group of read(`wycheproof/${file}_test.json`).testGroups) {
      const one = judge(group);
      for (const example of group.tests) {
        total += 1;
        if (file === "json_web_signature" && (exceptions.refused[example.tcId] || exceptions.contradictory[example.tcId])) {
          if (exceptions.refused[example.tcId]) assert.equal((await one(example))[1], false, `${example.tcId} is listed as refused`);
          continue;
        }
        const [expected, accepted] = await one(example);
        assert.equal(accepted, expected, `${file} ${example.tcId}: ${example.comment}`);
        right += 1;
      }
    }
    console.log(`wycheproof wasm ${file.padEnd(36)} ${right} of ${total}`);
    assert.equal(right, wanted);
  });
}

for (const [file, wanted] of [["json_web_signature", 393], ["json_web_key", 26]]) {
  vectors(file, wanted, (group) => {
    const given = group.public ?? group.private;
    const keys = given.keys ?? [given];
    const symmetricKeys = keys.every((key) => key.kty === "oct");
    return async (example) => [example.result === "valid", await accepts(verifyJws(example.jws, { keys }, { symmetricKeys }))];
  });
}

for (const [file, alg, crv, wanted] of [
  ["ecdsa_secp256r1_sha256_p1363", "ES256", "P-256", 262],
  ["ecdsa_secp384r1_sha384_p1363", "ES384", "P-384", 280],
  ["ecdsa_secp521r1_sha512_p1363", "ES512", "P-521", 318],
  ["ecdsa_secp256k1_sha256_p1363", "ES256K", "secp256k1", 252],
]) {
  vectors(file, wanted, (group) => {
    const point = group.publicKey.uncompressed.slice(2);
    const half = point.length / 2;
    const jwk = { kty: "EC", crv, x: base64url(point.slice(0, half)), y: base64url(point.slice(half)) };
    return async (example) => [example.result === "valid", await accepts(verifySignature(jwk, alg, bytes(example.msg), bytes(example.sig)))];
  });
}

vectors("ed25519", 151, (group) => {
  const jwk = { kty: "OKP", crv: "Ed25519", x: base64url(group.publicKey.pk) };
  return async (example) => [example.result === "valid", await accepts(verifySignature(jwk, "EdDSA", bytes(example.msg), bytes(example.sig)))];
});

const rsaKey = (group) => ({
  kty: "RSA",
  n: base64url(withoutSignByte(group.publicKey.modulus)),
  e: base64url(withoutSignByte(group.publicKey.publicExponent)),
});
for (const [file, alg, wanted] of [
  ["rsa_signature_2048_sha256", "RS256", 259],
  ["rsa_signature_2048_sha384", "RS384", 258],
  ["rsa_signature_2048_sha512", "RS512", 259],
  ["rsa_signature_3072_sha256", "RS256", 259],
]) {
  vectors(file, wanted, (group) => {
    const jwk = rsaKey(group);
    // Keys with e = 3 are refused at import, whatever they signed.
    const weak = group.publicKey.publicExponent === "03";
    return async (example) => [
      example.result === "valid" && !weak,
      await accepts(verifySignature(jwk, alg, bytes(example.msg), bytes(example.sig))),
    ];
  });
}

const pss = { "SHA-256": ["PS256", 32], "SHA-384": ["PS384", 48], "SHA-512": ["PS512", 64] };
for (const [file, wanted] of [["rsa_pss_2048_sha256_mgf1_32", 108], ["rsa_pss_3072_sha256_mgf1_32", 108], ["rsa_pss_misc", 150]]) {
  vectors(file, wanted, (group) => {
    const jwk = rsaKey(group);
    // PS* is one choice of parameters (RFC 7518 3.5); any other is refused however well it is made.
    const fits = group.mgf === "MGF1" && group.mgfSha === group.sha && pss[group.sha]?.[1] === group.sLen;
    return async (example) => {
      let accepted = false;
      for (const [alg] of Object.values(pss)) {
        accepted ||= await accepts(verifySignature(jwk, alg, bytes(example.msg), bytes(example.sig)));
      }
      return [example.result === "valid" && fits, accepted];
    };
  });
}

for (const [bits, alg] of [[256, "HS256"], [384, "HS384"], [512, "HS512"]]) {
  vectors(`hmac_sha${bits}`, 174, (group) => async (example) => {
    const jwk = { kty: "oct", alg, k: base64url(example.key) };
    // Truncated tags are no JWS signatures, and a key shorter than the hash is refused (RFC 7518 3.2).
    const fits = group.tagSize === bits && bytes(example.key).length >= bits / 8;
    return [example.result === "valid" && fits, await accepts(verifySignature(jwk, alg, bytes(example.msg), bytes(example.tag)))];
  });
}

test("RFC 7520 and RFC 8037 examples", options, async () => {
  for (const [name, alg] of [["4_1.rsa_v15_signature", "RS256"], ["4_2.rsa-pss_signature", "PS384"], ["4_3.ecdsa_signature", "ES512"], ["4_4.hmac-sha2_integrity_protection", "HS256"]]) {
    const { input, output } = read(`cookbook/jws/${name}.json`);
    const { kty, kid, crv, x, y, n, e, k } = input.key;
    const jwk = kty === "oct" ? { kty, kid, k, alg } : { kty, kid, crv, x, y, n, e };
    const key = JSON.parse(JSON.stringify(jwk));
    const payload = await verifyJws(output.compact, { keys: [key] }, { symmetricKeys: kty === "oct" });
    assert.equal(Buffer.from(payload).toString("utf8"), input.payload, name);
    const flipped = output.compact.slice(0, -6) + (output.compact.at(-6) === "A" ? "B" : "A") + output.compact.slice(-5);
    await assert.rejects(verifyJws(flipped, { keys: [key] }, { symmetricKeys: kty === "oct" }), JwsError, name);
  }
});
