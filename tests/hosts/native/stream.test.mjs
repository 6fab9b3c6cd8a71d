// What happens over time: streams, back-pressure, kept connections, clients and upstreams that go away, time limits, draining.
import assert from "node:assert/strict";
import net from "node:net";
import { test } from "node:test";
import { connect, exchange, get, head, jwks, makeToken, ok, post, startPostern, startRawUpstream, threadId, token, until, wait, writeConfig } from "./support.mjs";

const streamed = (fields) => head(`GET /threads/${threadId}/runs/${threadId}/stream HTTP/1.1`, { accept: "text/event-stream", ...fields });
const eventStream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const chunk = (text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

test("events arrive one by one, each before the next is made", async (t) => {
  let upstreamSocket;
  const upstream = await startRawUpstream(t, (_, socket) => {
    upstreamSocket = socket;
    return eventStream;
  });
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const client = await connect(t, gate.port);
  client.send(streamed());
  await until(() => client.text().includes("\r\n\r\n"), "the head arrives before any event");
  const delays = [];
  for (let i = 0; i < 20; i += 1) {
    const sent = performance.now();
    upstreamSocket.write(chunk(`data: ${i}\n\n`));
    await until(() => client.text().includes(`data: ${i}\n`), `event ${i}`);
    delays.push(performance.now() - sent);
    await wait(5);
  }
  upstreamSocket.write("0\r\n\r\n");
  const [reply] = await client.untilReply();
  assert.equal(reply.chunks.length, 20);
  assert.equal(reply.headers.get("content-type"), "text/event-stream");
  delays.sort((a, b) => a - b);
  assert.ok(delays[10] < 50, `median delay ${delays[10]} ms`);
});

test("a reply without length or chunks is streamed too, and ends with its connection", async (t) => {
  const upstream = await startRawUpstream(t, (_, socket) => {
    socket.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n");
    setTimeout(() => socket.end("data: 2\n\n"), 30);
  });
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const { reply } = await exchange(t, gate.port, streamed());
  assert.equal(reply.body.toString(), "data: 1\n\ndata: 2\n\n");
});

test("connections are kept, to the client and to the upstream", async (t) => {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const client = await connect(t, gate.port);
  for (let i = 1; i <= 20; i += 1) {
    client.send(i % 2 ? get() : post("{}"));
    await client.untilReply(i);
  }
  assert.ok(client.replies().every(({ status }) => status === 200));
  assert.equal(upstream.connections.length, 1);
  assert.equal(upstream.requests.length, 20);
});

test("pipelined requests are answered in order, also those refused", async (t) => {
  const upstream = await startRawUpstream(t, async ({ target }) => {
    await wait(20);
    return ok(JSON.stringify(target));
  });
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const client = await connect(t, gate.port);
  const requests = Array.from({ length: 10 }, (_, i) =>
    i % 3 === 2 ? head("GET /nowhere HTTP/1.1") : head(`GET /threads/${threadId}/history?limit=${i} HTTP/1.1`));
  client.send(requests.join(""));
  const replies = await client.untilReply(10);
  replies.forEach(({ status, body }, i) => {
    assert.equal(status, i % 3 === 2 ? 404 : 200);
    if (status === 200) assert.equal(JSON.parse(body), `/threads/${threadId}/history?limit=${i}`);
  });
  assert.equal(upstream.connections.length, 1);
});

test("more requests ahead than are read at once", async (t) => {
  const upstream = await startRawUpstream(t, async () => {
    await wait(1);
    return ok("{}");
  });
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const client = await connect(t, gate.port);
  client.send(get({ "user-agent": "x".repeat(700) }).repeat(200)); // some 240 KiB
  const replies = await client.untilReply(200, 20_000);
  assert.ok(replies.every(({ status }) => status === 200));
});

test("a kept connection that the upstream closed is not a failure", async (t) => {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const client = await connect(t, gate.port);
  client.send(get());
  await client.untilReply(1);
  upstream.connections[0].socket.end();
  await wait(50);
  client.send(post("{}"));
  assert.equal((await client.untilReply(2))[1].status, 200);
  assert.equal(upstream.connections.length, 2);
});

test("a request is repeated once if its kept connection dies unanswered, a POST never", async (t) => {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const client = await connect(t, gate.port);
  let count = 0;
  const dieOnce = (_, socket) => (++count === 1 ? void socket.destroy() : ok("{}"));
  client.send(get());
  await client.untilReply(1);

  upstream.answer = dieOnce;
  client.send(get());
  assert.equal((await client.untilReply(2))[1].status, 200);
  assert.equal(count, 2);

  count = 0;
  client.send(post("{}"));
  assert.equal((await client.untilReply(3))[2].status, 502);
  assert.equal(count, 1);

  // A fresh connection that dies is no stale one.
  count = 0;
  client.send(get());
  assert.equal((await client.untilReply(4))[3].status, 502);
  assert.equal(count, 1);

  // Part of a reply was seen: the upstream did the work.
  upstream.answer = () => ok("{}");
  client.send(get());
  await client.untilReply(5);
  count = 0;
  upstream.answer = (_, socket) => (++count, void socket.end("HTTP/1.1 200 OK\r\nconte"));
  client.send(get());
  assert.equal((await client.untilReply(6))[5].status, 502);
  assert.equal(count, 1);
});

for (const [name, leave] of [["closing", (socket) => socket.end()], ["a reset", (socket) => socket.resetAndDestroy()]]) {
  test(`a client that leaves by ${name} ends the upstream's request at once`, async (t) => {
    const upstream = await startRawUpstream(t, (_, socket) => {
      socket.write(eventStream + chunk("data: 1\n\n"));
    });
    const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);

    const streaming = await connect(t, gate.port);
    streaming.send(streamed());
    await until(() => streaming.text().includes("data: 1"), "an event");
    leave(streaming.socket);
    await until(() => upstream.connections[0].closed, "the stream's connection is closed", 2000);

    // Nothing of the reply is there yet.
    upstream.answer = () => undefined;
    const waiting = await connect(t, gate.port);
    waiting.send(get());
    await until(() => upstream.requests.length === 2, "the request arrives");
    leave(waiting.socket);
    await until(() => upstream.connections[1].closed, "the waiting connection is closed", 2000);
    await until(() => gate.lines("request").length === 2, "both are in the log");
    assert.deepEqual(gate.lines("request").map(({ error }) => error), ["client_left", "client_left"]);
    assert.deepEqual(gate.lines("request").map(({ status }) => status), [200, 499]);
  });
}

