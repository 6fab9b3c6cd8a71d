// Writes what each fuzz target starts from into FOLDER/TARGET/: the case files and fixed tokens in the targets' own forms.
// What no case file says is in tests/fuzz/corpus, by hand.
//   node tests/fuzz/make-seeds.mjs FOLDER
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
const folder = process.argv[2];
if (!folder) throw new Error("usage: node tests/fuzz/make-seeds.mjs FOLDER");

const caseTokens = read("../cases/tokens.json");
const fuzzTokens = read("tokens.json");
const caseFiles = readdirSync(new URL("../cases/", import.meta.url))
  .filter((name) => name.endsWith(".json") && name !== "tokens.json")
  .map((name) => read(`../cases/${name}`))
  .filter((file) => Array.isArray(file.cases));

const targets = readdirSync(new URL("./", import.meta.url)).flatMap((name) => /^(.*)_fuzz\.cpp$/.exec(name)?.slice(1) ?? []);
for (const target of targets) {
  rmSync(join(folder, target), { recursive: true, force: true });
  mkdirSync(join(folder, target), { recursive: true });
}
function seed(target, text) {
  const name = createHash("sha256").update(text).digest("hex").slice(0, 16);
  writeFileSync(join(folder, target, name), text);
}

/** ${name} and "$jwks" in a case, as tests/cases/README.md says. */
function filledIn(value) {
  if (value === "$jwks") return caseTokens.jwks;
  if (typeof value === "string") return value.replace(/\$\{(\w+)\}/g, (_, name) => caseTokens.tokens[name] ?? caseTokens[name]);
  if (Array.isArray(value)) return value.map(filledIn);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, filledIn(v)]));
  return value;
}
const bodyText = (body) => (body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body));

// Names of exchange_fuzz for what the case files write out.
const places = [
  ["11111111-1111-4111-8111-111111111111", "$A"],
  ["22222222-2222-4222-8222-222222222222", "$B"],
  ["fe096781-5601-53d2-b2f6-0d3403f7e9ca", "$S"],
];
function shortened(text) {
  for (const [from, to] of places) text = text.replaceAll(from, to);
  return text.replaceAll("\n", " ");
}
const exchangeConfigs = { owner: "owner", graphs: "owner", keyed: "owner", symmetric: "secret", remote: "remote", discovered: "discovered" };

for (const file of caseFiles) {
  for (const config of Object.values(file.configs ?? {})) seed("config", JSON.stringify(filledIn(config), null, 1));
  for (const one of file.cases) {
    const { request } = one;
    if (!request?.target) continue;
    seed("route", `${request.method} ${request.target}`);
    const headers = filledIn(request.headers ?? []);
    if (headers.length > 0) seed("credential", headers.map(([name, value]) => `${name}:${value}`).join("\n"));
    if (request.body !== undefined) seed("json", `0${bodyText(request.body)}`);

    const config = exchangeConfigs[one.config];
    const token = request.token === "alice_hs256" ? "alice_hs256" : request.token;
    if (!config || (token && !fuzzTokens.tokens.some(({ name }) => name === token))) continue;
    const lines = [`config ${config}`];
    for (const [name, value] of request.headers ?? []) {
      if (!value.includes("${")) lines.push(`header ${name}: ${value}`);
    }
    lines.push(one.purpose === "authenticate" ? `authenticate 0 ${token ?? "none"}` : `open 0 ${token ?? "none"} ${request.method} ${request.target}`);
    for (const { expect, give } of one.steps ?? []) {
      if (expect.kind === "read_body") lines.push(`body 0 ${bodyText(request.body)}`);
      if (give) lines.push(`reply 0 ${give.status} ${bodyText(give.body)}`);
    }
    seed("exchange", `${shortened(lines.join("\u0000")).replaceAll("\u0000", "\n")}\n`);
  }
}

for (const { text } of fuzzTokens.tokens) {
  seed("jws", text);
  seed("credential", `Bearer ${text}`);
}
const payloads = Object.values(caseTokens.tokens).concat(fuzzTokens.tokens.map(({ text }) => text));
for (const token of payloads) {
  const payload = Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8");
  seed("claims", `00${payload}`);
  seed("json", `2${payload}`);
}
const { now, issuer } = fuzzTokens;
const claims = { iss: issuer, aud: "agents", iat: now - 60, exp: now + 3600, sub: "alice" };
// Each setting of claims_fuzz, each typ, and the very last moments.
for (let setting = 0; setting < 6; ++setting) {
  seed("claims", `${setting}2${JSON.stringify({ ...claims, email: "alice@example", email_verified: true, role: "authenticated" })}`);
}
// 0x30 is setting 0 of twelve: the presets come after the six.
const { aud, ...unaddressed } = claims;
const presets = [
  { ...claims, role: "authenticated" },
  { ...unaddressed, token_use: "access", client_id: aud },
  { ...unaddressed, azp: aud, sid: "s", sts: "active" },
  { ...claims, ver: "2.0", scp: "a" },
  { ...claims, nonce: "n", at_hash: "h" },
  { ...claims, typ: "Bearer" },
];
presets.forEach((payload, i) => seed("claims", `${String.fromCharCode(48 + 6 + i)}0${JSON.stringify(payload)}`));
for (let typ = 0; typ < 12; ++typ) seed("claims", `5${String.fromCharCode(48 + typ)}${JSON.stringify({ ...claims, nonce: "n", scope: "a b" })}`);
for (const exp of [now - 6, now - 5, now - 4, now, now + 0.5, 2 ** 53, 2 ** 53 + 2, 1e300, -0.0, -1]) {
  for (const name of ["exp", "nbf", "iat"]) seed("claims", `00${JSON.stringify({ ...claims, [name]: exp })}`);
}

const sets = [fuzzTokens.jwks, caseTokens.jwks, { keys: [] }, ...fuzzTokens.jwks.keys.map((key) => ({ keys: [key] }))];
sets.push({ keys: [{ ...fuzzTokens.jwks.keys[0], d: "AA" }] }, { keys: [fuzzTokens.jwks.keys[0], fuzzTokens.jwks.keys[0]] });
sets.push({ keys: [{ kty: "oct", k: "AA", alg: "HS256" }] }, { keys: [{ ...fuzzTokens.jwks.keys[4], use: "enc" }] });
for (const set of sets) seed("jwk_set", JSON.stringify(set));

// Each curve, form of key, tables and damage; numbers near the ends and any.
for (let choices = 0; choices < 16; ++choices) {
  const head = [choices % 4, 16 * choices + choices, choices % 4, choices + 1, 7, (choices + 1) % 4, 3 * choices, 9];
  seed("ecdsa", Buffer.concat([Buffer.from(head), Buffer.alloc(96, choices * 17 + 1), Buffer.from([choices % 8, choices, 97])]));
}

// Around the ends of blocks of 64 and 128 bytes: secrets, messages, what is hashed first.
for (const secret of [0, 32, 63, 64, 65, 127, 128, 129, 255]) {
  for (const message of [0, 1, 55, 56, 63, 64, 111, 112, 119, 120, 128, 700]) {
    seed("sha256", Buffer.concat([Buffer.from([secret, message % 16, message % 4]), Buffer.alloc(secret, 7), Buffer.alloc(message, message)]));
  }
}
