// Writes tests/fuzz/tokens.json: fresh keys, one for each kind, tokens signed with them, and tokens that no key of the set
// signed. The private keys are thrown away: run it again to get a whole new set.
//
// `genuine`: a key of the set signed exactly these bytes. Whether the claims are good is another question.
import { createHmac, generateKeyPairSync, randomBytes, sign, constants } from "node:crypto";
import { writeFileSync } from "node:fs";

const now = 1_800_000_000; // seconds; every target runs at about this moment
const issuer = "https://idp.example/auth/v1";
const b64 = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

const ec = (namedCurve) => generateKeyPairSync("ec", { namedCurve });
const keys = {
  "ec-256": ec("P-256"),
  "ec-384": ec("P-384"),
  "ec-521": ec("P-521"),
  "ec-k1": ec("secp256k1"),
  "rsa-1": generateKeyPairSync("rsa", { modulusLength: 2048 }),
  "ed-1": generateKeyPairSync("ed25519"),
};
const secrets = Object.fromEntries(["256", "384", "512"].map((bits) => [`hs-${bits}`, randomBytes(48).toString("base64url")]));
const stranger = ec("P-256");

const hash = (alg) => `sha${alg.endsWith("K") ? 256 : alg.slice(-3)}`;
function signature(alg, key, input) {
  if (alg.startsWith("HS")) return createHmac(hash(alg), key).update(input).digest();
  if (alg.startsWith("ES")) return sign(hash(alg), input, { key: key.privateKey, dsaEncoding: "ieee-p1363" });
  if (alg.startsWith("RS")) return sign(hash(alg), input, key.privateKey);
  if (alg.startsWith("PS")) {
    const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
    return sign(hash(alg), input, { key: key.privateKey, ...padding });
  }
  return sign(null, input, key.privateKey);
}
function compact(header, claims, alg, key) {
  const input = `${b64(header)}.${b64(claims)}`;
  return `${input}.${signature(alg, key, Buffer.from(input)).toString("base64url")}`;
}

const user = (sub, more = {}) => ({ iss: issuer, aud: "agents", iat: now - 60, exp: now + 3600, sub, ...more });
const tokens = [];
const genuine = (name, alg, kid, claims, header = {}) =>
  tokens.push({ name, alg, kid, genuine: true, text: compact({ alg, typ: "JWT", kid, ...header }, claims, alg, keys[kid] ?? secrets[kid]) });
const forged = (name, text) => tokens.push({ name, genuine: false, text });
const text = (name) => tokens.find((token) => token.name === name).text;

const algorithms = [
  ["HS256", "hs-256"], ["HS384", "hs-384"], ["HS512", "hs-512"],
  ["RS256", "rsa-1"], ["RS384", "rsa-1"], ["RS512", "rsa-1"], ["PS256", "rsa-1"], ["PS384", "rsa-1"], ["PS512", "rsa-1"],
  ["ES256", "ec-256"], ["ES384", "ec-384"], ["ES512", "ec-521"], ["ES256K", "ec-k1"], ["EdDSA", "ed-1"], ["Ed25519", "ed-1"],
];
for (const [alg, kid] of algorithms) {
  const suffix = alg === "ES256" ? "" : `_${alg.toLowerCase()}`;
  genuine(`alice${suffix}`, alg, kid, user("alice"));
  genuine(`bob${suffix}`, alg, kid, user("bob"));
}
const good = (name, claims, header) => genuine(name, "ES256", "ec-256", claims, header);
good("alice_without_kid", user("alice"), { kid: undefined });
good("audience_list", user("alice", { aud: ["billing", "agents"] }));
good("access_token_type", user("alice"), { typ: "at+jwt" });
// Signed by the issuer, and refused for what they say.
good("expired", user("alice", { iat: now - 3600, exp: now - 60 }));
good("not_yet_valid", user("alice", { nbf: now + 60 }));
good("issued_in_future", user("alice", { iat: now + 3600, exp: now + 7200 }));
good("exp_text", user("alice", { exp: String(now + 3600) }));
good("other_audience", user("alice", { aud: "billing" }));
good("without_audience", user("alice", { aud: undefined }));
good("other_issuer", user("alice", { iss: "https://evil.example/auth/v1" }));
good("without_sub", user("alice", { sub: undefined }));
good("sub_number", user(7));
good("sub_empty", user(""));
good("logout_type", user("alice"), { typ: "logout+jwt" });
good("bound", user("alice", { cnf: { jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } }));
good("unknown_kid", user("alice"), { kid: "ec-9" });
good("critical", user("alice"), { crit: ["exp"] });

forged("wrong_key", compact({ alg: "ES256", typ: "JWT", kid: "ec-256" }, user("alice"), "ES256", stranger));
forged("embedded_key", compact({ alg: "ES256", typ: "JWT", jwk: stranger.publicKey.export({ format: "jwk" }) }, user("alice"), "ES256", stranger));
forged("alg_none", `${b64({ alg: "none", typ: "JWT" })}.${b64(user("alice"))}.`);
const pem = (kid) => keys[kid].publicKey.export({ type: "spki", format: "pem" });
forged("hs256_with_public_key", compact({ alg: "HS256", typ: "JWT", kid: "ec-256" }, user("alice"), "HS256", pem("ec-256")));
forged("hs256_with_rsa_key", compact({ alg: "HS256", typ: "JWT", kid: "rsa-1" }, user("alice"), "HS256", pem("rsa-1")));
const [head, , tail] = text("alice").split(".");
forged("payload_swapped", [head, text("bob").split(".")[1], tail].join("."));
forged("signature_flipped", text("alice").slice(0, -3) + (text("alice").at(-3) === "A" ? "B" : "A") + text("alice").slice(-2));
forged("zero_signature", `${head}.${b64(user("alice"))}.${Buffer.alloc(64).toString("base64url")}`);

const jwk = (kid) => ({ ...keys[kid].publicKey.export({ format: "jwk" }), use: "sig", key_ops: ["verify"], kid });
writeFileSync(
  new URL("tokens.json", import.meta.url),
  `${JSON.stringify({ now, issuer, jwks: { keys: Object.keys(keys).map(jwk) }, secrets, tokens }, null, 1)}\n`,
);
