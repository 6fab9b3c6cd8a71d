// The worker in a real workerd: what only this host can get wrong. What both hosts must do alike is in ../both.test.mjs.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startIssuer } from "../../../examples/issuer/issuer.mjs";
import { startFlakyIssuer } from "../../support/flaky-issuer.mjs";
import { startRecordingUpstream } from "../../support/recording-upstream.mjs";
import { freePort, startGate } from "../../support/services.mjs";
import { jwkSet, makeKey, makeToken } from "../../support/tokens.mjs";

const start = fileURLToPath(new URL("../../../edge-worker/start.mjs", import.meta.url));
const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));
const wordDelayMs = 150;

// With Node's compatibility layer `process` exists in workerd: glue that looks for Node must not take it for Node.
for (const args of [[], ["--compatibility-flag", "nodejs_compat"]]) {
  describe(`workerd ${args.at(-1) ?? "as configured"}`, { timeout: 240_000 }, () => {
    let issuer, upstream, gate, alice;

    before(async () => {
      issuer = await startIssuer({ dev: true });
      upstream = await startRecordingUpstream({ words: ["one ", "two ", "three ", "four ", "five"], wordDelayMs });
      gate = await startGate("edge", { upstream: upstream.url, issuer: issuer.issuer, args });
      alice = await issuer.signToken({ sub: randomUUID() });
    });
    after(async () => {
      await gate?.stop();
      await upstream?.close();
      await issuer?.close();
    });

    const call = (method, path, { body, token = alice, headers = {}, signal } = {}) =>
      fetch(gate.url + path, {
        method,
        headers: { ...(token && { authorization: `Bearer ${token}` }), ...headers },
        body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
        redirect: "manual",
        signal,
      });
    const newThread = async () => (await (await call("POST", "/threads", { body: {} })).json()).thread_id;
    const startStream = async (signal) =>
      call("POST", `/threads/${await newThread()}/runs/stream`, {
        body: { assistant_id: "agent", input: { messages: [] }, stream_mode: ["custom"] }, signal,
      });

    it("asks for the keys once when first requests come together", async () => {
      const id = randomUUID();
      const replies = await Promise.all(Array.from({ length: 10 }, () => call("GET", `/threads/${id}/state`)));
      assert.deepEqual(replies.map((reply) => reply.status), Array(10).fill(404));
      assert.equal(Object.values(issuer.stats()).reduce((sum, hits) => sum + hits, 0), 1, JSON.stringify(issuer.stats()));
    });

    it("passes every event on as it is made", async () => {
      const reply = await startStream();
      assert.equal(reply.status, 200);
      assert.match(reply.headers.get("content-type"), /^text\/event-stream/);
      const arrivals = [];
      const decoder = new TextDecoder();
      let text = "";
      for await (const chunk of reply.body) {
        text += decoder.decode(chunk, { stream: true });
        while (arrivals.length < text.split("event: custom").length - 1) arrivals.push(performance.now());
      }
      assert.equal(arrivals.length, 5);
      for (let i = 1; i < arrivals.length; i++) {
        const gap = arrivals[i] - arrivals[i - 1];
        assert.ok(gap > wordDelayMs / 2, `events ${i - 1} and ${i} came ${gap.toFixed(0)} ms apart: ${arrivals}`);
      }
    });

    it("ends the upstream's stream when the client leaves", async () => {
      const client = new AbortController();
      const reply = await startStream(client.signal);
      await reply.body.getReader().read();
      const left = upstream.abandoned.size;
      client.abort();
      for (let i = 0; i < 40 && upstream.abandoned.size === left; i++) await pause(25);
      assert.equal(upstream.abandoned.size, left + 1);
    });

    it("sends a body as the core wrote it, and the credential nowhere", async () => {
      const from = upstream.requests.length;
      const reply = await call("POST", "/threads", { body: '{"metadata":{"owner":"somebody","n":12345678901234567890,"ü":"é"}}' });
      assert.equal(reply.status, 200);
      const [sent] = upstream.requests.slice(from);
      const text = sent.body.toString("utf8");
      assert.match(text, /"n":12345678901234567890/);
      assert.match(text, /"ü":"é"/);
      assert.doesNotMatch(text, /somebody/);
      assert.deepEqual(sent.header("content-length"), [String(sent.body.length)]);
      assert.deepEqual(sent.header("authorization"), []);
      assert.ok(!JSON.stringify(sent.headers).includes(alice));
    });

    it("stops reading a body that is too large", async () => {
      const reply = await call("POST", "/threads", { body: `{"metadata":{"text":"${"x".repeat(11 * 1024 * 1024)}"}}` });
      assert.equal(reply.status, 413);
      assert.equal((await reply.json()).code, "body_too_large");
    });

    it("answers HEAD without a body", async () => {
      const id = await newThread();
      const reply = await call("HEAD", `/threads/${id}`);
      assert.deepEqual([reply.status, await reply.text()], [200, ""]);
    });

    it("takes up a rotated key without a restart", async () => {
      await issuer.rotate();
      const fresh = await issuer.signToken({ sub: randomUUID() });
      assert.equal((await call("POST", "/threads", { body: {}, token: fresh })).status, 200);
    });

    it("writes no token to its log", async () => {
      const log = readFileSync(gate.log, "utf8");
      assert.ok(!log.includes(alice) && !log.includes(alice.split(".")[2]), "the log holds a token");
    });
  });
}