test("a client that leaves while the thread is looked up ends that, and nothing is forwarded", async (t) => {
  const upstream = await startRawUpstream(t, () => undefined);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url, { policy: null })]);
  const client = await connect(t, gate.port);
  client.send(get());
  await until(() => upstream.requests.length === 1, "the look-up arrives");
  assert.notEqual(upstream.requests[0].target, `/threads/${threadId}/state`);
  client.socket.destroy();
  await until(() => upstream.connections[0].closed, "the look-up is ended", 2000);
  assert.equal(upstream.requests.length, 1);
});

test("keys are fetched once for all who wait, also when the first of them leaves", async (t) => {
  let answerKeys;
  const upstream = await startRawUpstream(t, async ({ target }) => {
    if (target !== "/jwks.json") return ok("{}");
    await new Promise((resolve) => (answerKeys = resolve));
    return ok(JSON.stringify(jwks));
  });
  const config = writeConfig(upstream.url, { issuerSettings: { jwks_uri: `${upstream.url}/jwks.json` } });
  const gate = await startPostern(t, ["--config", config]);
  const clients = [];
  for (let i = 0; i < 5; i += 1) {
    const client = await connect(t, gate.port);
    client.send(get());
    clients.push(client);
  }
  await until(() => answerKeys, "the keys are asked for");
  await wait(50);
  clients[0].socket.destroy();
  await wait(50);
  answerKeys();
  for (const client of clients.slice(1)) assert.equal((await client.untilReply())[0].status, 200);
  assert.equal(upstream.requests.filter(({ target }) => target === "/jwks.json").length, 1);
});

test("keys that cannot be had are 503, and the log says why", async (t) => {
  const upstream = await startRawUpstream(t);
  const config = writeConfig(upstream.url, { issuerSettings: { jwks_uri: "http://127.0.0.1:1/jwks.json" } });
  const gate = await startPostern(t, ["--config", config]);
  const { status, reply } = await exchange(t, gate.port, get());
  assert.equal(status, 503);
  assert.ok(reply.headers.has("retry-after"));
  assert.match((await gate.line("upstream_unreachable")).reason, /refused/i);
  assert.equal(upstream.requests.length, 0);
});

test("an upstream that is not there is 502", async (t) => {
  const gate = await startPostern(t, ["--config", writeConfig("http://127.0.0.1:1")]);
  for (const bytes of [get(), post("{}")]) {
    const { status, reply } = await exchange(t, gate.port, bytes);
    assert.equal(status, 502);
    assert.equal(JSON.parse(reply.body).code, "upstream_failed");
  }
});

test("an upstream that does not answer in time is 504, and is left", async (t) => {
  const upstream = await startRawUpstream(t, () => undefined);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url, { limits: { upstream_time_limit_ms: 500 } })]);
  const started = performance.now();
  const { status, reply } = await exchange(t, gate.port, get());
  assert.equal(status, 504);
  assert.equal(JSON.parse(reply.body).code, "upstream_timeout");
  assert.ok(performance.now() - started < 2000);
  await until(() => upstream.connections[0].closed, "the connection is closed");
});

