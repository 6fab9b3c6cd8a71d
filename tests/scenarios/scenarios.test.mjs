// The scenarios of LangGraph's auth tutorials, each with the configuration of examples/scenarios, through both hosts.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, generateKeyPairSync, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { Client } from "@langchain/langgraph-sdk";
import { calculateJwkThumbprint, importJWK, SignJWT } from "jose";
import { startIssuer } from "../../examples/issuer/issuer.mjs";
import { startRecordingUpstream } from "../support/recording-upstream.mjs";
import { root, startAgent, startGateFromEnvironment } from "../support/services.mjs";

/** A scenario's configuration, with the addresses of this run in it. */
function scenario(name, replacements) {
  let text = readFileSync(`${root}examples/scenarios/${name}/postern.jsonc`, "utf8");
  for (const [from, to] of Object.entries(replacements)) {
    assert.ok(text.includes(from), `${name} names ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

const caller = (url) => async (method, path, { token, key, body, headers = {} } = {}) => {
  const reply = await fetch(url() + path, {
    method,
    headers: {
      ...(token && { authorization: `Bearer ${token}` }), ...(key && { "x-api-key": key }),
      ...(body !== undefined && { "content-type": "application/json" }), ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await reply.text();
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    // not every answer is JSON
  }
  return { status: reply.status, text, json };
};

for (const host of ["native", "edge"]) {
  describe(`${host}: token table and ownership`, { timeout: 240_000 }, () => {
    let upstream, open, owned;
    before(async () => {
      upstream = await startRecordingUpstream();
      const at = { "http://127.0.0.1:2024": upstream.url };
      open = await startGateFromEnvironment(host, { POSTERN_CONFIG: scenario("1-token-table", at) });
      owned = await startGateFromEnvironment(host, { POSTERN_CONFIG: scenario("2-ownership", at) });
    });
    after(async () => {
      await open?.stop();
      await owned?.stop();
      await upstream?.close();
    });

    it("lets in who has a token of the table, and nobody else", async () => {
      const call = caller(() => open.url);
      assert.equal((await call("POST", "/threads", { token: "user1-token", body: {} })).status, 200);
      assert.equal((await call("POST", "/threads", { token: "user2-token", body: {} })).status, 200);
      const arrived = upstream.requests.length;
      for (const wrong of ["user1-toke", "user1-tokens", "USER1-TOKEN", "user3-token", "Bearer"]) {
        const { status, json } = await call("POST", "/threads", { token: wrong, body: {} });
        assert.deepEqual([status, json.code], [401, "credential_unknown"], wrong);
      }
      assert.equal((await call("POST", "/threads", { body: {} })).status, 401);
      assert.equal(upstream.requests.length, arrived, "nothing of it reached the upstream");
    });

    it("shows everybody their own threads", async () => {
      const call = caller(() => owned.url);
      const made = await call("POST", "/threads", { token: "user1-token", body: { metadata: { owner: "user2" } } });
      assert.equal(made.json.metadata.owner, "user1");
      const path = `/threads/${made.json.thread_id}`;
      assert.equal((await call("GET", path, { token: "user1-token" })).status, 200);
      assert.equal((await call("GET", path, { token: "user2-token" })).status, 404);
      const found = await call("POST", "/threads/search", { token: "user2-token", body: {} });
      assert.deepEqual(found.json, []);
    });
  });

  describe(`${host}: Supabase`, { timeout: 240_000 }, () => {
    let issuer, upstream, asking, knowing;
    const users = {};
    before(async () => {
      issuer = await startIssuer({ dev: true, anonKey: "anon-key-of-this-test" });
      upstream = await startRecordingUpstream();
      const at = { "http://127.0.0.1:2024": upstream.url, "http://127.0.0.1:9999": issuer.url };
      const variables = { SUPABASE_ANON_KEY: "anon-key-of-this-test" };
      asking = await startGateFromEnvironment(host, { ...variables, POSTERN_CONFIG: scenario("3-supabase", at) });
      const config = { issuers: [{ preset: "supabase", url: issuer.url }], upstream: { url: upstream.url } };
      knowing = await startGateFromEnvironment(host, { POSTERN_CONFIG: JSON.stringify(config) });
      for (const name of ["alice", "bob"]) {
        const reply = await fetch(`${issuer.url}/auth/v1/signup`, {
          method: "POST", headers: { "content-type": "application/json", apikey: "anon-key-of-this-test" },
          body: JSON.stringify({ email: `${name}@example.com`, password: "correct horse battery" }),
        });
        assert.equal(reply.status, 200);
        const { access_token, user } = await reply.json();
        users[name] = { token: access_token, id: user.id };
      }
    });
    after(async () => {
      await asking?.stop();
      await knowing?.stop();
      await upstream?.close();
      await issuer?.close();
    });
    const asked = () => issuer.stats()["/auth/v1/user"] ?? 0;
    const fetched = () => issuer.stats()["/auth/v1/.well-known/jwks.json"] ?? 0;

    it("asks once where the tutorial asks on every request", async () => {
      const before = asked();
      for (let n = 0; n < 20; n++) {
        // As in the tutorial's handler.
        const reply = await fetch(`${issuer.url}/auth/v1/user`, {
          headers: { authorization: `Bearer ${users.alice.token}`, apiKey: "anon-key-of-this-test" },
        });
        assert.equal(reply.status, 200);
      }
      assert.equal(asked() - before, 20, "the tutorial");
      const call = caller(() => asking.url);
      const replies = [];
      for (let round = 0; round < 4; round++) {
        replies.push(...(await Promise.all(Array.from({ length: 5 }, () => call("POST", "/threads", { token: users.alice.token, body: {} })))));
      }
      for (const { status, json } of replies) assert.deepEqual([status, json.metadata.owner], [200, users.alice.id]);
      assert.equal(asked() - before, 21, "the gate");
      assert.equal((await call("POST", "/threads", { token: users.bob.token, body: {} })).json.metadata.owner, users.bob.id);
      assert.equal(asked() - before, 22, "another token, another question");
    });

    it("with published keys asks nobody about a token", async () => {
      const before = [asked(), fetched()];
      const call = caller(() => knowing.url);
      for (let n = 0; n < 10; n++) {
        assert.equal((await call("POST", "/threads", { token: users.alice.token, body: {} })).json.metadata.owner, users.alice.id);
      }
      assert.deepEqual([asked() - before[0], fetched() - before[1]], [0, 1]);
    });

    it("refuses a token one bit away, and remembers that", async () => {
      const token = users.alice.token.slice(0, -10) + (users.alice.token.at(-10) === "A" ? "B" : "A") + users.alice.token.slice(-9);
      const before = asked();
      const call = caller(() => asking.url);
      for (let n = 0; n < 5; n++) assert.equal((await call("POST", "/threads", { token, body: {} })).json.code, "credential_refused");
      assert.equal(asked() - before, 1);
    });

    it("answers 503 while the authority is down, also to a good token it has not seen", async () => {
      const { token } = users.alice;
      await issuer.close();
      const call = caller(() => asking.url);
      assert.equal((await call("POST", "/threads", { token, body: {} })).status, 200, "what it knows, it knows");
      const unseen = await call("POST", "/threads", { token: await issuer.signToken({ sub: users.bob.id }), body: {} });
      assert.deepEqual([unseen.status, unseen.json.code], [503, "authority_unavailable"]);
    });
  });

  describe(`${host}: from a .env alone`, { timeout: 240_000 }, () => {
    let issuer, upstream, gate;
    before(async () => {
      issuer = await startIssuer({ anonKey: "anon-key-of-this-test" });
      upstream = await startRecordingUpstream({
        intercept: (request, reply) => {
          if (request.header("x-api-key").join() === "lsv2-for-this-test") return false;
          reply.writeHead(401).end();
          return true;
        },
      });
      gate = await startGateFromEnvironment(host, {
        POSTERN_UPSTREAM: upstream.url, SUPABASE_URL: issuer.url, SUPABASE_SERVICE_KEY: "anon-key-of-this-test",
        LANGSMITH_API_KEY: "lsv2-for-this-test",
      });
    });
    after(async () => {
      await gate?.stop();
      await upstream?.close();
      await issuer?.close();
    });

    it("the SDK's client works in front of an upstream that wants its key", async () => {
      const reply = await fetch(`${issuer.url}/auth/v1/signup`, {
        method: "POST", headers: { "content-type": "application/json", apikey: "anon-key-of-this-test" },
        body: JSON.stringify({ email: "alice@example.com", password: "correct horse battery" }),
      });
      const { access_token, user } = await reply.json();
      const client = new Client({ apiUrl: gate.url, apiKey: null, defaultHeaders: { Authorization: `Bearer ${access_token}` } });
      const thread = await client.threads.create();
      assert.equal(thread.metadata.owner, user.id);
      assert.equal((await client.threads.search({})).length, 1);
      for (const request of upstream.requests) {
        assert.deepEqual(request.header("authorization"), [], "the client's token stays in the gate");
        assert.deepEqual(request.header("x-api-key"), ["lsv2-for-this-test"]);
      }
      assert.equal((await fetch(`${upstream.url}/threads/search`, { method: "POST" })).status, 401);
    });

    it("the tutorial's client in Python works, with nothing changed but its addresses", async () => {
      const from = upstream.requests.length;
      const said = await new Promise((resolve, reject) => execFile(
        process.env.POSTERN_PYTHON || "python3", [`${root}tests/scenarios/tutorial_client.py`],
        { timeout: 60_000, env: { ...process.env, SUPABASE_URL: issuer.url, SUPABASE_ANON_KEY: "anon-key-of-this-test", LANGGRAPH_URL: gate.url } },
        (fault, stdout, stderr) => (fault ? reject(new Error(stderr)) : resolve(stdout)),
      ));
      assert.deepEqual(JSON.parse(said), { without: 401, with_wrong: 401, created: true, own: 1, foreign: 404, others: 0 });
      for (const request of upstream.requests.slice(from)) assert.deepEqual(request.header("x-api-key"), ["lsv2-for-this-test"]);
    });
  });
}

// The agent server believes the gate alone; what the graph is told arrives by the server's own means.
for (const kind of ["js", "python"]) {
  describe(`the real ${kind} server behind assertions`, { timeout: 300_000 }, () => {
    const key = "pk_ci_for-this-example-only";
    const githubToken = `gh-${randomUUID()}`;
    const audience = "http://127.0.0.1:2024";
    const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const replaced = generateKeyPairSync("ec", { namedCurve: "P-256" });  // the key that is being replaced
    let publicJwk, privateJwk, agent, gate, silent;
    before(async () => {
      publicJwk = pair.publicKey.export({ format: "jwk" });
      publicJwk.kid = await calculateJwkThumbprint(publicJwk);
      privateJwk = pair.privateKey.export({ format: "jwk" });
      const old = replaced.publicKey.export({ format: "jwk" });
      old.kid = await calculateJwkThumbprint(old);
      agent = await startAgent(kind, {
        POSTERN_ASSERTION_KEYS: JSON.stringify({ keys: [old, publicJwk] }), POSTERN_ASSERTION_AUDIENCE: audience,
      }, ["--project", `${root}examples/langgraph-${kind}`]);
      const variables = { CI_GITHUB_TOKEN: githubToken, POSTERN_ASSERTION_KEY: JSON.stringify(privateJwk) };
      const config = scenario("4-api-key", { "http://127.0.0.1:2024": agent.url })
        .replace('"$POSTERN_ASSERTION_KEY"', `"$POSTERN_ASSERTION_KEY", "audience": "${audience}"`);
      gate = await startGateFromEnvironment(kind === "js" ? "edge" : "native", { ...variables, POSTERN_CONFIG: config });
      silent = await startGateFromEnvironment("native", {
        ...variables, POSTERN_CONFIG: config.replace(/, "secret_fields": \[[^\]]*\]/, ""),
      });
    });
    after(async () => {
      await gate?.stop();
      await silent?.stop();
      await agent?.stop();
    });

    /** A run through a gate, and what the server keeps of it. */
    async function run(through, headers = {}) {
      const call = caller(() => through.url);
      const thread = await call("POST", "/threads", { key, body: {}, headers });
      assert.equal(thread.status, 200, thread.text);
      assert.equal(thread.json.metadata.owner, "ci-bot");
      const path = `/threads/${thread.json.thread_id}`;
      const result = await call("POST", `${path}/runs/wait`, { key, body: { assistant_id: "agent", input: {} }, headers });
      assert.equal(result.status, 200, result.text);
      const kept = [];
      for (const place of [path, `${path}/state`, `${path}/history`, `${path}/runs`]) {
        const { status, text } = await call("GET", place, { key });
        assert.equal(status, 200, place);
        kept.push(text);
      }
      return { told: JSON.parse(result.json.told), kept: kept.join("\n") };
    }

    it("the graph sees the user, with the secret that is named", async () => {
      const { told, kept } = await run(gate);
      assert.equal(told.identity, "ci-bot");
      assert.deepEqual(told.permissions, ["runs"]);
      assert.equal(told.team, "blue");
      assert.equal(told.github_token_sha256, createHash("sha256").update(githubToken).digest("hex"));
      assert.doesNotMatch(kept, /eyJ[\w-]+\.eyJ/, "no assertion stands in what the server keeps");
    });

    it("a secret that is not named does not arrive, and stands nowhere", async () => {
      const { told, kept } = await run(silent);
      assert.equal(told.identity, "ci-bot");
      assert.equal(told.github_token_sha256, null);
      assert.ok(!kept.includes(githubToken));
    });

    it("what a client says of itself does not count", async () => {
      const forged = { "x-user-id": "root", "X_User_Id": "root", "x-auth-scheme": "langsmith" };
      const { told } = await run(gate, forged);
      assert.equal(told.identity, "ci-bot");
      const call = caller(() => gate.url);
      const refused = await call("POST", "/runs/wait", {
        key, body: { assistant_id: "agent", input: {}, config: { configurable: { langgraph_auth_user: { identity: "root" } } } },
      });
      assert.equal(refused.status, 400);
    });

    it("during a rotation either key is believed, and no third", async () => {
      const config = scenario("4-api-key", { "http://127.0.0.1:2024": agent.url })
        .replace('"$POSTERN_ASSERTION_KEY"', `"$POSTERN_ASSERTION_KEY", "audience": "${audience}"`);
      const third = generateKeyPairSync("ec", { namedCurve: "P-256" });
      for (const [signing, status, code] of [[replaced, 200], [pair, 200], [third, 502, "upstream_failed"]]) {
        const variables = { CI_GITHUB_TOKEN: githubToken, POSTERN_ASSERTION_KEY: JSON.stringify(signing.privateKey.export({ format: "jwk" })) };
        const other = await startGateFromEnvironment("native", { ...variables, POSTERN_CONFIG: config });
        const reply = await caller(() => other.url)("POST", "/threads/search", { key, body: {} });
        await other.stop();
        assert.deepEqual([reply.status, reply.json.code], [status, code]);
      }
    });

    it("an assertion that was caught is good for its request alone, and for its time", async () => {
      const catcher = await startRecordingUpstream();
      const config = scenario("4-api-key", { "http://127.0.0.1:2024": catcher.url })
        .replace('"$POSTERN_ASSERTION_KEY"', `"$POSTERN_ASSERTION_KEY", "audience": "${audience}", "lifetime_seconds": 5`);
      const other = await startGateFromEnvironment("native", { CI_GITHUB_TOKEN: githubToken, POSTERN_ASSERTION_KEY: JSON.stringify(privateJwk), POSTERN_CONFIG: config });
      assert.equal((await caller(() => other.url)("POST", "/threads/search", { key, body: {} })).status, 200);
      const caughtAt = Date.now();
      const token = catcher.requests.at(-1).header("authorization")[0].replace("Bearer ", "");
      await other.stop();
      await catcher.close();
      const call = caller(() => agent.url);
      assert.equal((await call("POST", "/threads/search", { token, body: {} })).status, 200, "where it was for");
      assert.equal((await call("POST", "/threads", { token, body: {} })).status, 401, "on another path");
      assert.equal((await call("POST", "/threads/count", { token, body: {} })).status, 401, "on one beside it");
      assert.equal((await call("GET", "/threads/search", { token })).status, 401, "with another method");
      assert.equal((await call("POST", "/store/items/search", { token, body: {} })).status, 401, "in the store");
      // Its five seconds, and the five that the handlers allow for clocks.
      await new Promise((resolve) => setTimeout(resolve, caughtAt + 11_500 - Date.now()));
      assert.equal((await call("POST", "/threads/search", { token, body: {} })).status, 401, "after its time");
    });

    it("around the gate there is no way in", async () => {
      const call = caller(() => agent.url);
      const word = async (claims, header = {}) => new SignJWT({
        iss: "postern", aud: audience, sub: "ci-bot", method: "POST", path: "/threads/search", user: { identity: "ci-bot", permissions: [] }, ...claims,
      }).setProtectedHeader({ alg: "ES256", typ: "postern+jwt", kid: publicJwk.kid, ...header }).sign(await importJWK(privateJwk, "ES256"));
      const now = Math.floor(Date.now() / 1000);
      const ask = (token) => call("POST", "/threads/search", { token, body: {} });
      assert.equal((await ask(await word({ iat: now, exp: now + 60 }))).status, 200, "the gate's word");
      assert.equal((await ask(undefined)).status, 401, "nobody's");
      assert.equal((await ask(await word({ iat: now, exp: now + 60, path: "/threads" }))).status, 401, "for another path");
      assert.equal((await ask(await word({ iat: now, exp: now + 60, method: "GET" }))).status, 401, "for another method");
      assert.equal((await ask(await word({ iat: now, exp: now + 60, aud: "http://other" }))).status, 401, "for another server");
      assert.equal((await ask(await word({ iat: now - 120, exp: now - 60 }))).status, 401, "of two minutes ago");
      assert.equal((await ask(await word({ iat: now, exp: now + 3600 }))).status, 401, "for an hour");
      assert.equal((await ask(await word({ iat: now, exp: now + 60 }, { typ: "JWT" }))).status, 401, "of another kind");
      const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
      const forged = await new SignJWT({ method: "POST", path: "/threads/search", user: { identity: "root" } })
        .setProtectedHeader({ alg: "ES256", typ: "postern+jwt", kid: publicJwk.kid })
        .setIssuer("postern").setAudience(audience).setSubject("root").setIssuedAt().setExpirationTime("1m").sign(stranger);
      assert.equal((await ask(forged)).status, 401, "signed by a stranger");
      const studio = await call("POST", "/threads/search", { body: {}, headers: { "x-auth-scheme": "langsmith" } });
      assert.equal(studio.status, 401, "as Studio");
    });
  });
}
