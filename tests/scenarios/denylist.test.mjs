// What is put on the denylist stops within the interval: new requests, cached answers and open streams; no restart.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, describe, it } from "node:test";
import { Gate } from "postern";
import { startIssuer } from "../../examples/issuer/issuer.mjs";
import { startRedis, withoutRedis } from "../support/redis.mjs";
import { startRecordingUpstream } from "../support/recording-upstream.mjs";
import { startGateFromEnvironment } from "../support/services.mjs";

const key = "pk_ci_only-in-this-test";
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const inRedis = "postern:denylist";

for (const host of ["native", "native with Redis", "package", "worker"]) {
  describe(host, { timeout: 120_000, skip: host === "native with Redis" && withoutRedis }, () => {
    let issuer, upstream, folder, redis, gate, text = "[]", call;
    // A run that is waited for, and left; its reply never begins.
    const waiting = { begun: 0, left: 0 };
    const intercept = (incoming, reply) => {
      if (!incoming.target.endsWith("/runs/wait")) return false;
      waiting.begun++;
      reply.once("close", () => waiting.left++);
      return true;
    };
    const deny = async (entries) => {
      text = JSON.stringify(entries);
      if (host === "worker") return void (await fetch(`${gate.url}/denylist-of-the-test`, { method: "PUT", body: text }));
      if (redis) return void (await redis.command("SET", inRedis, text));
      writeFileSync(join(folder, "new"), text);
      renameSync(join(folder, "new"), join(folder, "denylist"));
    };
    before(async () => {
      issuer = await startIssuer();
      upstream = await startRecordingUpstream({ words: Array.from({ length: 60 }, (_, n) => `${n} `), wordDelayMs: 200, intercept });
      folder = mkdtempSync(join(tmpdir(), "postern-denylist-"));
      const config = {
        issuers: [{ preset: "supabase", url: issuer.url, identity_prefix: "s:" }],
        credentials: [
          { kind: "api_keys", identity_prefix: "k:", keys: [{ id: "ci", sha256: createHash("sha256").update(key).digest("hex") }] },
          { kind: "jwt" },
        ],
        upstream: { url: upstream.url },
      };
      if (host === "worker") {
        const script = fileURLToPath(new URL("denylist-worker.mjs", import.meta.url));
        gate = await startGateFromEnvironment("edge", { POSTERN_CONFIG: JSON.stringify(config), DENYLIST_SECONDS: "1" }, ["--kv", "DENYLIST", "--script", script]);
        call = (path, init) => fetch(gate.url + path, init);
      } else if (host.startsWith("native")) {
        if (host === "native with Redis") redis = await startRedis({ password: "only-in-this-test" });
        await deny([]);
        const variables = { POSTERN_CONFIG: JSON.stringify(config), ...(redis && { POSTERN_REDIS_PASSWORD: "only-in-this-test" }) };
        const place = redis ? `redis://127.0.0.1:${redis.port}/${inRedis}` : join(folder, "denylist");
        gate = await startGateFromEnvironment("native", variables, ["--denylist", place, "--denylist-seconds", "1"]);
        call = (path, init) => fetch(gate.url + path, init);
      } else {
        gate = await Gate.create(config, { denylist: { get: async () => text, intervalSeconds: 1 }, onWarning() {} });
        call = (path, init) => gate.handle(new Request(`http://gate.example${path}`, init));
      }
    });
    after(async () => {
      await (host === "package" ? gate?.close() : gate?.stop());
      await upstream?.close();
      await issuer?.close();
      await redis?.stop();
      rmSync(folder, { recursive: true, force: true });
    });
    const bearer = (token) => ({ authorization: `Bearer ${token}`, "content-type": "application/json" });
    const post = (path, headers, body = {}) => call(path, { method: "POST", headers, body: JSON.stringify(body) });

    it("a token by its jti, with the stream it has open; another token of the same user goes on", async () => {
      const [first, second] = await Promise.all(["one", "two"].map((jti) => issuer.signToken({ sub: "u1", jti })));
      const thread = (await (await post("/threads", bearer(first))).json()).thread_id;
      const stream = async (token) => {
        const reply = await post(`/threads/${thread}/runs/stream`, bearer(token), { assistant_id: "agent", input: {} });
        assert.equal(reply.status, 200);
        return reply.body.getReader();
      };
      const cut = await stream(first);
      const kept = await stream(second);
      await cut.read();
      await kept.read();
      await deny([{ iss: issuer.issuer, jti: "one" }]);
      const since = Date.now();
      const broken = await (async () => {
        for (;;) if ((await cut.read()).done) return false;
      })().catch(() => true);
      assert.ok(Date.now() - since < 5_000, `after ${Date.now() - since} ms of the 12 s that it would take`);
      // What comes through `wrangler dev` looks like an end all the same.
      assert.equal(broken, host !== "worker", "the stream breaks, it does not end");
      while (upstream.abandoned.size < 1) await pause(50);
      assert.equal((await kept.read()).done, false);
      await kept.cancel();
      const refused = await post("/threads", bearer(first));
      assert.deepEqual([refused.status, (await refused.json()).code], [401, "credential_revoked"]);
      assert.equal((await post("/threads", bearer(second))).status, 200);
    });

    it("an API key by its id, and back", async () => {
      const headers = { "x-api-key": key, "content-type": "application/json" };
      await deny([]);
      await pause(2_500);
      assert.equal((await post("/threads", headers)).status, 200);
      await deny([{ api_key: "ci" }]);
      await pause(2_500);
      assert.equal((await (await post("/threads", headers)).json()).code, "credential_revoked");
      await deny([]);
      await pause(2_500);
      assert.equal((await post("/threads", headers)).status, 200);
    });

    // The worker's local KV and `wrangler dev` between would only add their own delays to what the package is judged by.
    if (host !== "worker") {
      it("while the upstream has not sent its first byte", async () => {
        const token = await issuer.signToken({ sub: "u1", jti: "waits" });
        const thread = (await (await post("/threads", bearer(token))).json()).thread_id;
        const asked = post(`/threads/${thread}/runs/wait`, bearer(token), { assistant_id: "agent", input: {} }).catch(() => undefined);
        while (waiting.begun < 1) await pause(20);
        const since = Date.now();
        await deny([{ iss: issuer.issuer, jti: "waits" }]);
        const reply = await asked;
        assert.ok(Date.now() - since < 5_000, `after ${Date.now() - since} ms`);
        // The native server breaks the connection, the package can still answer.
        if (host === "package") assert.deepEqual([reply.status, (await reply.json()).code], [401, "credential_revoked"]);
        else assert.equal(reply, undefined);
        while (waiting.left < 1) await pause(50);
      });
    }

    if (host === "native") {
      it("a path that turns into a directory: the server lives, and the last list counts", async () => {
        const headers = { "x-api-key": key, "content-type": "application/json" };
        await deny([{ api_key: "ci" }]);
        await pause(2_500);
        rmSync(join(folder, "denylist"));
        mkdirSync(join(folder, "denylist"));
        await pause(2_500);
        assert.equal((await (await post("/threads", headers)).json()).code, "credential_revoked");
        rmSync(join(folder, "denylist"), { recursive: true });
        await deny([]);
        await pause(2_500);
        assert.equal((await post("/threads", headers)).status, 200);
      });
    }

    it("a list that is not understood changes nothing", async () => {
      const headers = { "x-api-key": key, "content-type": "application/json" };
      await deny([{ api_key: "ci" }]);
      await pause(2_500);
      // The package reads when there is somebody to judge.
      assert.equal((await (await post("/threads", headers)).json()).code, "credential_revoked");
      await deny([{ api_key: "ci", until: "tomorrow" }]);
      await pause(2_500);
      assert.equal((await (await post("/threads", headers)).json()).code, "credential_revoked");
    });
  });
}