test("a stream has no time limit to its first byte", async (t) => {
  const upstream = await startRawUpstream(t, async () => {
    await wait(1200);
    return ok("data: 1\n\n", "content-type: text/event-stream\r\n");
  });
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url, { limits: { upstream_time_limit_ms: 500 } })]);
  assert.equal((await exchange(t, gate.port, streamed())).status, 200);
});

test("a reply that breaks off breaks the client's connection off", async (t) => {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  for (const start of [`${eventStream}${chunk("data: 1\n\n")}`, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ndata: 1\n\n"]) {
    upstream.answer = (_, socket) => void socket.end(start);
    const client = await connect(t, gate.port);
    client.send(streamed());
    await client.untilClosed();
    assert.ok(client.text().includes("data: 1"));
    assert.ok(!client.text().includes("\r\n0\r\n"), "an end of the stream that the upstream never sent");
    assert.equal(client.replies().length, 0);
  }
});

test("bytes after a reply are not the next reply", async (t) => {
  const upstream = await startRawUpstream(t, () => ok("{}") + ok('"poison"'));
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const client = await connect(t, gate.port);
  for (let i = 1; i <= 3; i += 1) {
    client.send(get());
    const replies = await client.untilReply(i);
    assert.equal(replies[i - 1].body.toString(), "{}");
  }
  assert.equal(upstream.connections.length, 3);
});

test("a large reply reaches a slow client whole, and is not gathered here", async (t) => {
  const size = 64 * 1024 * 1024;
  const piece = Buffer.alloc(64 * 1024, "x");
  let written = 0;
  const upstream = await startRawUpstream(t, (_, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
    const pump = () => {
      while (written < size) {
        written += piece.length;
        if (!socket.write(piece)) return void socket.once("drain", pump);
      }
    };
    pump();
  });
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const socket = net.connect({ port: gate.port, host: "127.0.0.1" });
  t.after(() => socket.destroy());
  let received = 0;
  socket.on("data", (bytes) => (received += bytes.length));
  socket.pause();
  socket.write(get());
  await wait(700);
  assert.ok(written < size / 2, `${written} bytes were taken from the upstream for a client that reads nothing`);
  socket.resume();
  await until(() => received >= size, "all of it arrives", 30_000);
  await until(() => gate.lines("request").length === 1, "it is in the log");
  assert.equal(gate.lines("request")[0].bytes, size);
});

test("bodies: as large as allowed whole, larger 413, in chunks too", async (t) => {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url, { limits: { body_bytes_max: 1024 * 1024 } })]);
  const exact = '{"metadata":{"a":""}}'.padEnd(1024 * 1024);
  const filled = `{"metadata":{"a":"${"x".repeat(1024 * 1024 - 21)}"}}`;
  assert.equal((await exchange(t, gate.port, post(exact))).status, 200);
  assert.equal((await exchange(t, gate.port, post(filled))).status, 200);
  assert.equal(upstream.requests[1].body.toString(), filled);
  const over = await exchange(t, gate.port, post(exact + " "));
  assert.equal(over.status, 413);
  await over.client.untilClosed();
  const inChunks = (text) => text.match(/[^]{1,10000}/g).map(chunk).join("") + "0\r\n\r\n";
  const start = head("POST /threads/search HTTP/1.1", { "content-type": "application/json", "transfer-encoding": "chunked" });
  assert.equal((await exchange(t, gate.port, start + inChunks(exact))).status, 200);
  assert.equal((await exchange(t, gate.port, start + inChunks(exact + " "))).status, 413);
  // Claimed, never sent: refused without waiting for it.
  assert.equal((await exchange(t, gate.port, head("POST /threads/search HTTP/1.1", { "content-length": 10 ** 15 }))).status, 413);
});

test("an inspected reply that is too large is 502, never passed on", async (t) => {
  const upstream = await startRawUpstream(t, () => ok(JSON.stringify([{ secret: "x".repeat(20_000) }])));
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url, { policy: null, limits: { reply_bytes_max: 10_000 } })]);
  const { status, client } = await exchange(t, gate.port, post("{}"));
  assert.equal(status, 502);
  assert.match(client.text(), /reply_too_large/);
  assert.ok(!client.text().includes("xxx"));
});

test("half a head is given ten seconds, however it dribbles", { timeout: 30_000 }, async (t) => {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const silent = await connect(t, gate.port);
  const dribbling = await connect(t, gate.port);
  dribbling.send("GET /ok HTTP/1.1\r\nHost: a\r\nX: ");
  const dribble = setInterval(() => dribbling.socket.writable && dribbling.send("x"), 500);
  t.after(() => clearInterval(dribble));
  const started = performance.now();
  await Promise.all([silent.untilClosed(15_000), dribbling.untilReply(1, 15_000)]);
  const took = performance.now() - started;
  assert.ok(took > 8_000 && took < 13_000, `${took} ms`);
  assert.equal(dribbling.replies()[0].status, 408);
  assert.equal(silent.text(), "");
});

