// The same requests through the native server and through the worker in workerd, with an upstream that writes down what
// reached it: what is refused never arrives, and what arrives carries nothing the client may not decide.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { startIssuer } from "../../examples/issuer/issuer.mjs";
import { startRecordingUpstream } from "../support/recording-upstream.mjs";
import { startGate } from "../support/services.mjs";

for (const host of ["native", "edge"]) {
  describe(host, { timeout: 240_000 }, () => {
    let issuer, upstream, gate, alice, bob;

    before(async () => {
      issuer = await startIssuer({ dev: true });
      upstream = await startRecordingUpstream({ words: ["one ", "two ", "three ", "four"], wordDelayMs: 150 });
      gate = await startGate(host, { upstream: upstream.url, issuer: issuer.issuer });
      alice = { id: randomUUID() };
      bob = { id: randomUUID() };
      for (const user of [alice, bob]) user.token = await issuer.signToken({ sub: user.id });
    });
    after(async () => {
      await gate?.stop();
      await upstream?.close();
      await issuer?.close();
    });

    const call = (method, path, { token, body, headers = {}, signal } = {}) =>
      fetch(gate.url + path, {
        method,
        headers: {
          ...(token && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { "content-type": "application/json" }),
          ...headers,
        },
        body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
        redirect: "manual",
        signal,
      });
    const newThread = async (user) => {
      const reply = await call("POST", "/threads", { token: user.token, body: {} });
      assert.equal(reply.status, 200);
      return (await reply.json()).thread_id;
    };
    // What reached the upstream while `action` ran.
    const arrived = async (action) => {
      const from = upstream.requests.length;
      await action();
      return upstream.requests.slice(from);
    };

    it("refuses a call without a token, with a challenge", async () => {
      const reply = await call("GET", `/threads/${randomUUID()}`);
      assert.equal(reply.status, 401);
      assert.equal(reply.headers.get("www-authenticate"), "Bearer");
      assert.equal((await reply.json()).code, "credential_missing");
    });

    it("refuses every token that is not the issuer's for us, and none of them reaches the upstream", async () => {
      const now = Math.floor(Date.now() / 1000);
      const bad = {
        expired: await issuer.signToken({ sub: alice.id, exp: now - 60 }),
        "for another audience": await issuer.signToken({ sub: alice.id, aud: "billing" }),
        "from another issuer": await issuer.signToken({ sub: alice.id, iss: "https://idp.example" }),
        "not valid yet": await issuer.signToken({ sub: alice.id, nbf: now + 600 }),
        "without exp": await issuer.signToken({ sub: alice.id, exp: undefined }),
        "without sub": await issuer.signToken({ sub: undefined }),
        "with an unknown kid": await issuer.signToken({ sub: alice.id }, { kid: "nobody" }),
        "with crit": await issuer.signToken({ sub: alice.id }, { crit: ["x"], x: 1 }).catch(() => "a.b.c"),
        garbage: "garbage",
      };
      const requests = await arrived(async () => {
        for (const [name, token] of Object.entries(bad)) {
          const reply = await call("POST", "/threads", { token, body: {} });
          assert.equal(reply.status, 401, name);
          assert.match(reply.headers.get("www-authenticate"), /^Bearer error="invalid_token"/, name);
        }
      });
      assert.equal(requests.length, 0);
    });

    it("refuses a token with one bit flipped, wherever it is", async () => {
      const token = alice.token;
      const requests = await arrived(async () => {
        for (let start = 0; start < token.length; start += 32) {
          const batch = [];
          for (let i = start; i < Math.min(start + 32, token.length); i++) {
            for (let bit = 0; bit < 7; bit++) {
              const code = token.charCodeAt(i) ^ (1 << bit);
              if (code <= 0x20 || code >= 0x7f) continue; // cannot stand in a header
              if (bit !== i % 7 && bit !== (i + 3) % 7) continue; // two a character here; all of them in tests/unit
              batch.push(call("GET", `/threads/${randomUUID()}`, { token: token.slice(0, i) + String.fromCharCode(code) + token.slice(i + 1) }));
            }
          }
          for (const reply of await Promise.all(batch)) {
            await reply.arrayBuffer();
            // 503: the flipped bit is in the kid, which might be a new key's, and the bucket for asking is empty.
            assert.ok([400, 401, 503].includes(reply.status), `${reply.status}`);
          }
        }
      });
      assert.equal(requests.length, 0);
    });

    it("stamps the owner and lets nothing of the client's identity through", async () => {
      let reply;
      const requests = await arrived(async () => {
        reply = await call("POST", "/threads", {
          token: alice.token,
          body: { metadata: { owner: bob.id, topic: "x" } },
          headers: {
            "x-auth-scheme": "langsmith",
            "x-api-key": "k",
            "x-user-id": "root",
            X_User_Id: "root",
            cookie: "a=b",
            "langsmith-trace": "t",
            baggage: "b=1",
            "x-http-method-override": "DELETE",
          },
        });
        assert.equal(reply.status, 200);
      });
      assert.equal((await reply.json()).metadata.owner, alice.id);
      assert.equal(requests.length, 1);
      assert.deepEqual(requests[0].json.metadata, { owner: alice.id, topic: "x" });
      const names = requests[0].headers.map(([name]) => name.toLowerCase());
      // cf-worker and cf-ray style names are the runtime's own.
      const ours = ["host", "accept", "accept-encoding", "user-agent", "content-type", "content-length", "connection", "transfer-encoding"];
      const runtimes = ["cf-worker", "cf-ew-via", "cf-connecting-ip", "accept-language", "sec-fetch-mode"];
      assert.deepEqual(names.filter((name) => !ours.includes(name) && !runtimes.includes(name)), []);
    });

    it("refuses reserved keys before anything reaches the upstream", async () => {
      const thread = await newThread(alice);
      const requests = await arrived(async () => {
        for (const body of [
          { config: { configurable: { langgraph_auth_user: { identity: bob.id } } } },
          { config: { configurable: { langgraph_auth_user_id: bob.id } } },
          { context: { langgraph_auth_user: { identity: bob.id } } },
          { config: { configurable: { user_id: bob.id } } },
          { config: { configurable: { thread_id: randomUUID() } } },
          { webhook: "/threads/x/runs" },
          { checkpoint: { thread_id: randomUUID() } },
          { checkpoint_id: randomUUID() },
          { unheard_of: 1 },
        ]) {
          const reply = await call("POST", `/threads/${thread}/runs/wait`, { token: alice.token, body: { assistant_id: "agent", ...body } });
          assert.equal(reply.status, 400, JSON.stringify(Object.keys(body)));
          const { detail } = await reply.json();
          assert.match(detail, /the field/);
          assert.ok(!detail.includes(bob.id), "no value is repeated");
        }
      });
      assert.equal(requests.length, 0);
    });

    it("answers a foreign and a missing thread with the same bytes and as many upstream calls", async () => {
      const foreign = await newThread(alice);
      const missing = randomUUID();
      const ways = [
        ["GET", ""],
        ["HEAD", ""],
        ["DELETE", ""],
        ["PATCH", "", { metadata: { a: 1 } }],
        ["GET", "/state"],
        ["POST", "/state", { values: {} }],
        ["POST", "/state/checkpoint", { checkpoint: {} }],
        ["POST", "/history", { limit: 1 }],
        ["GET", "/runs?limit=10&offset=0"],
        ["GET", `/runs/${randomUUID()}`],
        ["GET", `/runs/${randomUUID()}/join`],
        ["GET", `/runs/${randomUUID()}/stream`],
        ["POST", `/runs/${randomUUID()}/cancel`],
        ["POST", "/runs", { assistant_id: "agent" }],
        ["POST", "/runs/wait", { assistant_id: "agent" }],
        ["POST", "/runs/stream", { assistant_id: "agent" }],
      ];
      for (const [method, path, body] of ways) {
        const shapes = [];
        for (const id of [foreign, missing]) {
          let reply;
          const requests = await arrived(async () => {
            reply = await call(method, `/threads/${id}${path}`, { token: bob.token, body });
          });
          const headers = [...reply.headers].filter(([name]) => name !== "date");
          shapes.push(JSON.stringify([reply.status, headers, await reply.text(), requests.length]));
          assert.equal(reply.status, 404, `${method} ${path}`);
        }
        assert.equal(shapes[0], shapes[1], `${method} ${path}`);
      }
      assert.ok(upstream.threads.has(foreign), "it is still there");
      assert.equal(upstream.threads.get(foreign).runs.size, 0);
    });

    it("streams a run's events one by one", async () => {
      const thread = await newThread(alice);
      const reply = await call("POST", `/threads/${thread}/runs/stream`, {
        token: alice.token,
        body: { assistant_id: "agent", input: {}, stream_mode: ["custom"] },
      });
      assert.equal(reply.status, 200);
      assert.match(reply.headers.get("content-type"), /text\/event-stream/);
      const times = [];
      for await (const _ of reply.body) times.push(performance.now());
      assert.ok(times.length >= 4, `${times.length} pieces`);
      // Four words 150 ms apart: a gate that collected them would give them all at once.
      assert.ok(times.at(-1) - times[0] > 250, `${times.at(-1) - times[0]} ms between first and last`);
    });

    it("closes the upstream's stream when the client leaves", async () => {
      const thread = await newThread(alice);
      const before = upstream.abandoned.size;
      const leaving = new AbortController();
      const reply = await call("POST", `/threads/${thread}/runs/stream`, {
        token: alice.token,
        body: { assistant_id: "agent", input: {}, stream_mode: ["custom"] },
        signal: leaving.signal,
      });
      const reader = reply.body.getReader();
      await reader.read();
      leaving.abort();
      await reader.read().catch(() => {});
      const deadline = Date.now() + 5000;
      while (upstream.abandoned.size === before && Date.now() < deadline) await new Promise((r) => setTimeout(r, 25));
      assert.equal(upstream.abandoned.size, before + 1);
    });

    it("takes a new key at once, and a removed key's token no longer", async () => {
      const thread = await newThread(alice);
      const old = issuer.currentKid();
      await issuer.rotate();
      issuer.revoke(old);
      const renewed = await issuer.signToken({ sub: alice.id });
      // The flipped kids of before have used up the fetches for unknown kids; more come every few seconds.
      const settled = async (token) => {
        for (let i = 0; ; i++) {
          const reply = await call("GET", `/threads/${thread}`, { token });
          if (reply.status !== 503 || i === 25) return reply.status;
          assert.ok(Number(reply.headers.get("retry-after")) > 0);
          await new Promise((r) => setTimeout(r, 1000));
        }
      };
      assert.equal(await settled(renewed), 200, "signed by the new key");
      assert.equal(await settled(alice.token), 401, "signed by the removed key");
      alice.token = renewed;
      bob.token = await issuer.signToken({ sub: bob.id });
    });

    it("answers 502 when the upstream is gone, and works again when it is back", async () => {
      const thread = await newThread(alice);
      const port = Number(new URL(upstream.url).port);
      await upstream.close();
      const reply = await call("GET", `/threads/${thread}`, { token: alice.token });
      assert.equal(reply.status, 502);
      assert.equal((await reply.json()).code, "upstream_failed");
      upstream = await startRecordingUpstream({ port });
      await newThread(alice);
    });

    it("wrote no token and no claim into its log", () => {
      const log = readFileSync(gate.log, "utf8");
      for (const secret of [alice.token, bob.token, alice.id, bob.id]) {
        assert.ok(!log.includes(secret), "a credential or an identity is in the log");
        assert.ok(!log.includes(secret.split(".")[1] ?? secret), "a payload is in the log");
      }
    });
  });
}
