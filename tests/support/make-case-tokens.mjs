// Writes tests/cases/tokens.json: fresh keys, the tokens the case files name, and the JWK Set that verifies
// them. The private keys are thrown away: run it again to get a whole new set.
import { createSign, createHmac, generateKeyPairSync, sign } from "node:crypto";
import { writeFileSync } from "node:fs";

const now = 1_800_000_000; // seconds; every case runs at this moment unless it says otherwise
const issuer = "https://idp.example/auth/v1";
const b64 = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });

function compact(header, claims, signer) {
  const input = `${b64(header)}.${b64(claims)}`;
  return `${input}.${signer(Buffer.from(input)).toString("base64url")}`;
}
const es256 = (pair) => (input) => sign("sha256", input, { key: pair.privateKey, dsaEncoding: "ieee-p1363" });
const rs256 = (pair) => (input) => createSign("RSA-SHA256").update(input).sign(pair.privateKey);
const hs256 = (secret) => (input) => createHmac("sha256", secret).update(input).digest();

const base = { iss: issuer, aud: "agents", iat: now - 60, exp: now + 3600 };
const user = (sub, more = {}) => ({ ...base, sub, ...more });
const header = { alg: "ES256", typ: "JWT", kid: "ec-1" };
const token = (claims, more = {}) => compact({ ...header, ...more }, claims, es256(ec));

const jwk = (key, more) => ({ ...key.export({ format: "jwk" }), use: "sig", key_ops: ["verify"], ...more });
const jwks = {
  keys: [jwk(ec.publicKey, { kid: "ec-1", alg: "ES256" }), jwk(rsa.publicKey, { kid: "rsa-1", alg: "RS256" })],
};
const without = (claims, name) => Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name));
const hmacSecret = "case-files-only-hmac-secret-0123456789abcdef";

const tokens = {
  alice: token(user("alice", { name: "Alice", scope: "read write" })),
  bob: token(user("bob")),
  alice_rs256: compact({ ...header, alg: "RS256", kid: "rsa-1" }, user("alice"), rs256(rsa)),
  alice_hs256: compact({ alg: "HS256", typ: "JWT" }, user("alice"), hs256(hmacSecret)),
  alice_without_kid: compact({ alg: "ES256", typ: "JWT" }, user("alice"), es256(ec)),
  expired: token(user("alice", { exp: now - 60 })),
  not_yet_valid: token(user("alice", { nbf: now + 60 })),
  issued_in_future: token(user("alice", { iat: now + 3600, exp: now + 7200 })),
  without_exp: token(without(user("alice"), "exp")),
  exp_text: token(user("alice", { exp: String(now + 3600) })),
  other_audience: token(user("alice", { aud: "billing" })),
  audience_list: token(user("alice", { aud: ["billing", "agents"] })),
  without_audience: token(without(user("alice"), "aud")),
  other_issuer: token(user("alice", { iss: "https://evil.example/auth/v1" })),
  issuer_list: token(user("alice", { iss: [issuer] })),
  without_sub: token(without(user("alice"), "sub")),
  sub_number: token(user(7)),
  sub_empty: token(user("")),
  unknown_kid: token(user("alice"), { kid: "ec-9" }),
  wrong_key: compact(header, user("alice"), es256(stranger)),
  alg_none: `${b64({ alg: "none", typ: "JWT" })}.${b64(user("alice"))}.`,
  hs256_with_public_key: compact(
    { alg: "HS256", typ: "JWT", kid: "ec-1" },
    user("alice"),
    hs256(ec.publicKey.export({ type: "spki", format: "pem" })),
  ),
  embedded_key: compact(
    { alg: "ES256", typ: "JWT", jwk: stranger.publicKey.export({ format: "jwk" }) },
    user("alice"),
    es256(stranger),
  ),
  critical: token(user("alice"), { crit: ["exp"] }),
  logout_type: token(user("alice"), { typ: "logout+jwt" }),
  access_token_type: token(user("alice"), { typ: "at+jwt" }),
  bound: token(user("alice", { cnf: { jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } })),
};
const alice = tokens.alice;
tokens.signature_flipped = alice.slice(0, -3) + (alice.at(-3) === "A" ? "B" : "A") + alice.slice(-2);
tokens.payload_swapped = [alice.split(".")[0], tokens.bob.split(".")[1], alice.split(".")[2]].join(".");

writeFileSync(
  new URL("../cases/tokens.json", import.meta.url),
  JSON.stringify({ now, issuer, hmac_secret: hmacSecret, jwks, tokens }, null, 1) + "\n",
);
