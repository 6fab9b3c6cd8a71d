// Which tokens do the JavaScript libraries accept? Each gets issuer, audience and the two algorithms, as far as it takes them,
// and is asked about the same tokens. Most are signed by the issuer's own key: what is wrong is something else.
//
//   node bench/peers/verdicts.mjs [--write]     --write: into docs/peers.md
import { sign } from "node:crypto";
import { createVerifier } from "fast-jwt";
import { JwtVerifier } from "aws-jwt-verify";
import { verifyWithJwks } from "hono/jwt";
import { createLocalJWKSet, jwtVerify } from "jose";
import jsonwebtoken from "jsonwebtoken";
import cloudflareWorkerJwt from "@tsndr/cloudflare-worker-jwt";
import { Gate } from "postern";
import { encode, jwkSet, makeKey, makeToken, p256, withTailBits } from "../../tests/support/tokens.mjs";
import { markdown, publish, withVersion } from "./page.mjs";

const issuer = "https://issuer.example";
const audience = "agents";
const now = Math.floor(Date.now() / 1000);
const rsa = makeKey("RS256", { kid: "rsa" });
const ec = makeKey("ES256", { kid: "ec" });
const attacker = makeKey("RS256", { kid: "rsa" });
const keys = { rsa, ec };
const set = jwkSet(rsa, ec);
const pem = (key) => key.publicKey.export({ type: "spki", format: "pem" });

// ---------------------------------------------------------------------------------------------------------- tokens

const claims = (more = {}) => ({ iss: issuer, aud: audience, sub: "alice", iat: now, exp: now + 600, ...more });
const withClaims = (more, key = rsa) => makeToken(key, claims(more));
const withHeader = (header, key = rsa) => makeToken(key, claims(), { header });
const withSignature = (signature, key = rsa) => makeToken(key, claims(), { signature });
const payload = (edit) => makeToken(rsa, {}, { payloadText: edit(JSON.stringify(claims())) });
const first = (text) => (json) => `{${text},${json.slice(1)}`;
const header = (text) => makeToken(rsa, claims(), { headerText: text });
const bytes = (edit) => makeToken(rsa, {}, { payloadText: edit(Buffer.from(JSON.stringify(claims({ sub: "@@" })))) });
/** A signature that has characters which plain base64 writes otherwise. */
function plainBase64() {
  for (let jti = 0; ; jti++) {
    const token = makeToken(rsa, claims({ jti: String(jti) }), { signature: (signature) => signature.toString("base64").replaceAll("=", "") });
    if (/[+/]/.test(token.split(".")[2])) return token;
  }
}
const confused = (secret, kid, alg = "HS256") => makeToken({ ...makeKey("HS256", { kid }), privateKey: secret }, claims(), { header: { alg } });

/** @type {[string, "accept" | "refuse", "rsa" | "ec", string][]} what, the right answer, the key, the token */
const tokens = [
  ["a good token, RS256", "accept", "rsa", withClaims({})],
  ["a good token, ES256", "accept", "ec", withClaims({}, ec)],
  ["aud a list with ours", "accept", "rsa", withClaims({ aud: ["other", audience] })],
  ["typ at+jwt (RFC 9068)", "accept", "rsa", withHeader({ typ: "at+jwt" })],
  ["ES256, the other signature (n-s)", "accept", "ec", withSignature(p256.twin, ec)],
  ["expired", "refuse", "rsa", withClaims({ exp: now - 600 })],
  ["signed by somebody else", "refuse", "rsa", makeToken(attacker, claims())],
  ["alg none", "refuse", "rsa", makeToken(rsa, claims(), { header: { alg: "none" }, signature: () => "" })],
  ["HS256 with the public key as the secret", "refuse", "rsa", confused(pem(rsa), "rsa")],
  ["the same, alg with a space in front", "refuse", "rsa", confused(pem(rsa), "rsa", " HS256")],
  ["the attacker's key in the header (jwk)", "refuse", "rsa", makeToken(attacker, claims(), { header: { jwk: attacker.jwk } })],
  ["exp 1e300", "refuse", "rsa", payload((text) => text.replace(/"exp":\d+/, '"exp":1e300'))],
  ["exp missing", "refuse", "rsa", withClaims({ exp: undefined })],
  ["exp a string", "refuse", "rsa", withClaims({ exp: String(now + 600) })],
  ["exp null", "refuse", "rsa", withClaims({ exp: null })],
  ["iat in an hour", "refuse", "rsa", withClaims({ iat: now + 3600, exp: now + 7200 })],
  ["nbf a string", "refuse", "rsa", withClaims({ nbf: "0" })],
  ["aud missing", "refuse", "rsa", withClaims({ aud: undefined })],
  ["aud longer than ours", "refuse", "rsa", withClaims({ aud: `${audience}-admin` })],
  ["iss a list", "refuse", "rsa", withClaims({ iss: [issuer, "https://evil.example"] })],
  ["iss longer than ours", "refuse", "rsa", withClaims({ iss: `${issuer}.evil.example` })],
  ["exp twice", "refuse", "rsa", payload(first('"exp":1'))],
  ["sub twice", "refuse", "rsa", payload(first('"sub":"mallory"'))],
  ["alg twice", "refuse", "rsa", header('{"alg":"none","alg":"RS256","kid":"rsa","typ":"JWT"}')],
  ["crit unknown", "refuse", "rsa", withHeader({ crit: ["x"], x: 1 })],
  ["crit an empty list", "refuse", "rsa", withHeader({ crit: [] })],
  ["b64 false (RFC 7797)", "refuse", "rsa", withHeader({ crit: ["b64"], b64: false })],
  ["typ dpop+jwt", "refuse", "rsa", withHeader({ typ: "dpop+jwt" })],
  ["typ logout+jwt", "refuse", "rsa", withHeader({ typ: "logout+jwt" })],
  ["an ID token (nonce, at_hash)", "refuse", "rsa", withClaims({ nonce: "n", at_hash: "h" })],
  ["bound to a key (cnf), sent as a bearer", "refuse", "rsa", withClaims({ cnf: { jkt: "x".repeat(43) } })],
  ["signature with ==", "refuse", "rsa", withSignature((signature) => `${encode(signature)}==`)],
  ["signature with a newline", "refuse", "rsa", withSignature((signature) => `${encode(signature).slice(0, 40)}\n${encode(signature).slice(40)}`)],
  ["signature with + and /", "refuse", "rsa", plainBase64()],
  ["signature with unused bits", "refuse", "rsa", withTailBits(withClaims({}))],
  ["ES256, r = s = 0", "refuse", "ec", withSignature(() => Buffer.alloc(64), ec)],
  ["ES256, as DER", "refuse", "ec", withSignature((_, input) => sign("sha256", Buffer.from(input), ec.privateKey), ec)],
  ["5,000 levels deep", "refuse", "rsa", payload(first(`"deep":${"[".repeat(5000)}${"]".repeat(5000)}`))],
  ["a header of 200 KB", "refuse", "rsa", withHeader({ pad: "x".repeat(200_000) })],
  ["no UTF-8", "refuse", "rsa", bytes((text) => Buffer.concat([text.subarray(0, text.indexOf("@@")), Buffer.from([0xff]), text.subarray(text.indexOf("@@") + 2)]))],
  ["half a surrogate pair", "refuse", "rsa", payload((text) => text.replace("alice", "\\ud800"))],
  ["a BOM", "refuse", "rsa", bytes((text) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), text]))],
  ["the payload a list", "refuse", "rsa", payload((text) => `[${text}]`)],
];

