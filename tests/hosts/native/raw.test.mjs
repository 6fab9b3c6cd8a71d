// Requests that servers and proxies are known to read differently (request smuggling, RFC 9112 sections 2, 3, 5, 6, 7), byte for
// byte, with what the client is told and the proof that nothing of it reached the upstream. The list and what seven other
// proxies do with it: nginx, HAProxy, Apache, Caddy, node http-proxy, Beast.
import assert from "node:assert/strict";
import { test } from "node:test";
import { audience, connect, exchange, get, head, issuer, jwks, ok, post, startPostern, startRawUpstream, threadId, token, until, wait, writeConfig } from "./support.mjs";

const auth = `Authorization: Bearer ${token}\r\n`;
const state = `/threads/${threadId}/state`;
const search = "POST /threads/search HTTP/1.1\r\nHost: gate.test\r\nContent-Type: application/json\r\n" + auth;

/** name, bytes, status, what else */
const refused = [
  // framing, RFC 9112 section 6
  ["Content-Length beside Transfer-Encoding", `${search}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  ["Transfer-Encoding beside Content-Length", `${search}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`, 400],
  ["a coding, then a Content-Length", `${search}Transfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}`, 400],
  ["an unknown coding", `${search}Transfer-Encoding: gzip\r\n\r\n{}`, 400],
  ["xchunked", `${search}Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, 400],
  ["chunked, identity", `${search}Transfer-Encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, 400],
  ["gzip, chunked", `${search}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, 501],
  ["chunked twice in one field", `${search}Transfer-Encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, [400, 501]],
  ["chunked in two fields", `${search}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, 400],
  ["a coding with a parameter", `${search}Transfer-Encoding: chunked;q=1\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, 400],
  ["a coding in quotes", `${search}Transfer-Encoding: "chunked"\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, 400],
  ["an empty Transfer-Encoding", `${search}Transfer-Encoding:\r\n\r\n`, 400],
  ["a coding with a vertical tab before it", `${search}Transfer-Encoding: \x0bchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, 400],
  ["space before the colon of Transfer-Encoding", `${search}Transfer-Encoding : chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, 400],
  ["a coding in HTTP/1.0", `POST /threads/search HTTP/1.0\r\nHost: a\r\n${auth}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, 400],
  ["two equal Content-Lengths", `${search}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`, 400],
  ["two different Content-Lengths", `${search}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`, 400],
  ["a list of Content-Lengths", `${search}Content-Length: 2, 2\r\n\r\n{}`, 400],
  ["a Content-Length over 2^64", `${search}Content-Length: 18446744073709551618\r\n\r\n{}`, 400],
  ["a negative Content-Length", `${search}Content-Length: -2\r\n\r\n{}`, 400],
  ["a signed Content-Length", `${search}Content-Length: +2\r\n\r\n{}`, 400],
  ["a hexadecimal Content-Length", `${search}Content-Length: 0x2\r\n\r\n{}`, 400],
  ["an empty Content-Length", `${search}Content-Length:\r\n\r\n`, 400],
  ["a Content-Length with a space inside", `${search}Content-Length: 1 2\r\n\r\n{}`, 400],
  // chunks, RFC 9112 section 7.1
  ["a chunk size 0x2", `${search}Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n`, 400],
  ["a chunk size over 2^64", `${search}Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n`, 400],
  ["a negative chunk size", `${search}Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n`, 400],
  ["no CRLF after a chunk", `${search}Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n`, 400],
  ["a chunk longer than it says", `${search}Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n`, 400],
  ["a bare LF after a chunk size", `${search}Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n`, 400],
  ["a bare LF in a chunk extension", `${search}Transfer-Encoding: chunked\r\n\r\n2;a\nb\r\n{}\r\n0\r\n\r\n`, 400],
  ["a bare CR after a chunk size", `${search}Transfer-Encoding: chunked\r\n\r\n2\r{}\r\n0\r\n\r\n`, 400],
  ["a space before a chunk size", `${search}Transfer-Encoding: chunked\r\n\r\n 2\r\n{}\r\n0\r\n\r\n`, 400],
  ["an empty chunk size", `${search}Transfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n`, 400],
  ["chunk extensions without end", `${search}Transfer-Encoding: chunked\r\n\r\n2;${"a".repeat(8 * 1024)}\r\n{}\r\n0\r\n\r\n`, 400],
  ["zeros before a chunk size without end", `${search}Transfer-Encoding: chunked\r\n\r\n${"0".repeat(40 * 1024)}2\r\n{}\r\n0\r\n\r\n`, 400],
  ["trailers without end", `${search}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n${`X: ${"a".repeat(1000)}\r\n`.repeat(20)}\r\n`, 400],
  // fields, RFC 9112 section 5
  ["NUL in a value", `GET ${state} HTTP/1.1\r\nHost: a\r\n${auth}X: a\0b\r\n\r\n`, 400],
  ["a control character in a value", `GET ${state} HTTP/1.1\r\nHost: a\r\n${auth}X: a\x01b\r\n\r\n`, 400],
  ["DEL in a value", `GET ${state} HTTP/1.1\r\nHost: a\r\n${auth}X: a\x7fb\r\n\r\n`, 400],
  ["NUL in a name", `GET ${state} HTTP/1.1\r\nHost: a\r\n${auth}X\0: a\r\n\r\n`, 400],
  ["a folded line", `GET ${state} HTTP/1.1\r\nHost: a\r\n${auth}X: a\r\n b\r\n\r\n`, 400],
  ["a folded line with a tab", `GET ${state} HTTP/1.1\r\nHost: a\r\n${auth}X: a\r\n\tb\r\n\r\n`, 400],
  ["a folded Transfer-Encoding", `${search}Transfer-Encoding:\r\n chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, 400],
  ["space before a colon", `GET ${state} HTTP/1.1\r\nHost: a\r\n${auth}X : a\r\n\r\n`, 400],
  ["space before the first field", `GET ${state} HTTP/1.1\r\n Host: a\r\n${auth}\r\n`, 400],
  ["no name", `GET ${state} HTTP/1.1\r\nHost: a\r\n${auth}: a\r\n\r\n`, 400],
  ["no colon", `GET ${state} HTTP/1.1\r\nHost: a\r\n${auth}X\r\n\r\n`, 400],
  ["a name that is no token", `GET ${state} HTTP/1.1\r\nHost: a\r\n${auth}X(Y): a\r\n\r\n`, 400],
  ["bare LF lines", `GET ${state} HTTP/1.1\nHost: a\n${auth.replace("\r", "")}\n`, 400],
  ["a bare LF after one field", `GET ${state} HTTP/1.1\r\nHost: a\r\nX: a\n${auth}\r\n`, 400],
  ["a bare CR in a value", `GET ${state} HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n${auth}\r\n`, 400],
  ["a bare CR at a line's end", `GET ${state} HTTP/1.1\r\nHost: a\rX: b\r\n${auth}\r\n`, 400],
  // Host, RFC 9112 section 3.2
  ["no Host", `GET ${state} HTTP/1.1\r\n${auth}\r\n`, 400],
  ["two Hosts", `GET ${state} HTTP/1.1\r\nHost: a\r\nHost: a\r\n${auth}\r\n`, 400],
  ["an empty Host", `GET ${state} HTTP/1.1\r\nHost:\r\n${auth}\r\n`, 400],
  ["a Host with a comma and space", `GET ${state} HTTP/1.1\r\nHost: a, b\r\n${auth}\r\n`, 400],
  ["a Host with a user", `GET ${state} HTTP/1.1\r\nHost: u@a\r\n${auth}\r\n`, 400],
  ["a Host with a path", `GET ${state} HTTP/1.1\r\nHost: a/b\r\n${auth}\r\n`, 400],
  // targets, RFC 9112 section 3.2
  ["absolute form", `GET http://evil.test${state} HTTP/1.1\r\nHost: gate.test\r\n${auth}\r\n`, 400],
  ["absolute form with the same host", `GET http://gate.test${state} HTTP/1.1\r\nHost: gate.test\r\n${auth}\r\n`, 400],
  ["CONNECT", `CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1:80\r\n${auth}\r\n`, [400, 405, 501]],
  ["asterisk form", `OPTIONS * HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, 400],
  ["a fragment", `GET ${state}#x HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, 400],
  ["a space in the target", `GET ${state} x HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, 400],
  ["a tab in the target", `GET ${state}\tx HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, 400],
  ["a control character in the target", `GET ${state}\x01 HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, 400],
  ["a byte over 0x7f in the target", `GET ${state}\xe4 HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, 400],
  ["two spaces before the target", `GET  ${state} HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, 400],
  ["dot segments", `GET /threads/../admin HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, [400, 404]],
  ["an encoded dot segment", `GET /threads/..%2fadmin HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, [400, 404]],
  ["an encoded NUL", `GET /threads/${threadId}%00/state HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, [400, 404]],
  ["empty segments", `GET //threads//${threadId}/state HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, [400, 404]],
  // versions and methods
  ["two spaces before the version", `GET ${state}  HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, 400],
  ["a space after the version", `GET ${state} HTTP/1.1 \r\nHost: a\r\n${auth}\r\n`, 400],
  ["a space before the method", ` GET ${state} HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, 400],
  ["bare LF lines before the request", `\n\nGET ${state} HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, 400],
  ["a bare LF before the request", `\nGET ${state} HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, 400],
  ["a bare CR before the request", `\r\rGET ${state} HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, 400],
  ["HTTP/0.9", `GET ${state}\r\n\r\n`, 400],
  ["HTTP/1.2", `GET ${state} HTTP/1.2\r\nHost: a\r\n${auth}\r\n`, 505],
  ["HTTP/2.0 in a request line", `GET ${state} HTTP/2.0\r\nHost: a\r\n${auth}\r\n`, 505],
  ["HTTP/3.7", `GET ${state} HTTP/3.7\r\nHost: a\r\n${auth}\r\n`, 505],
  ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
  ["http/1.1 in lower case", `GET ${state} http/1.1\r\nHost: a\r\n${auth}\r\n`, 400],
  ["HTTP/1.10", `GET ${state} HTTP/1.10\r\nHost: a\r\n${auth}\r\n`, [400, 505]],
  ["an unknown method", `BREW ${state} HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, [405, 501]],
  ["a method in lower case", `get ${state} HTTP/1.1\r\nHost: a\r\n${auth}\r\n`, [400, 405, 501]],
  ["a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
  // asking for something else
  ["an upgrade to h2c", get({ connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABkAAQAAP__" }), 501],
  ["an upgrade to websocket", get({ connection: "Upgrade", upgrade: "websocket", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13" }), 501],
  ["an unknown expectation", post("{}", { expect: "200-maybe" }), 417],
  // limits
  ["a target over 8 KiB", head(`GET /threads?x=${"a".repeat(8200)} HTTP/1.1`), 414],
  ["a head over 16 KiB", get({ x: "a".repeat(17 * 1024) }), 431],
  ["101 fields", get(Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`x-${i}`, "a"]))), 431],
  ["blank lines without end", "\r\n".repeat(20 * 1024), [400, 431]],
];

test("refused before anything reaches the upstream", async (t) => {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  for (const [name, bytes, expected] of refused) {
    await t.test(name, async (st) => {
      upstream.requests.length = 0;
      // A second request rides behind: whatever was refused must not leave its rest to be read as one.
      const { client, status } = await exchange(st, gate.port, bytes + `GET /ok HTTP/1.1\r\nHost: smuggled\r\n\r\n`);
      assert.ok([expected].flat().includes(status), `${status} instead of ${expected}: ${client.text()}`);
      // A refusal of the core's about a well-framed request may keep the connection; one about HTTP closes it.
      if (/"code":"(request_|target_too|head_too|expectation_|coding_|upgrade_|version_|method_not_supported)/.test(client.text())) {
        await client.untilClosed();
        assert.equal(client.replies().length, 1);
        assert.equal(client.reset, false);
        assert.equal(client.replies()[0].headers.get("connection"), "close");
      }
      assert.deepEqual(upstream.requests.filter(({ target }) => target !== "/ok").map(({ head: one }) => one), []);
    });
  }
  assert.ok(!gate.log().includes(token));
});

test("what is accepted arrives rebuilt, once", async (t) => {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const accepted = [
    ["a chunked body", `${search}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;a=b\r\n}\r\n0\r\nX-Auth-User: root\r\n\r\n`],
    ["Chunked in other case", `${search}transfer-encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`],
    ["a Content-Length with leading zeros", `${search}Content-Length: 002\r\n\r\n{}`],
    ["an empty line before the request", `\r\n${search}Content-Length: 2\r\n\r\n{}`],
    ["a chunk size with leading zeros", `${search}Transfer-Encoding: chunked\r\n\r\n00002\r\n{}\r\n0\r\n\r\n`],
    ["headers that name a user", `${search}X-Auth-User: root\r\nX_Auth_User: root\r\nCookie: a=b\r\nX-Forwarded-For: 1.2.3.4\r\nContent-Length: 2\r\n\r\n{}`],
    ["headers that Connection names", `${search}Connection: X-Auth-User, Content-Type\r\nX-Auth-User: root\r\nContent-Length: 2\r\n\r\n{}`],
    ["a body in many pieces", [...`${search}Content-Length: 2\r\n\r\n{}`]],
  ];
  for (const [name, bytes] of accepted) {
    await t.test(name, async (st) => {
      upstream.requests.length = 0;
      const client = await connect(st, gate.port);
      if (Array.isArray(bytes)) {
        for (const one of bytes) {
          client.send(one);
          await wait(0);
        }
      } else {
        client.send(bytes);
      }
      const [reply] = await client.untilReply();
      assert.equal(reply.status, 200, client.text());
      assert.equal(upstream.requests.length, 1);
      const [request] = upstream.requests;
      assert.equal(request.line, "POST /threads/search HTTP/1.1");
      assert.equal(request.body.toString(), "{}");
      const names = request.headers.map(([one]) => one);
      assert.equal(new Set(names).size, names.length, request.head);
      assert.equal(request.headers.find(([one]) => one === "host")[1], `127.0.0.1:${upstream.port}`);
      assert.equal(request.headers.find(([one]) => one === "content-length")[1], "2");
      for (const never of ["authorization", "cookie", "x-auth-user", "x_auth_user", "x-forwarded-for", "transfer-encoding", "connection", "te"]) {
        assert.ok(!names.includes(never), `${never}: ${request.head}`);
      }
      assert.ok(!/root/.test(request.connection.bytes.toString("latin1")));
    });
  }
});

test("a hidden credential is no credential", async (t) => {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  // RFC 9110 section 7.6.1: what Connection names belongs to this hop, so it is gone before the gate looks.
  const { status } = await exchange(t, gate.port, get({ connection: "authorization" }));
  assert.equal(status, 401);
  assert.equal(upstream.requests.length, 0);
});

test("HTTP/1.0 is answered without chunks and closed", async (t) => {
  const upstream = await startRawUpstream(t, () => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const { client, reply } = await exchange(t, gate.port, `GET ${state} HTTP/1.0\r\n${auth}Connection: keep-alive\r\n\r\n`);
  await client.untilClosed();
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.has("transfer-encoding"), false);
  assert.equal(client.replies()[0].body.toString(), "{}");
});

test("a body that a route has no use for is dropped, up to a limit", async (t) => {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const client = await connect(t, gate.port);
  client.send(get({ "content-length": 60_000 }) + "x".repeat(60_000) + get());
  const replies = await client.untilReply(2);
  assert.deepEqual(replies.map(({ status }) => status), [200, 200]);
  assert.ok(upstream.requests.every(({ body, connection }) => body.length === 0 && !connection.bytes.includes("xx")));

  const large = await exchange(t, gate.port, get({ "content-length": 70_000 }) + "x".repeat(70_000));
  assert.equal(large.status, 413);
  await large.client.untilClosed();
  const chunked = await exchange(t, gate.port, get({ "transfer-encoding": "chunked" }) + "11170\r\n" + "x".repeat(70_000) + "\r\n0\r\n\r\n");
  assert.equal(chunked.status, 413);
  const broken = await exchange(t, gate.port, get({ "transfer-encoding": "chunked" }) + "zz\r\n");
  assert.equal(broken.status, 400);
  assert.equal(upstream.requests.length, 2);
});

test("100-continue is said when the body is wanted and not else", async (t) => {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const wanted = await connect(t, gate.port);
  wanted.send(search + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  await wanted.untilReply();
  assert.equal(wanted.replies()[0].status, 100);
  assert.equal(upstream.requests.length, 0);
  wanted.send("{}");
  const replies = await wanted.untilReply(2);
  assert.equal(replies[1].status, 200);

  const unwanted = await exchange(t, gate.port, search.replace(auth, "") + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  assert.equal(unwanted.status, 401);
  await unwanted.client.untilClosed(); // whether "{}" comes cannot be known, so nothing may follow
});

test("a refused request with a body leaves the connection in step", async (t) => {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const client = await connect(t, gate.port);
  const body = "GET /ok HTTP/1.1\r\nHost: smuggled\r\n\r\n";
  client.send(head("POST /threads/search HTTP/1.1", { "content-length": body.length }, { authorized: false }) + body + get());
  const replies = await client.untilReply(2);
  assert.deepEqual(replies.map(({ status }) => status), [401, 200]);
  assert.deepEqual(upstream.requests.map(({ target }) => target), [state]);
});

test("upstream replies that cannot be framed for sure are 502", async (t) => {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const bad = [
    ["no HTTP", "hello\r\n\r\n"],
    ["length and coding", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}"],
    ["another coding", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"],
    ["a folded field", "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\n{}"],
    ["NUL in a field", "HTTP/1.1 200 OK\r\nx: a\0\r\ncontent-length: 2\r\n\r\n{}"],
    ["a switch of protocols nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"],
    ["a redirect", "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://evil.test/\r\ncontent-length: 0\r\n\r\n"],
    ["a redirect to itself", "HTTP/1.1 302 Found\r\nlocation: /threads\r\ncontent-length: 0\r\n\r\n"],
    ["HTTP/2.0", "HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\n{}"],
    ["a head without end", `HTTP/1.1 200 OK\r\nx: ${"a".repeat(100_000)}`],
    ["interim replies without end", "HTTP/1.1 102 Processing\r\n\r\n".repeat(100)],
  ];
  for (const [name, bytes] of bad) {
    await t.test(name, async (st) => {
      upstream.answer = () => bytes;
      const { reply, status, client } = await exchange(st, gate.port, get());
      assert.equal(status, 502, client.text());
      assert.equal(JSON.parse(reply.body).code, "upstream_failed");
      // That connection is not used again.
      upstream.answer = () => ok("{}");
      const before = upstream.connections.length;
      client.send(get());
      assert.equal((await client.untilReply(2))[1].status, 200);
      assert.equal(upstream.connections.length, before + 1);
      upstream.connections.at(-1).socket.destroy();
    });
  }
});

test("interim replies are swallowed", async (t) => {
  const upstream = await startRawUpstream(t, () => "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + ok("{}"));
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const { client, status } = await exchange(t, gate.port, get());
  assert.equal(status, 200);
  assert.ok(!client.text().includes("103"));
});

test("hop-by-hop and dropped fields of a reply stay here", async (t) => {
  const upstream = await startRawUpstream(t, () =>
    ok("{}", "connection: keep-alive, x-secret\r\nx-secret: 1\r\nkeep-alive: timeout=5\r\nte: x\r\ntrailer: y\r\nupgrade: h2c\r\naccess-control-allow-origin: *\r\nx-kept: 1\r\n"),
  );
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const { reply } = await exchange(t, gate.port, get());
  assert.equal(reply.headers.get("x-kept"), "1");
  for (const gone of ["connection", "x-secret", "keep-alive", "te", "trailer", "upgrade", "access-control-allow-origin"]) assert.ok(!reply.headers.has(gone), gone);
});

test("HEAD has no body, whoever answers", async (t) => {
  const upstream = await startRawUpstream(t, () => "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1234\r\n\r\n");
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url)]);
  const client = await connect(t, gate.port);
  client.send(head(`HEAD /threads/${threadId} HTTP/1.1`) + head("HEAD /nowhere HTTP/1.1") + "HEAD /threads HTTP/1.1\r\nHost: a\r\n\r\n");
  await until(() => client.text().split("HTTP/1.1 ").length === 4, "three heads");
  await wait(50);
  assert.ok(!client.text().includes("{"), client.text());
  assert.match(client.text(), /^HTTP\/1.1 200[^]*content-length: 1234\r\n/);
});

test("flags alone, with keys from the issuer", async (t) => {
  const upstream = await startRawUpstream(t, ({ target }) => ok(target === "/jwks.json" ? JSON.stringify(jwks) : "{}"));
  const gate = await startPostern(t, ["--upstream", upstream.url, "--issuer", issuer, "--audience", audience, "--jwks-uri", `${upstream.url}/jwks.json`]);
  const { status, client } = await exchange(t, gate.port, head("POST /threads/search HTTP/1.1", { "content-length": 2, "content-type": "application/json" }) + "{}");
  // The upstream's "{}" is not the list that a search is answered with, and this reply is looked at.
  assert.equal(status, 502, client.text());
  const [keys, forwarded] = [upstream.requests.find(({ target }) => target === "/jwks.json"), upstream.requests.find(({ method }) => method === "POST")];
  assert.ok(!/authorization|bearer/i.test(keys.head), keys.head);
  assert.equal(JSON.parse(forwarded.body).metadata.owner, "user-1");
});