describe("keys in the Cache API", { timeout: 240_000 }, () => {
  const key = makeKey("ES256", { kid: "k1" });
  const mallory = makeKey("ES256", { kid: "k1" });
  const folder = mkdtempSync(join(tmpdir(), "postern-keys-"));
  let issuer, upstream;

  before(async () => {
    issuer = await startFlakyIssuer({ keys: [key] });
    upstream = await startRecordingUpstream();
  });
  after(async () => {
    await upstream?.close();
    await issuer?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Starts a worker over what the last one left in the cache, and ends it after `use`. */
  async function withWorker(use, ...args) {
    const gate = await startGate("edge", { upstream: upstream.url, issuer: issuer.url, args: ["--persist-to", folder, ...args] });
    try {
      return await use(gate);
    } finally {
      await gate.stop();
    }
  }
  const status = async (gate, signedBy) => {
    const now = Math.floor(Date.now() / 1000);
    const token = makeToken(signedBy, { iss: issuer.url, aud: "authenticated", sub: "alice", iat: now, exp: now + 600 });
    const reply = await fetch(`${gate.url}/threads`, { method: "POST", headers: { authorization: `Bearer ${token}` }, body: "{}" });
    await reply.arrayBuffer();
    return reply.status;
  };
  const stored = (text) =>
    withWorker(
      async (store) => (await fetch(store.url, text === undefined ? {} : { method: "PUT", body: text })).text(),
      "--script", fileURLToPath(new URL("key-store-worker.mjs", import.meta.url)),
    );

  it("a worker that starts again within max age asks the issuer nothing, and neither needs it", async () => {
    await withWorker(async (gate) => {
      assert.equal(await status(gate, key), 200);
      assert.equal(issuer.fetches(), 1);
      await pause(250);  // it is written after the answer
    });
    issuer.fail({ status: 500 });
    await withWorker(async (gate) => {
      assert.equal(await status(gate, key), 200);
      assert.equal(await status(gate, mallory), 401);
    });
    assert.equal(issuer.fetches(), 1);
    issuer.fail(undefined);
  });

  it("refuses what somebody else put there, and mends it", async () => {
    const kept = JSON.parse(await stored());
    assert.deepEqual(JSON.parse(kept.issuers[0].jwks), jwkSet(key));
    const fetches = issuer.fetches();
    const poison = structuredClone(kept);
    poison.issuers[0].jwks = JSON.stringify(jwkSet(mallory));
    poison.issuers[0].fetched_at_ms += 3_600_000;
    assert.equal(await stored(JSON.stringify(poison)), JSON.stringify(poison));
    await withWorker(async (gate) => {
      assert.equal(await status(gate, mallory), 401);
      assert.equal(await status(gate, key), 200);
      await pause(250);
    });
    assert.equal(issuer.fetches(), fetches + 1);
    const mended = JSON.parse(await stored());
    assert.deepEqual(JSON.parse(mended.issuers[0].jwks), jwkSet(key));
    assert.ok(mended.issuers[0].fetched_at_ms <= Date.now());
  });
});

test("the worker's types", () => {
  const require = createRequire(start);
  const { status, stdout } = spawnSync(
    process.execPath, [require.resolve("typescript/bin/tsc"), "-p", dirname(start)], { encoding: "utf8" },
  );
  assert.equal(status, 0, stdout);
});

test("start.mjs: one line when it answers, and workerd ends with it", { timeout: 120_000 }, async () => {
  const port = await freePort();
  const child = spawn(
    process.execPath,
    [start, "--port", String(port), "--upstream", "http://127.0.0.1:9", "--issuer", "http://127.0.0.1:9", "--audience", "a"],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const exited = new Promise((resolve) => child.once("exit", resolve));
  let said = "";
  child.stdout.setEncoding("utf8");
  await new Promise((resolve, reject) => {
    child.stdout.on("data", (text) => (said += text).includes("\n") && resolve(undefined));
    child.once("exit", () => reject(new Error("it ended before it was ready")));
  });
  assert.deepEqual(JSON.parse(said), { ready: true, url: `http://127.0.0.1:${port}` });
  const family = descendants(child.pid);
  assert.ok(family.length >= 2, "wrangler and workerd run below it");
  child.kill("SIGTERM");
  assert.equal(await exited, 0);
  for (let i = 0; i < 200 && family.some(isRunning); i++) await pause(50);
  assert.deepEqual(family.filter(isRunning), []);
});

test("start.mjs: a mistake in the configuration is told, and it ends", { timeout: 120_000 }, async () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [start, "--port", String(await freePort()), "--upstream", "http://127.0.0.1:9", "--issuer", "nonsense", "--audience", "a"],
    { encoding: "utf8" },
  );
  assert.equal(status, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /issuers\[0\]\.issuer/);
});

/** @param {number | undefined} pid @returns {number[]} */
function descendants(pid) {
  const parents = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map((name) => {
    try {
      return [Number(name), Number(readFileSync(`/proc/${name}/stat`, "utf8").replace(/^.*\) . (\d+) .*$/s, "$1"))];
    } catch {
      return [0, 0]; // gone meanwhile
    }
  });
  const below = (/** @type {number | undefined} */ of) => parents.filter(([, parent]) => parent === of).flatMap(([child]) => [child, ...below(child)]);
  return below(pid);
}

/** @param {number} pid; one that has ended but was not waited for (no init in a container) is not running */
function isRunning(pid) {
  try {
    return !/^.*\) Z /s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