// ------------------------------------------------------------------------------------------------------- verifiers

const algorithms = ["RS256", "ES256"];
const local = createLocalJWKSet(/** @type {any} */ (set));
const fast = createVerifier({
  key: async ({ header: { kid } }) => pem(keys[kid]), algorithms: /** @type {any} */ (algorithms), allowedIss: issuer, allowedAud: audience, cache: false,
});
const aws = JwtVerifier.create({ issuer, audience, jwksUri: `${issuer}/jwks` });
aws.cacheJwks(/** @type {any} */ (set));
const gate = await Gate.create({ issuers: [{ issuer, audience, keys: set }], upstream: { url: issuer } });

/** @type {[string, (token: string, kid: "rsa" | "ec") => Promise<unknown>][]} each resolves when it accepts */
const verifiers = [
  [withVersion("jose"), (token) => jwtVerify(token, local, { issuer, audience, algorithms })],
  [withVersion("fast-jwt"), (token) => fast(token)],
  [
    withVersion("jsonwebtoken"),
    (token) =>
      new Promise((resolve, reject) => {
        const keyOf = (/** @type {any} */ { kid }, /** @type {any} */ done) => done(null, pem(keys[kid]));
        jsonwebtoken.verify(token, keyOf, { algorithms: /** @type {any} */ (algorithms), issuer, audience }, (error, value) => (error ? reject(error) : resolve(value)));
      }),
  ],
  [
    withVersion("hono"),
    (token) => verifyWithJwks(token, { keys: /** @type {any} */ (set.keys), allowedAlgorithms: /** @type {any} */ (algorithms), verification: { iss: issuer, aud: audience } }),
  ],
  [withVersion("aws-jwt-verify"), (token) => aws.verify(token)],
  // It takes neither issuer nor audience nor a key set: the caller picks the key and looks at the rest.
  [withVersion("@tsndr/cloudflare-worker-jwt"), (token, kid) => cloudflareWorkerJwt.verify(token, keys[kid].jwk, { algorithm: keys[kid].alg, throwError: true })],
  ["Postern", (token) => gate.authenticate(new Request("https://gate.example", { headers: { authorization: `Bearer ${token}` } }))],
];

const wrong = new Map(verifiers.map(([name]) => [name, 0]));
const rows = [];
for (const [what, right, kid, token] of tokens) {
  const row = [what, right];
  for (const [name, verify] of verifiers) {
    const verdict = await Promise.resolve()
      .then(() => verify(token, kid))
      .then((value) => (value ? "accept" : "refuse"), () => "refuse");
    if (verdict !== right) wrong.set(name, (wrong.get(name) ?? 0) + 1);
    row.push(verdict === right ? verdict : `**${verdict}**`);
  }
  rows.push(row);
}
rows.push([`**wrong answers of ${tokens.length}**`, "", ...verifiers.map(([name]) => String(wrong.get(name)))]);
publish("verdicts", markdown(["token", "right answer", ...verifiers.map(([name]) => name)], rows));
gate.close();
if (wrong.get("Postern") !== 0) process.exitCode = 1;
