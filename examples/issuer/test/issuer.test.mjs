// The issuer from outside: what a client and a verifier see. jose is the independent verifier.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import { startIssuer } from "../issuer.mjs";

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const password = "correct horse battery";

/** @param {import("../issuer.mjs").Issuer} issuer */
function clientOf(issuer) {
  return async (method, path, { body, headers = { apikey: "anon" } } = {}) => {
    const reply = await fetch(`${issuer.url}${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    return { status: reply.status, headers: reply.headers, body: await reply.json() };
  };
}

describe("ES256", () => {
  let issuer, call;
  before(async () => {
    issuer = await startIssuer({ dev: true });
    call = clientOf(issuer);
  });
  after(() => issuer.close());

  test("sign up, log in, and the token verifies against the published keys", async () => {
    const signup = await call("POST", "/auth/v1/signup", { body: { email: "Ada@example.com", password, data: { theme: "dark" } } });
    assert.equal(signup.status, 200);
    assert.equal(signup.body.user.email, "ada@example.com");
    const login = await call("POST", "/auth/v1/token?grant_type=password", { body: { email: "ada@example.com", password } });
    assert.equal(login.status, 200);
    assert.equal(login.headers.get("cache-control"), "no-store");
    assert.equal(login.body.token_type, "bearer");
    const { payload, protectedHeader } = await verified(call, issuer, login.body.access_token);
    assert.deepEqual(Object.keys(protectedHeader).sort(), ["alg", "kid", "typ"]);
    assert.match(payload.sub, uuid);
    assert.match(/** @type {string} */ (payload.session_id), uuid);
    assert.equal(payload.exp - payload.iat, 3600);
    assert.equal(payload.aud, "authenticated");
    for (const [claim, value] of Object.entries({ role: "authenticated", aal: "aal1", is_anonymous: false, email: "ada@example.com", phone: "" })) {
      assert.equal(payload[claim], value, claim);
    }
    assert.deepEqual(payload.app_metadata, { provider: "email", providers: ["email"] });
    assert.equal(payload.user_metadata.theme, "dark");
    assert.equal(payload.amr[0].method, "password");
    assert.equal(payload.sub, signup.body.user.id);
  });

  test("user_metadata cannot claim another subject", async () => {
    const { body } = await call("POST", "/auth/v1/signup", { body: { email: "eve@example.com", password, data: { sub: "x", email: "ada@example.com" } } });
    assert.equal(body.user.user_metadata.sub, body.user.id);
    assert.equal(body.user.user_metadata.email, "eve@example.com");
  });

  test("JWK Set and discovery have the shape of Supabase", async () => {
    const jwks = await call("GET", "/auth/v1/.well-known/jwks.json", { headers: {} });
    assert.equal(jwks.headers.get("cache-control"), "public, max-age=600");
    assert.equal(jwks.body.keys.length, 1);
    const [key] = jwks.body.keys;
    assert.deepEqual(Object.keys(key).sort(), ["alg", "crv", "key_ops", "kid", "kty", "use", "x", "y"]);
    assert.deepEqual([key.kty, key.crv, key.alg, key.use, key.key_ops], ["EC", "P-256", "ES256", "sig", ["verify"]]);
    const discovery = await call("GET", "/auth/v1/.well-known/openid-configuration", { headers: {} });
    assert.equal(discovery.body.issuer, issuer.issuer);
    assert.equal(discovery.body.jwks_uri, issuer.jwksUri);
    assert.equal(issuer.jwksUri, `${issuer.url}/auth/v1/.well-known/jwks.json`);
  });

  test("GET /user answers for its own tokens alone", async () => {
    const { body: session } = await call("POST", "/auth/v1/signup", { body: { email: "user@example.com", password } });
    const asked = (authorization) => call("GET", "/auth/v1/user", { headers: { apikey: "anon", ...(authorization && { authorization }) } });
    const ok = await asked(`Bearer ${session.access_token}`);
    assert.equal(ok.status, 200);
    assert.equal(ok.body.id, session.user.id);
    assert.equal((await asked(undefined)).status, 401);
    assert.equal((await asked("Basic abc")).status, 401);
    assert.deepEqual((await asked("Bearer x.y.z")).body, { code: 403, error_code: "bad_jwt", msg: "invalid JWT: unable to parse or verify signature" });
    assert.equal((await asked(`Bearer ${await issuer.signToken({ exp: 1 })}`)).body.error_code, "bad_jwt");
    assert.equal((await asked(`Bearer ${await issuer.signToken()}`)).body.error_code, "user_not_found");
    const noKey = await call("GET", "/auth/v1/user", { headers: { authorization: `Bearer ${session.access_token}` } });
    assert.deepEqual([noKey.status, noKey.body.error_code], [401, "no_api_key"]);
    const wrongKey = await call("GET", "/auth/v1/user", { headers: { apikey: "anom" } });
    assert.deepEqual([wrongKey.status, wrongKey.body.error_code], [401, "invalid_api_key"]);
  });

  test("refusals say what is wrong, and a wrong password is not told from an unknown address", async () => {
    await call("POST", "/auth/v1/signup", { body: { email: "bob@example.com", password } });
    const signup = async (body) => {
      const reply = await call("POST", "/auth/v1/signup", { body });
      return [reply.status, reply.body.error_code];
    };
    assert.deepEqual(await signup({ email: "BOB@example.com", password }), [422, "user_already_exists"]);
    assert.deepEqual(await signup({ email: "bob", password }), [400, "validation_failed"]);
    assert.deepEqual(await signup({ email: "c@example.com", password: "short" }), [422, "weak_password"]);
    assert.deepEqual(await signup({ email: "c@example.com", password: "x".repeat(73) }), [400, "validation_failed"]);
    assert.deepEqual(await signup({ email: "c@example.com", password, data: [] }), [400, "validation_failed"]);
    assert.deepEqual(await signup({}), [422, "anonymous_provider_disabled"]);
    assert.deepEqual(await signup([]), [400, "bad_json"]);
    const login = (body) => call("POST", "/auth/v1/token?grant_type=password", { body });
    const wrong = await login({ email: "bob@example.com", password: "wrong horse" });
    const unknown = await login({ email: "nobody@example.com", password: "wrong horse" });
    assert.deepEqual([wrong.status, wrong.body], [unknown.status, unknown.body]);
    assert.deepEqual([wrong.status, wrong.body.error_code], [400, "invalid_credentials"]);
    assert.equal((await login({ email: { $ne: "" }, password })).body.error_code, "invalid_credentials");
    assert.equal((await call("POST", "/auth/v1/token?grant_type=magic", { body: {} })).status, 400);
    assert.equal((await call("GET", "/auth/v1/nothing")).status, 404);
    const large = await call("POST", "/auth/v1/signup", { body: { email: "d@example.com", password, data: { x: "y".repeat(20_000) } } });
    assert.equal(large.status, 413);
  });

  test("two sign-ups at once make one account", async () => {
    const replies = await Promise.all([1, 2].map(() => call("POST", "/auth/v1/signup", { body: { email: "twice@example.com", password } })));
    assert.deepEqual(replies.map((reply) => reply.status).sort(), [200, 422]);
  });

  test("a refresh token works once", async () => {
    const { body: session } = await call("POST", "/auth/v1/signup", { body: { email: "fresh@example.com", password } });
    const refresh = () => call("POST", "/auth/v1/token?grant_type=refresh_token", { body: { refresh_token: session.refresh_token } });
    const next = await refresh();
    assert.equal(next.status, 200);
    assert.equal(decodeJwt(next.body.access_token).session_id, decodeJwt(session.access_token).session_id);
    assert.equal((await refresh()).body.error_code, "refresh_token_not_found");
  });

  test("rotation: the new key signs, the old one verifies until it is revoked", async () => {
    const before = await issuer.signToken();
    const oldKid = issuer.currentKid();
    const signing = await call("POST", "/dev/revoke", { body: { kid: oldKid } });
    assert.equal(signing.status, 409);
    const { body } = await call("POST", "/dev/rotate");
    assert.deepEqual(body.published, [body.kid, oldKid]);
    const after = await issuer.signToken();
    assert.equal(decodeProtectedHeader(after).kid, body.kid);
    await verified(call, issuer, before);
    await verified(call, issuer, after);
    assert.equal((await call("POST", "/dev/revoke", { body: { kid: oldKid } })).status, 200);
    await assert.rejects(verified(call, issuer, before), { code: "ERR_JWKS_NO_MATCHING_KEY" });
    await verified(call, issuer, after);
    assert.equal((await call("POST", "/dev/revoke", { body: { kid: oldKid } })).status, 409);
    assert.equal((await call("POST", "/dev/rotate", { headers: {} })).status, 401);
    const stats = await call("GET", "/dev/stats");
    assert.equal(stats.body.hits["/dev/rotate"], 2);
    assert.ok(stats.body.hits["/auth/v1/.well-known/jwks.json"] >= 4);
  });

  test("signToken makes the tokens a verifier must refuse", async () => {
    const claims = decodeJwt(await issuer.signToken({ aud: "other", sub: undefined }));
    assert.equal(claims.aud, "other");
    assert.ok(!("sub" in claims));
    const lied = await issuer.signToken({}, { alg: "HS256", kid: null, typ: "at+jwt" });
    assert.deepEqual(decodeProtectedHeader(lied), { alg: "HS256", typ: "at+jwt" });
    await assert.rejects(verified(call, issuer, lied));
    await assert.rejects(verified(call, issuer, await issuer.signToken({}, { kid: "other" })));
  });
});

test("RS256 keys are 2048 bits and verify", async (t) => {
  const issuer = await startIssuer({ alg: "RS256" });
  t.after(() => issuer.close());
  const call = clientOf(issuer);
  const { body } = await call("GET", "/auth/v1/.well-known/jwks.json");
  assert.deepEqual([body.keys[0].kty, body.keys[0].alg, Buffer.from(body.keys[0].n, "base64url").length], ["RSA", "RS256", 256]);
  await verified(call, issuer, await issuer.signToken());
});

test("HS256 publishes no key, and its tokens verify with the secret alone", async (t) => {
  const issuer = await startIssuer({ alg: "HS256" });
  t.after(() => issuer.close());
  const call = clientOf(issuer);
  assert.deepEqual((await call("GET", "/auth/v1/.well-known/jwks.json")).body, { keys: [] });
  const token = await issuer.signToken();
  assert.deepEqual(decodeProtectedHeader(token), { alg: "HS256", typ: "JWT" });
  await jwtVerify(token, new TextEncoder().encode(issuer.secretText()), { issuer: issuer.issuer, audience: "authenticated" });
  await assert.rejects(issuer.rotate());
  await assert.rejects(startIssuer({ alg: "HS256", jwtSecret: "short" }), TypeError);
});

test("without dev there is no /dev, and an unknown alg does not start", async (t) => {
  const issuer = await startIssuer();
  t.after(() => issuer.close());
  for (const [method, path] of [["POST", "/dev/rotate"], ["POST", "/dev/revoke"], ["GET", "/dev/stats"]]) {
    assert.equal((await clientOf(issuer)(method, path)).status, 404);
  }
  await assert.rejects(startIssuer({ alg: /** @type {any} */ ("none") }), TypeError);
});

test("the command says when it is ready, keeps the secret to its file and stops on SIGTERM", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "issuer-"));
  t.after(() => rm(folder, { recursive: true }));
  const secretFile = join(folder, "secret");
  const child = spawn(process.execPath, [new URL("../main.mjs", import.meta.url).pathname, "--alg", "HS256", "--secret-file", secretFile], {
    env: { PATH: process.env.PATH },
  });
  t.after(() => child.kill("SIGKILL"));
  let output = "";
  child.stderr.on("data", (chunk) => (output += chunk));
  const ready = await new Promise((resolve, reject) => {
    child.on("exit", () => reject(new Error(output)));
    child.stdout.on("data", (chunk) => {
      output += chunk;
      if (output.includes("\n")) resolve(JSON.parse(output));
    });
  });
  assert.equal(ready.ready, true);
  const secret = await readFile(secretFile, "utf8");
  assert.equal((await stat(secretFile)).mode & 0o777, 0o600);
  assert.ok(secret.length >= 32 && !output.includes(secret));
  assert.equal((await fetch(`${ready.url}/auth/v1/health`)).status, 200);
  child.removeAllListeners("exit");
  const exited = new Promise((resolve) => child.on("exit", resolve));
  child.kill("SIGTERM");
  assert.equal(await exited, 0);
});

/** Fetches the keys each time: these tests are about what is published now, not about caches. */
async function verified(call, issuer, token) {
  const { body } = await call("GET", "/auth/v1/.well-known/jwks.json", { headers: {} });
  return jwtVerify(token, createLocalJWKSet(body), { issuer: issuer.issuer, audience: "authenticated", algorithms: ["ES256", "RS256"] });
}
