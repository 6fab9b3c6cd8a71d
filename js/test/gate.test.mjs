// The loop over the core's steps, against a fetch that follows a script.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Gate } from "postern";
import {
  aliceThread, config, deferred, jwks, jwksUrl, makeGate, quietly, request, threadId, tick, token, upstreamUrl,
} from "./support.mjs";

const json = async (response) => ({ status: response.status, body: await response.json() });

test("without a credential: 401 with a challenge, and nothing is sent", async () => {
  const { gate, calls, decisions } = await makeGate({});
  const response = await gate.handle(request("GET", `/threads/${threadId}`, { as: null }));
  assert.equal(response.status, 401);
  assert.equal(response.headers.get("www-authenticate"), "Bearer");
  assert.equal((await response.json()).code, "credential_missing");
  assert.equal(calls.length, 0);
  assert.deepEqual(decisions.map(({ outcome, status, code }) => [outcome, status, code]), [["answered", 401, "credential_missing"]]);
});

test("a good token: keys once, the request rebuilt, the credential left behind", async () => {
  const { gate, calls, keyFetches } = await makeGate({
    ...aliceThread,
    [`GET /threads/${threadId}/state`]: () => Response.json({ values: {} }, { headers: { "x-from-upstream": "yes" } }),
  });
  for (let i = 0; i < 2; i++) {
    const response = await gate.handle(request("GET", `/threads/${threadId}/state`, { headers: { "x-anything": "1", cookie: "a=b" } }));
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("x-from-upstream"), "yes");
    assert.deepEqual(await response.json(), { values: {} });
  }
  assert.equal(keyFetches(), 1);
  for (const call of calls) {
    assert.equal(call.redirect, "manual");
    for (const name of ["authorization", "cookie", "x-anything"]) assert.equal(call.headers.get(name), null);
  }
});

test("requests that arrive together cost one key fetch", async () => {
  const keys = deferred();
  const { gate, keyFetches } = await makeGate({
    keys: () => keys.promise,
    ...aliceThread,
    [`GET /threads/${threadId}/state`]: () => Response.json({}),
  });
  const all = Array.from({ length: 20 }, () => gate.handle(request("GET", `/threads/${threadId}/state`)));
  await tick(20);
  assert.equal(keyFetches(), 1);
  keys.resolve(Response.json(jwks));
  assert.deepEqual((await Promise.all(all)).map((response) => response.status), Array(20).fill(200));
  assert.equal(keyFetches(), 1);
});

test("the issuer is down: 503 with Retry-After, and nothing reaches the upstream", async () => {
  const { gate, calls } = await makeGate({ keys: () => Promise.reject(new TypeError("connection refused")) });
  const response = await gate.handle(request("GET", `/threads/${threadId}`));
  assert.equal(response.status, 503);
  assert.notEqual(response.headers.get("retry-after"), null);
  assert.ok(calls.every((call) => call.url === jwksUrl));
});

test("a body is edited on the way: the owner is the gate's word", async () => {
  const { gate, calls } = await makeGate({
    "POST /threads": (call) => Response.json({ thread_id: threadId, metadata: JSON.parse(call.body).metadata }),
  });
  const response = await gate.handle(request("POST", "/threads", { body: { metadata: { owner: "bob", topic: "é" } } }));
  assert.deepEqual((await response.json()).metadata, { owner: "alice", topic: "é" });
  assert.deepEqual(JSON.parse(calls.at(-1).body), { metadata: { owner: "alice", topic: "é" } });
});

test("an event stream passes as it comes: the first event before the last is made", async () => {
  const second = deferred();
  const encoder = new TextEncoder();
  const { gate } = await makeGate({
    ...aliceThread,
    [`POST /threads/${threadId}/runs/stream`]: () =>
      new Response(
        new ReadableStream({
          async start(controller) {
            controller.enqueue(encoder.encode("data: 1\n\n"));
            await second.promise;
            controller.enqueue(encoder.encode("data: 2\n\n"));
            controller.close();
          },
        }),
        { headers: { "content-type": "text/event-stream", "connection": "keep-alive", "access-control-allow-origin": "*" } },
      ),
  });
  const response = await gate.handle(
    request("POST", `/threads/${threadId}/runs/stream`, { body: { assistant_id: "agent", input: null } }),
  );
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  assert.equal(response.headers.get("access-control-allow-origin"), null);
  assert.equal(response.headers.get("connection"), null);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  assert.equal(decoder.decode((await reader.read()).value), "data: 1\n\n");
  second.resolve();
  assert.equal(decoder.decode((await reader.read()).value), "data: 2\n\n");
  assert.equal((await reader.read()).done, true);
});