it("before there is a list nobody gets in", async () => {
  const config = {
    credentials: [{ kind: "static_tokens", tokens: [{ sha256: createHash("sha256").update("t").digest("hex"), identity: "a" }] }],
    upstream: { url: "http://127.0.0.1:9" },
  };
  const gate = await Gate.create(config, { denylist: { get: async () => Promise.reject(new Error("down")) }, onWarning() {} });
  const request = () => new Request("http://gate.example/threads/search", { method: "POST", headers: { authorization: "Bearer t" }, body: "{}" });
  const reply = await gate.handle(request());
  assert.deepEqual([reply.status, (await reply.json()).code], [503, "authority_unavailable"]);
  await assert.rejects(gate.authenticate(request()), { code: "authority_unavailable" });
  gate.close();
});

it("the package takes the list out of Redis, as a client gives it, and nothing for an absent key", { skip: withoutRedis }, async () => {
  const redis = await startRedis();
  const config = {
    credentials: [{ kind: "api_keys", keys: [{ id: "ci", sha256: createHash("sha256").update(key).digest("hex") }] }],
    upstream: { url: "http://127.0.0.1:9" },
  };
  const gate = await Gate.create(config, { denylist: { get: () => redis.command("GET", inRedis), intervalSeconds: 1 }, onWarning() {} });
  const authenticate = () => gate.authenticate(new Request("http://gate.example/threads/search", { headers: { "x-api-key": key } }));
  try {
    assert.equal((await authenticate()).identity, "ci");
    await redis.command("SET", inRedis, JSON.stringify([{ api_key: "ci" }]));
    await pause(1_100);
    await assert.rejects(authenticate(), { code: "credential_revoked" });
    await redis.command("SET", inRedis, "[]");
    await pause(1_100);
    assert.equal((await authenticate()).identity, "ci");
  } finally {
    gate.close();
    await redis.stop();
  }
});

