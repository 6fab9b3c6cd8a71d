// What is put on the denylist stops within the interval: new requests, cached answers and open streams; no restart.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
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
    const deny = async (entries) => {
      text = JSON.stringify(entries);
      if (host === "worker") return void (await fetch(`${gate.url}/denylist-of-the-test`, { method: "PUT", body: text }));
      if (redis) return void (await redis.command("SET", inRedis, text));
      writeFileSync(join(folder, "new"), text);
      renameSync(join(folder, "new"), join(folder, "denylist"));
    };
    before(async () => {
      issuer = await startIssuer();
      upstream = await startRecordingUpstream({ words: Array.from({ length: 60 }, (_, n) => `${n} `), wordDelayMs: 200 });
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
  const gate = await Gate.create(config, { denylist: { get: () => redis.command("GET", inRedis), intervalSeconds: 0.05 }, onWarning() {} });
  const authenticate = () => gate.authenticate(new Request("http://gate.example/threads/search", { headers: { "x-api-key": key } }));
  try {
    assert.equal((await authenticate()).identity, "ci");
    await redis.command("SET", inRedis, JSON.stringify([{ api_key: "ci" }]));
    await pause(100);
    await assert.rejects(authenticate(), { code: "credential_revoked" });
    await redis.command("SET", inRedis, "[]");
    await pause(100);
    assert.equal((await authenticate()).identity, "ci");
  } finally {
    gate.close();
    await redis.stop();
  }
});