test("the client leaves while a reply streams: the upstream's request is aborted", async () => {
  const client = new AbortController();
  const { gate, calls } = await makeGate({
    ...aliceThread,
    [`GET /threads/${threadId}/state`]: () => new Response(new ReadableStream({})),
  });
  const response = await gate.handle(request("GET", `/threads/${threadId}/state`, { signal: client.signal }));
  assert.equal(response.status, 200);
  assert.equal(calls.at(-1).signal.aborted, false);
  globalThis.gc?.();
  client.abort();
  await tick();
  assert.equal(calls.at(-1).signal.aborted, true);
});

test("the client leaves while keys are fetched: the fetch goes on and serves the next one", async () => {
  const keys = deferred();
  const client = new AbortController();
  const background = [];
  const { gate, calls, decisions, keyFetches } = await makeGate({
    keys: () => keys.promise,
    ...aliceThread,
    [`GET /threads/${threadId}/state`]: () => Response.json({}),
  });
  const first = gate.handle(
    request("GET", `/threads/${threadId}/state`, { signal: client.signal }), { waitUntil: (work) => background.push(work) },
  );
  await tick(5);
  client.abort();
  assert.equal((await first).status, 499);
  assert.equal(decisions[0].outcome, "left");
  assert.equal(calls[0].signal.aborted, false);
  assert.equal(background.length, 1);
  keys.resolve(Response.json(jwks));
  await background[0];
  assert.equal((await gate.handle(request("GET", `/threads/${threadId}/state`))).status, 200);
  assert.equal(keyFetches(), 1);
});

test("the client leaves while its own look-up runs: that one is aborted", async () => {
  const client = new AbortController();
  const { gate, calls } = await makeGate({ "POST /threads/search": () => new Promise(() => {}) });
  const answer = gate.handle(request("GET", `/threads/${threadId}/state`, { signal: client.signal }));
  await tick(20);
  client.abort();
  assert.equal((await answer).status, 499);
  assert.equal(calls.at(-1).signal.aborted, true);
});

for (const announced of [true, false]) {
  test(`a body over the limit, ${announced ? "announced" : "not announced"}: 413, and reading stops`, async () => {
    let pulled = 0;
    const body = new ReadableStream({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(1024));
        if (pulled === 1000) controller.close();
      },
    });
    const { gate, calls } = await makeGate({}, {}, { limits: { body_bytes_max: 4096 } });
    const headers = announced ? { "content-length": "1024000" } : {};
    const { status, body: answer } = await json(await gate.handle(request("POST", "/threads", { body, headers })));
    assert.equal(status, 413);
    assert.equal(answer.code, "body_too_large");
    assert.ok(pulled < 10, `${pulled} pieces were read`);
    assert.ok(calls.every((call) => call.url === jwksUrl));
  });
}

test("a reply over the limit that had to be judged: 502, and reading stops", async () => {
  let pulled = 0;
  const { gate } = await makeGate(
    {
      "GET /assistants/agent": () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              pulled++;
              controller.enqueue(new Uint8Array(1024).fill(32));
            },
          }),
        ),
    },
    {},
    { limits: { reply_bytes_max: 8192 } },
  );
  const { status, body } = await json(await gate.handle(request("GET", "/assistants/agent")));
  assert.equal(status, 502);
  assert.equal(body.code, "reply_too_large");
  assert.ok(pulled < 20, `${pulled} pieces were read`);
});

