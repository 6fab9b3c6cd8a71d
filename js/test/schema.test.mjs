// The published JSON Schema says what the core's parser says, as far as a schema can.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import Ajv2020 from "ajv/dist/2020.js";
import { ConfigError, Gate } from "postern";

const root = new URL("../../", import.meta.url);
const read = (path) => readFileSync(new URL(path, root), "utf8");
const schema = JSON.parse(read("docs/postern.schema.json"));
const validate = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, allErrors: false }).compile(schema);
const why = () => JSON.stringify(validate.errors);

const key = { kty: "EC", crv: "P-256", kid: "k1", x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" };
const jwks = { keys: [key] };
const secret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
// RFC 6979 appendix A.2.5: a private key that everybody has.
const assertionKey = JSON.stringify({
  kty: "EC", crv: "P-256", x: "YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y", y: "eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk",
  d: "ya-p2EW6dRZrXCFXZ7HWk05Qw9s26JsSe4piKxIPZyE",
});
const env = new Proxy({}, { get: (_, name) => (name === "POSTERN_ASSERTION_KEY" ? assertionKey : secret), has: () => true });

/** What the core says: undefined when it takes the configuration. */
async function refusal(config) {
  try {
    (await Gate.create(typeof config === "string" ? config : JSON.stringify(config), { env, onWarning() {} })).close();
  } catch (fault) {
    assert.ok(fault instanceof ConfigError, String(fault));
    return fault.message;
  }
}

/** JSON with comments; undefined for text that is none. */
function parse(text) {
  try {
    return JSON.parse(text.replaceAll(/("(?:[^"\\]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, "$1"));
  } catch {
    return undefined;
  }
}

function filesUnder(folder, ending) {
  return readdirSync(new URL(folder, root), { recursive: true }).filter((name) => !name.includes("node_modules") && ending.test(name)).map((name) => `${folder}/${name}`);
}

/** Every configuration there is in the repository: [where, config]. */
function published() {
  const found = [];
  for (const path of filesUnder("tests/cases", /\.json$/)) {
    // What those who play the cases put in.
    const text = read(path).replaceAll('"$jwks"', JSON.stringify(jwks)).replaceAll("${hmac_secret}", "$SECRET");
    for (const [name, config] of Object.entries(JSON.parse(text).configs ?? {})) found.push([`${path} ${name}`, config]);
  }
  for (const path of [...filesUnder("examples", /\.jsonc?$/), ...filesUnder("bench", /\.jsonc?$/)]) {
    const config = parse(read(path));
    if ((config?.issuers ?? config?.credentials) !== undefined && config.upstream !== undefined) found.push([path, config]);
  }
  for (const path of ["README.md", ...filesUnder("docs", /\.md$/)]) {
    for (const [, block] of read(path).matchAll(/```jsonc?\n([\s\S]*?)```/g)) {
      const config = parse(block);
      if (config === undefined || config === null || typeof config !== "object") continue;
      if ((config.issuers ?? config.credentials) !== undefined && config.upstream !== undefined) found.push([path, config]);
    }
  }
  return found;
}

const plain = { issuers: [{ issuer: "https://idp.example", audience: "agents", keys: jwks }], upstream: { url: "http://127.0.0.1:2024" } };
const issuer = (more) => ({ ...plain, issuers: [{ ...plain.issuers[0], ...more }] });
const without = (name) => ({ ...plain, issuers: [{ ...plain.issuers[0], [name]: undefined }] });
const policy = (rules) => ({ ...plain, policy: rules });
const filter = (condition) => policy({ threads: { filter: condition } });
const upstream = (more) => ({ ...plain, upstream: { ...plain.upstream, ...more } });
const credentials = (source) => ({ credentials: [source], upstream: plain.upstream });
const everything = {
  $schema: "./postern.schema.json",
  shared_identities: true,
  credentials: [
    { kind: "static_tokens", tokens: [{ sha256: "0".repeat(64), identity: "a", display_name: "A", permissions: [], fields: { team: "blue", seats: 3, key: { public: "x" } } }] },
    { kind: "jwt" },
    { kind: "api_keys", identity_prefix: "k:", header: "X-Key", prefix: "k1", studio: true, keys: [{ id: "ci-1", sha256: "A".repeat(43), permissions: "read", fields: { github_token: "$TOKEN" } }] },
    { kind: "supabase", url: "https://project.supabase.co", apikey: "$KEY", fields: { role: "app_metadata.role" }, cache_seconds: 1, negative_cache_seconds: 300, time_limit_ms: 100 },
    { kind: "introspection", url: "https://idp.example/introspect", client_id: "gate", client_secret: "$KEY", audience: ["a"], issuer: "https://idp.example", identity_claim: "username", display_name_claim: "name", permission_claims: ["scope"] },
    { kind: "introspection", url: "https://idp.example/introspect", client_id: "gate", client_secret: "$KEY", any_audience: true, fields: { nick: "user_metadata.nick" }, user_writable_claims_allowed: "user_metadata" },
  ],
  resource: { url: "https://agents.example/mcp", authorization_servers: ["https://idp.example"], scopes_supported: ["a", "b:c"], name: "Agents", documentation: "https://agents.example/docs", unbound_audience_allowed: true },
  cors: { origins: "*", headers: "x-key", exposed_headers: ["mcp-session-id"], max_age_seconds: 0 },
  cookie: { name: "sb-access", origins: ["https://app.example", "http://localhost:3000"] },
  denylist: [{ iss: "https://idp.example", jti: "1" }, { iss: "https://idp.example", sub: "s", issued_before: 1 }, { api_key: "ci-1" }],
  issuers: [
    {
      display_name_claim: "nickname", permission_claims: "scp", fields: { org: "https://idp.example/org" },
      issuer: "https://idp.example", audience: ["a", "b"], jwks_uri: "https://idp.example/keys", jwks_origins: "https://keys.example", keys: jwks,
      symmetric_keys: [{ alg: "HS256", secret: "$SECRET", kid: "s" }], algorithms: ["ES256", "EdDSA"], types: "JWT", type_required: true,
      require: { tenant: "t" }, identity_claim: "sub", identity_prefix: "p:", leeway_seconds: 0, max_age_seconds: 30, stale_seconds_max: 0,
    },
    { preset: "supabase", url: "https://project.supabase.co" },
    { preset: "okta", url: "https://org.okta.com/oauth2/default", any_audience: true },
  ],
  upstream: { url: "https://agents.example/base", api: "langgraph", headers: { "X-Api-Key": "$KEY" }, graphs: ["agent"], identity: { assertion: { alg: "HS256", key: "$KEY", audience: "x", lifetime_seconds: 5 }, headers: true, configurable: true, secret_fields: ["github_token"] } },
  policy: {
    "*": { filter: { owner: "$user.identity", n: 1, b: { $eq: true }, tags: { $contains: ["a", "$user.claims.org.id"] }, $or: [{ a: "x" }, { $and: [{ b: 1 }] }] }, stamp: { owner: "$user.identity", n: 1.5 } },
    "threads:delete": "deny", "assistants": "allow", "*:search": "allow",
  },
  limits: { body_bytes_max: 1024, reply_bytes_max: 268435456, upstream_time_limit_ms: 100, table_bytes_max: 0 },
  verifier: "portable",
};

test("every configuration of the repository fulfils the schema", async () => {
  const all = published();
  assert.ok(all.length >= 10, `${all.length} found`);
  for (const [where, config] of [...all, ["everything", everything]]) {
    assert.equal(await refusal(config), undefined, where);
    assert.ok(validate(config), `${where}: ${why()}`);
  }
});

// Each is wrong in one thing that a schema can see.
const wrong = {
  "not an object": [],
  "empty": {},
  "an unknown key": { ...plain, polcy: {} },
  "no issuers": { ...plain, issuers: [] },
  "issuers that are no list": { ...plain, issuers: plain.issuers[0] },
  "an issuer that is none": { ...plain, issuers: ["https://idp.example"] },
  "no upstream": { issuers: plain.issuers },
  "shared_identities as text": { ...plain, shared_identities: "yes" },
  "an unknown key of an issuer": issuer({ audiance: "a" }),
  "no issuer": without("issuer"),
  "an empty issuer": issuer({ issuer: "" }),
  "no audience": without("audience"),
  "studio as text": credentials({ kind: "api_keys", studio: "yes", keys: [{ id: "ci", sha256: "0".repeat(64) }] }),
  "a resource without url": { ...issuer({ audience: "https://agents.example" }), resource: {} },
  "a resource over http": { ...issuer({ audience: "http://agents.example" }), resource: { url: "http://agents.example" } },
  "an unknown key of a resource": { ...issuer({ audience: "https://agents.example" }), resource: { url: "https://agents.example", scopes: ["a"] } },
  "a scope with a space": { ...issuer({ audience: "https://agents.example" }), resource: { url: "https://agents.example", scopes_supported: "a b" } },
  "a scope with a quote": { ...issuer({ audience: "https://agents.example" }), resource: { url: "https://agents.example", scopes_supported: ['a"'] } },
  "an authorization server over http": { ...issuer({ audience: "https://agents.example" }), resource: { url: "https://agents.example", authorization_servers: "http://idp.example" } },
  "an empty audience": issuer({ audience: "" }),
  "an empty list of audiences": issuer({ audience: [] }),
  "an audience that is a number": issuer({ audience: [7] }),
  "an audience and any": issuer({ any_audience: true }),
  "any_audience as text": issuer({ any_audience: "true" }),
  "an unknown preset": { ...plain, issuers: [{ preset: "superbase", url: "https://project.supabase.co" }] },
  "a preset without url": { ...plain, issuers: [{ preset: "supabase" }] },
  "a preset without audience": { ...plain, issuers: [{ preset: "auth0", url: "https://tenant.auth0.com" }] },
  "a url without preset": issuer({ url: "https://idp.example" }),
  "a preset over http": { ...plain, issuers: [{ preset: "supabase", url: "http://project.supabase.co" }] },
  "jwks_uri over http": issuer({ jwks_uri: "http://idp.example/keys" }),
  "jwks_uri with a query": issuer({ jwks_uri: "https://idp.example/keys?a=1" }),
  "jwks_uri of a host that begins like ours": issuer({ jwks_uri: "http://127.0.0.1.evil.example/keys" }),
  "jwks_uri with a user": issuer({ jwks_uri: "http://localhost@evil.example/keys" }),
  "keys that are no set": issuer({ keys: [key] }),
  "no key in the set": issuer({ keys: { keys: [] } }),
  "a private key": issuer({ keys: { keys: [{ ...key, d: "AAAA" }] } }),
  "a symmetric key of another alg": issuer({ symmetric_keys: [{ alg: "RS256", secret }] }),
  "a symmetric key without secret": issuer({ symmetric_keys: [{ alg: "HS256" }] }),
  "a symmetric key with a typo": issuer({ symmetric_keys: [{ alg: "HS256", secret, key: "k" }] }),
  "no symmetric key": issuer({ symmetric_keys: [] }),
  "alg none": issuer({ algorithms: ["none"] }),
  "a symmetric alg in the list": issuer({ algorithms: ["HS256"] }),
  "require with a number": issuer({ require: { tenant: 1 } }),
  "require as a list": issuer({ require: ["tenant"] }),
  "a long prefix": issuer({ identity_prefix: "p".repeat(65) }),
  "leeway over the limit": issuer({ leeway_seconds: 301 }),
  "leeway below zero": issuer({ leeway_seconds: -1 }),
  "leeway with a fraction": issuer({ leeway_seconds: 1.5 }),
  "leeway as text": issuer({ leeway_seconds: "5" }),
  "max age below the limit": issuer({ max_age_seconds: 29 }),
  "stale time over the limit": issuer({ stale_seconds_max: 86401 }),
  "no upstream url": { ...plain, upstream: {} },
  "an upstream url without scheme": upstream({ url: "127.0.0.1:2024" }),
  "an upstream url with a query": upstream({ url: "http://127.0.0.1:2024?x" }),
  "an unknown api": upstream({ api: "graphql" }),
  "an unknown key of the upstream": upstream({ header: {} }),
  "a header name with a space": upstream({ headers: { "x api": "k" } }),
  "an empty header": upstream({ headers: { "x-api-key": "" } }),
  "a header that is a number": upstream({ headers: { "x-api-key": 1 } }),
  "no graphs": upstream({ graphs: [] }),
  "an empty policy": policy({}),
  "a policy as a list": policy([]),
  "a resource that is none": policy({ runs: "allow" }),
  "an action that is none": policy({ "threads:write": "allow" }),
  "a rule that is none": policy({ threads: "permit" }),
  "a rule that is true": policy({ threads: true }),
  "a rule with a typo": policy({ threads: { filter: { a: 1 }, stmap: { a: 1 } } }),
  "a stamp without filter": policy({ threads: { stamp: { a: 1 } } }),
  "an empty stamp": policy({ threads: { filter: { a: 1 }, stamp: {} } }),
  "a stamp of null": policy({ threads: { filter: { a: 1 }, stamp: { a: null } } }),
  "a stamp with an unknown reference": policy({ threads: { filter: { a: 1 }, stamp: { a: "$user.sub" } } }),
  "an empty filter": filter({}),
  "a filter that is text": filter("owner"),
  "an unknown operator": filter({ a: { $ne: 1 } }),
  "an unknown operator above": filter({ $not: [{ a: 1 }] }),
  "two operators": filter({ a: { $eq: 1, $contains: 1 } }),
  "no operator": filter({ a: {} }),
  "an empty operand": filter({ a: "" }),
  "a null operand": filter({ a: null }),
  "a list operand": filter({ a: ["x"] }),
  "an empty $contains": filter({ a: { $contains: [] } }),
  "an empty text in $contains": filter({ a: { $contains: ["x", ""] } }),
  "an empty $or": filter({ $or: [] }),
  "an $or that is no list": filter({ $or: { a: 1 } }),
  "an empty filter in $and": filter({ $and: [{}] }),
  "an empty field name": filter({ "": 1 }),
  "an unknown reference": filter({ a: "$user.email" }),
  "a reference without name": filter({ a: "$user.claims." }),
  "a reference with an empty part": filter({ a: "$user.claims.a..b" }),
  "a dollar alone": filter({ a: "$" }),
  "no credential": { ...plain, credentials: [] },
  "a kind of credential that is none": credentials({ kind: "password" }),
  "a token in clear": credentials({ kind: "static_tokens", tokens: [{ sha256: "user1-token", identity: "a" }] }),
  "a token of nobody": credentials({ kind: "static_tokens", tokens: [{ sha256: "0".repeat(64) }] }),
  "a token with a typo": credentials({ kind: "static_tokens", tokens: [{ sha256: "0".repeat(64), identity: "a", permisions: [] }] }),
  "no tokens": credentials({ kind: "static_tokens", tokens: [] }),
  "an API key without id": credentials({ kind: "api_keys", keys: [{ sha256: "0".repeat(64) }] }),
  "an API key whose id has an underscore": credentials({ kind: "api_keys", keys: [{ id: "a_b", sha256: "0".repeat(64) }] }),
  "a field that is LangGraph's": credentials({ kind: "api_keys", keys: [{ id: "a", sha256: "0".repeat(64), fields: { identity: "root" } }] }),
  "a field that is a list": credentials({ kind: "api_keys", keys: [{ id: "a", sha256: "0".repeat(64), fields: { a: ["x"] } }] }),
  "supabase over http": credentials({ kind: "supabase", url: "http://project.supabase.co", apikey: "$K" }),
  "supabase without apikey": credentials({ kind: "supabase", url: "https://project.supabase.co" }),
  "a cache of no time": credentials({ kind: "supabase", url: "https://project.supabase.co", apikey: "$K", cache_seconds: 0 }),
  "introspection without audience": credentials({ kind: "introspection", url: "https://idp.example/i", client_id: "c", client_secret: "$S" }),
  "introspection without secret": credentials({ kind: "introspection", url: "https://idp.example/i", client_id: "c", audience: "a" }),
  "a cookie without origins": { ...plain, cookie: { name: "session" } },
  "a cookie's name with a space": { ...plain, cookie: { name: "a b", origins: ["https://app.example"] } },
  "a denylist of tokens": { ...plain, denylist: [{ token: "eyJ" }] },
  "a denied jti of nobody": { ...plain, denylist: [{ jti: "1" }] },
  "a denied sub for ever": { ...plain, denylist: [{ iss: "i", sub: "s" }] },
  "milliseconds": { ...plain, denylist: [{ iss: "i", sub: "s", issued_before: 1_800_000_000_000 }] },
  "an assertion without key": upstream({ identity: { assertion: {} } }),
  "an assertion whose key stands there": upstream({ identity: { assertion: { key: "secret" } } }),
  "an assertion of a minute and a second": upstream({ identity: { assertion: { alg: "HS256", key: "$K", lifetime_seconds: 61 } } }),
  "an unsigned assertion": upstream({ identity: { assertion: { alg: "none", key: "$K" } } }),
  "identity with a typo": upstream({ identity: { header: true } }),
  "a field from what users write": issuer({ fields: { identity: "x" } }),
  "an unknown limit": { ...plain, limits: { body_max: 1 } },
  "a limit below its least": { ...plain, limits: { body_bytes_max: 1023 } },
  "a limit over its most": { ...plain, limits: { upstream_time_limit_ms: 3_600_001 } },
  "limits that are none": { ...plain, limits: 1 },
};

test("what is wrong is refused by the schema and by the core", async () => {
  assert.equal(await refusal(plain), undefined);
  assert.ok(validate(plain), why());
  for (const [name, config] of Object.entries(wrong)) {
    const config_ = JSON.parse(JSON.stringify(config));  // without the undefined ones
    assert.notEqual(await refusal(config_), undefined, `the core takes ${name}`);
    assert.equal(validate(config_), false, `the schema takes ${name}`);
  }
});

test("the schema refuses nothing that the core takes", async () => {
  let state = 20_261;
  const below = (n) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((state / 0x8000_0000) * n);
  };
  const pick = (list) => list[below(list.length)];
  const junk = () => structuredClone(pick([null, true, false, 0, 1, -1, 2.5, 100, 5000, "", "x", "$user.identity", "$X", "allow", "deny", "https://other.example", "http://localhost:1/a", "ES256", ["x"], [], {}, { a: 1 }, { $contains: "x" }, "langgraph", "a b", "é"]));
  const places = (value, path = []) => (value === null || typeof value !== "object" ? [path] : [path, ...Object.keys(value).flatMap((name) => places(value[name], [...path, name]))]);
  const starts = [...published().map(([, config]) => config), everything, everything, everything];
  let taken = 0;
  for (let n = 0; n < 4000; n += 1) {
    const config = structuredClone(pick(starts));
    for (let edits = below(2) + 1; edits > 0; edits -= 1) {
      const path = pick(places(config).filter((one) => one.length > 0));
      const parent = path.slice(0, -1).reduce((at, name) => at[name], config);
      const name = path.at(-1);
      if (below(3) === 0) Array.isArray(parent) ? parent.splice(Number(name), 1) : delete parent[name];
      else if (below(4) === 0 && !Array.isArray(parent)) parent[pick(["threads", "store:get", "$or", "a", "$eq", "audience", "x-a"])] = junk();
      else parent[name] = junk();
    }
    if ((await refusal(config)) !== undefined) continue;
    taken += 1;
    assert.ok(validate(config), `${JSON.stringify(config)}: ${why()}`);
  }
  assert.ok(taken > 300, `${taken} of 4000 were taken`);
  for (const path of filesUnder("tests/fuzz/corpus/config", /./)) {
    const config = parse(read(path));
    if (config !== undefined && (await refusal(read(path))) === undefined) assert.ok(validate(config), `${path}: ${why()}`);
  }
});

test("the schema knows every key that the core knows, and no other", async () => {
  const at = (config, path) => path.reduce((value, name) => value[name], config);
  const objects = [
    [[], schema], [["issuers", 0], schema.$defs.issuer], [["issuers", 0, "symmetric_keys", 0], schema.$defs.issuer.properties.symmetric_keys.items],
    [["upstream"], schema.$defs.upstream], [["limits"], schema.$defs.limits],
  ];
  for (const [path, described] of objects) {
    const config = structuredClone(everything);
    at(config, path).quite_another_thing = 1;
    const known = /known:((?: \S+)+)$/.exec(await refusal(config));
    assert.ok(known, `at ${path}`);
    assert.deepEqual(Object.keys(described.properties).sort(), known[1].trim().split(" ").sort(), `at ${path}`);
  }
});

test("it is in the package", async () => {
  const { default: packaged } = await import("postern/schema.json", { with: { type: "json" } });
  assert.deepEqual(packaged, schema);
});