describe("the package's reading of it", () => {
  const config = {
    credentials: [{ kind: "api_keys", keys: [{ id: "ci", sha256: createHash("sha256").update(key).digest("hex") }] }],
    upstream: { url: "http://127.0.0.1:9" },
  };
  const status = async (gate) => {
    const reply = await gate.handle(new Request("http://gate.example/threads/search", { method: "POST", headers: { "x-api-key": key }, body: "{}" }));
    return reply.status;
  };
  const gateWith = async (read) => {
    const told = [];
    let now = Date.now();
    const gate = await Gate.create(config, {
      denylist: { get: async () => read() }, now: () => now, onWarning: (line) => told.push(line), fetch: async () => Response.json([]),
    });
    return { gate, told, next: () => { now += 6_000; return status(gate); } };
  };

  it("takes as long a list as the core does", async () => {
    const entries = Array.from({ length: 99_000 }, (_, n) => ({ iss: "https://issuer.example/of/a/long/name/auth/v1", jti: `${n}`.padStart(36, "ü") }));
    let text = JSON.stringify(entries);
    assert.ok(text.length > 8 * 1024 * 1024, `${text.length}`);
    const { gate, told, next } = await gateWith(() => text);
    assert.equal(await next(), 200);
    text = JSON.stringify([...entries, { api_key: "ci" }]);
    assert.equal(await next(), 401);
    assert.deepEqual(told, []);
    gate.close();
  });

  it("tells each time that it fails after it went well, and of another fault", async () => {
    let text = "[]";
    const { gate, told, next } = await gateWith(() => text ?? Promise.reject(new Error("words of a store")));
    const after = async (given) => {
      text = given;
      await next();
      return told.length;
    };
    const counts = [];
    for (const given of ["[]", "{", "{", null, "[]", "{", "[]", "{"]) counts.push(await after(given));
    assert.deepEqual(counts, [0, 1, 1, 2, 2, 3, 3, 4]);
    assert.match(told[0], /denylist could not be read: 1:2/);
    assert.equal(told[1], "the denylist could not be read: Error");
    gate.close();
  });

  it("refuses an interval that is no pause, or no end", async () => {
    for (const intervalSeconds of [0, -1, NaN, 0.5, Infinity, 3601, "5"]) {
      await assert.rejects(Gate.create(config, { denylist: { get: async () => "[]", intervalSeconds } }), /denylist\.intervalSeconds: must be/);
    }
    for (const intervalSeconds of [1, 2.5, 3600]) (await Gate.create(config, { denylist: { get: async () => "[]", intervalSeconds } })).close();
  });
});