for (const [what, path, table] of [
  ["passed", `/threads/${threadId}/state`, aliceThread],
  ["judged", "/assistants/agent", {}],
]) {
  test(`a redirect of the upstream's where the reply is ${what}: 502, never followed or told`, async () => {
    const { gate, calls } = await makeGate({
      ...table, "*": () => new Response(null, { status: 307, headers: { location: "http://elsewhere.example/" } }),
    });
    const response = await gate.handle(request("GET", path));
    assert.equal(response.status, 502);
    assert.equal(response.headers.get("location"), null);
    assert.equal((await response.json()).code, "upstream_failed");
    assert.ok(calls.every((call) => !call.url.includes("elsewhere")));
  });

  test(`the upstream is not there where the reply is ${what}: 502`, async () => {
    const { gate } = await makeGate({ ...table, "*": () => Promise.reject(new TypeError("connection refused")) });
    const { status, body } = await json(await gate.handle(request("GET", path)));
    assert.deepEqual([status, body.code], [502, "upstream_failed"]);
  });

  test(`the upstream does not answer in time where the reply is ${what}: 504, its request aborted`, async () => {
    const { gate, calls } = await makeGate(
      { ...table, "*": () => new Promise(() => {}) }, {}, { limits: { upstream_time_limit_ms: 100 } },
    );
    const { status, body } = await json(await gate.handle(request("GET", path)));
    assert.deepEqual([status, body.code], [504, "upstream_timeout"]);
    assert.equal(calls.at(-1).signal.aborted, true);
  });
}

test("a reply fetch has decoded is passed without the headers of its encoding", async () => {
  const { gate } = await makeGate({
    ...aliceThread,
    [`GET /threads/${threadId}/state`]: () => new Response("{}", { headers: { "content-encoding": "gzip", "content-length": "22" } }),
  });
  const response = await gate.handle(request("GET", `/threads/${threadId}/state`));
  assert.equal(response.headers.get("content-encoding"), null);
  assert.equal(response.headers.get("content-length"), null);
});

test("replies without a body", async () => {
  const { gate } = await makeGate({
    ...aliceThread,
    [`DELETE /threads/${threadId}`]: () => new Response(null, { status: 204 }),
    [`HEAD /threads/${threadId}/state`]: () => new Response(null, { status: 200 }),
    "GET /assistants/agent": () => Response.json({ assistant_id: threadId, metadata: { created_by: "system" } }),
  });
  assert.equal((await gate.handle(request("DELETE", `/threads/${threadId}`))).status, 204);
  assert.equal((await gate.handle(request("HEAD", `/threads/${threadId}/state`))).status, 200);
  const head = await gate.handle(request("HEAD", "/assistants/agent"));
  assert.deepEqual([head.status, await head.text()], [200, ""]);
});

test("many large bodies at once: 503 before the memory is gone, and room again afterwards", async () => {
  const { gate } = await makeGate({ "POST /threads": () => Response.json({ thread_id: threadId, metadata: { owner: "alice" } }) });
  const nine = new Uint8Array(9 * 1024 * 1024).fill(32);
  const release = deferred();
  // Each sends nine megabytes and then holds its body open.
  const held = Array.from({ length: 3 }, () =>
    gate.handle(request("POST", "/threads", {
      body: new ReadableStream({
        async start(controller) {
          controller.enqueue(nine);
          await release.promise;
          controller.close();
        },
      }),
    })),
  );
  await tick(20);
  const full = await gate.handle(request("POST", "/threads", { body: new Blob([nine]).stream() }));
  assert.equal(full.status, 503);
  assert.equal((await full.json()).code, "gate_overloaded");
  release.resolve();
  // Nothing but spaces: not JSON, and read to its end.
  for (const response of await Promise.all(held)) assert.equal(response.status, 400);
  assert.equal((await gate.handle(request("POST", "/threads", { body: {} }))).status, 200);
});

test("a client that stops sending, and an upstream that does: neither holds its request for good", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const settle = async () => {
    for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  const started = new Uint8Array([123]);
  const stalling = () => new ReadableStream({ start: (controller) => controller.enqueue(started) });
  const { gate } = await makeGate({ "GET /assistants/agent": () => new Response(stalling()) });
  for (const [asked, status] of [[request("POST", "/threads", { body: stalling() }), 400], [request("GET", "/assistants/agent"), 504]]) {
    const answer = gate.handle(asked);
    await settle();
    context.mock.timers.tick(30_000);
    assert.equal((await answer).status, status);
  }
});