test("SIGTERM lets what runs finish, closes what is idle and takes nothing new", async (t) => {
  let finish;
  const upstream = await startRawUpstream(t, (_, socket) => {
    socket.write(eventStream + chunk("data: 1\n\n"));
    finish = () => socket.write(chunk("data: 2\n\n") + "0\r\n\r\n");
  });
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const idle = await connect(t, gate.port);
  idle.send("GET /ok HTTP/1.1\r\nHost: a\r\n\r\n");
  const running = await connect(t, gate.port);
  running.send(streamed());
  await until(() => running.text().includes("data: 1") && finish, "the stream runs");
  const old = upstream.requests.length;
  upstream.answer = () => ok("{}");
  const settled = await connect(t, gate.port);
  settled.send(get());
  await settled.untilReply();
  gate.child.kill("SIGTERM");
  await settled.untilClosed();
  await assert.rejects(connect(t, gate.port));
  assert.equal(running.closed, false);
  assert.equal(gate.child.exitCode, null);
  finish();
  const [reply] = await running.untilReply();
  assert.equal(reply.body.toString(), "data: 1\n\ndata: 2\n\n");
  await running.untilClosed();
  idle.socket.destroy();
  assert.deepEqual(await gate.exited, { code: 0, signal: null });
  assert.ok(upstream.requests.length >= old);
});

test("draining ends after its time, and at once with a second signal", async (t) => {
  const upstream = await startRawUpstream(t, (_, socket) => void socket.write(eventStream + chunk("data: 1\n\n")));
  for (const second of [false, true]) {
    const gate = await startPostern(t, ["--config", writeConfig(upstream.url), "--drain-seconds", second ? "60" : "1"]);
    const running = await connect(t, gate.port);
    running.send(streamed());
    await until(() => running.text().includes("data: 1"), "the stream runs");
    const started = performance.now();
    gate.child.kill("SIGINT");
    await until(() => gate.lines("draining").length === 1, "it drains");
    if (second) gate.child.kill("SIGINT");
    assert.deepEqual(await gate.exited, { code: 0, signal: null });
    const took = performance.now() - started;
    assert.ok(second ? took < 1000 : took > 900 && took < 3000, `${took} ms`);
  }
});

test("the log names no credential, query, header or claim", async (t) => {
  const upstream = await startRawUpstream(t, () => ok("{}", "x-reply-secret: reply-secret\r\n"));
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url), "--log", "debug"]);
  const other = makeToken({ sub: "secret-subject", exp: 1 });
  const client = await connect(t, gate.port);
  const requests = [
    get({ "user-agent": "secret-agent", cookie: "secret-cookie" }),
    head(`GET /threads/${threadId}/history?limit=secret-query HTTP/1.1`),
    head("GET /threads HTTP/1.1", { authorization: `Bearer ${other}` }),
    head("GET /threads HTTP/1.1", { authorization: "Basic c2VjcmV0LWJhc2lj" }),
    post('{"metadata":{"a":"secret-body"}}'),
    post('{"secret-field":1}'),
  ];
  for (const [i, bytes] of requests.entries()) {
    client.send(bytes);
    await client.untilReply(i + 1);
  }
  await exchange(t, gate.port, "GET http://user:secret-password@a/secret-path HTTP/1.1\r\nHost: a\r\n\r\n");
  await exchange(t, gate.port, "GET /x#secret-fragment HTTP/1.1\r\nHost: a\r\n\r\n");
  await until(() => gate.lines("request").length === requests.length + 2, "all lines");
  assert.ok(!/secret|c2Vj/.test(gate.log()), gate.log());
  for (const part of [...token.split("."), ...other.split(".")]) assert.ok(!gate.log().includes(part));
  const [line] = gate.lines("request");
  assert.deepEqual(Object.keys(line), ["time", "event", "method", "path", "status", "duration_ms", "upstream_ms", "bytes"]);
  assert.equal(line.path, `/threads/${threadId}/state`);
});

test("connections over the limit are told so", async (t) => {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)], { descriptors: 140 });
  const { clients_max: limit } = await gate.line("limits");
  const clients = [];
  for (let i = 0; i < Number(limit); i += 1) clients.push(await connect(t, gate.port));
  const { status, client } = await exchange(t, gate.port, get());
  assert.equal(status, 503, client.text());
  await client.untilClosed();
  clients[0].socket.destroy();
  await until(async () => (await exchange(t, gate.port, get())).status === 200, "a place is free again");
});