test("a request whose body was read before", async () => {
  const { gate } = await makeGate({});
  const used = request("POST", "/threads", { body: {} });
  await used.text();
  assert.equal((await gate.handle(used)).status, 400);
});

test("what an observer throws does not change the answer", async () => {
  const { gate } = await makeGate({}, { onDecision() { throw new Error("observer"); } });
  await quietly(async () => assert.equal((await gate.handle(request("GET", "/threads", { as: null }))).status, 401));
});

test("a fetch function that gives no Response: 500, and a line that names no URL", async () => {
  const { gate } = await makeGate({ ...aliceThread, "*": () => ({ status: 200 }) });
  const said = await quietly(async () => {
    assert.equal((await gate.handle(request("GET", `/threads/${threadId}/state`))).status, 500);
  });
  assert.equal(said.length, 1);
  assert.ok(!said[0].includes("http"), said[0]);
});

test("authenticate: the user, or an error that knows its answer", async () => {
  const { gate, calls } = await makeGate({});
  const user = await gate.authenticate(request("GET", "/anything", { as: token({ name: "Ælice", permissions: ["threads:read"] }) }));
  assert.equal(user.identity, "alice");
  assert.equal(user.displayName, "Ælice");
  assert.deepEqual(user.permissions, ["threads:read"]);
  assert.equal(user.claims.aud, "agents");
  assert.ok(calls.every((call) => call.url === jwksUrl));

  const expired = request("GET", "/", { as: token({ exp: 1 }) });
  await assert.rejects(gate.authenticate(expired), (error) => {
    assert.equal(error.name, "AuthError");
    assert.deepEqual([error.status, error.code], [401, "token_expired"]);
    assert.match(error.headers.get("www-authenticate"), /invalid_token/);
    return true;
  });
  const error = await gate.authenticate(request("GET", "/", { as: null })).catch((fault) => fault);
  for (let i = 0; i < 2; i++) {
    const response = error.toResponse();
    assert.equal(response.status, 401);
    assert.equal((await response.json()).code, "credential_missing");
  }
});

test("explain: what would happen, without sending anything", async () => {
  const { gate, calls } = await makeGate({}, {}, { issuers: [{ issuer: config().issuers[0].issuer, audience: "agents", keys: jwks }] });
  const explanation = await gate.explain({
    method: "POST", target: "/threads", headers: { authorization: `Bearer ${token()}` }, body: '{"metadata":{"owner":"bob"}}',
  });
  assert.equal(explanation.user.identity, "alice");
  assert.equal(explanation.rule, "*");
  assert.deepEqual(explanation.filter, { owner: "alice" });
  assert.equal(explanation.outcome.kind, "forward");
  assert.deepEqual(JSON.parse(explanation.outcome.body), { metadata: { owner: "alice" } });
  const refused = await gate.explain({ method: "GET", target: "/threads", headers: [["authorization", "Bearer x.y.z"]] });
  assert.deepEqual([refused.outcome.kind, refused.outcome.status], ["refuse", 401]);
  assert.equal(calls.length, 0);
});

test("the target is passed as the URL has it", async () => {
  const { gate, calls } = await makeGate({ ...aliceThread, "*": () => Response.json([]) });
  await gate.handle(new Request(`https://gate.example/threads/${threadId}/history?limit=2#part`, { headers: { authorization: `Bearer ${token()}` } }));
  assert.equal(calls.at(-1).url, `${upstreamUrl}/threads/${threadId}/history?limit=2`);
});

test("a closed gate forwards nothing", async () => {
  const { gate, calls } = await makeGate({});
  gate.close();
  gate.close();
  await quietly(async () => assert.equal((await gate.handle(request("GET", "/threads"))).status, 500));
  assert.equal(calls.length, 0);
  await assert.rejects(gate.authenticate(request("GET", "/")), { code: "host_failed", status: 500 });
});

test("gates do not share users, keys or limits", async () => {
  const one = await makeGate({ "*": () => Response.json([]) });
  const two = await makeGate({ keys: () => Response.json({ keys: [] }) });
  assert.equal((await one.gate.handle(request("POST", "/threads/search", { body: {} }))).status, 200);
  assert.equal((await two.gate.handle(request("POST", "/threads/search", { body: {} }))).status, 401);
  assert.ok(Gate);
});
