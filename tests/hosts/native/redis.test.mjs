// The denylist's way out of Redis: the URL, the login, and what answers wrongly or not at all. What a denylist does once it is read:
// tests/scenarios/denylist.test.mjs.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, connect } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import tls from "node:tls";
import { startRedis, withoutRedis } from "../../support/redis.mjs";
import { freePort } from "../../support/services.mjs";
import { binary, exchange, head, issuer, makeToken, scratch, startPostern, startRawUpstream, threadId, until, wait, writeConfig } from "./support.mjs";

const key = "postern:denylist";
const password = "only-in-this-test-7d1f";
const denied = JSON.stringify([{ iss: issuer, jti: "denied" }]);

/** What a start says that must not succeed. A program of its own beside this one, which may be the server it asks. */
async function refusedStart(url, env = {}, more = []) {
  const args = ["serve", "--config", writeConfig("http://127.0.0.1:1"), "--listen", "127.0.0.1:0", "--denylist", url, ...more];
  const child = spawn(binary, args, { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "pipe"], timeout: 20_000 });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (said += text));
  const status = await new Promise((resolve) => child.once("close", resolve));
  assert.ok(!said.includes(password), "the password is not in the log");
  return { status, said };
}

async function startGate(t, url, env = {}, more = []) {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url), "--denylist", url, "--denylist-seconds", "1", ...more], { env });
  const status = async (jti) => {
    const fields = { authorization: `Bearer ${makeToken({ jti })}`, connection: "close" };
    return (await exchange(t, gate.port, head(`GET /threads/${threadId}/state HTTP/1.1`, fields))).status;
  };
  return Object.assign(gate, { status });
}

/** Something that listens and is no Redis: `answer(bytes, socket)` to all that comes. */
async function startFake(t, answer) {
  const sockets = new Set();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", (bytes) => answer(socket, bytes));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `redis://127.0.0.1:${server.address().port}/${key}`;
}

test("a URL that is none is status 2 and repeats nothing", () => {
  for (const [url, said] of [
    [`redis://:${password}@127.0.0.1/0/list`, /POSTERN_REDIS_PASSWORD/],
    [`redis://gate:${password}/x@127.0.0.1/0/list`, /POSTERN_REDIS_PASSWORD/],
    ["redis://127.0.0.1:6379", /ends with the key/],
    ["redis://127.0.0.1:6379/", /ends with the key/],
    ["redis://127.0.0.1:6379/1", /after the database/],
    ["redis://127.0.0.1:6379/0/", /ends with the key/],
    ["redis://127.0.0.1:6379/a/list", /the database, a number/],
    ["redis://127.0.0.1:6379/0/a/list", /%2F/],
    ["redis://127.0.0.1:6379/0/list?db=1", /no \?/],
    ["redis://127.0.0.1:6379/0/100%", /two hexadecimal/],
    ["redis://127.0.0.1:70000/0/list", /a port/],
    ["redis://[::1]x80/0/list", /a port/],
    ["redis:///0/list", /a host/],
    ["http://127.0.0.1/list", /redis:\/\/ or rediss:\/\//],
  ]) {
    const { status, stderr } = spawnSync(binary, ["serve", "--config", writeConfig("http://127.0.0.1:1"), "--denylist", url], { encoding: "utf8", timeout: 20_000 });
    assert.equal(status, 2, `${url}: ${stderr}`);
    assert.match(stderr, said, url);
    assert.ok(!stderr.includes(password), url);
  }
});

test("what is there is no Redis, or not all of one", { timeout: 60_000 }, async (t) => {
  for (const [answer, said] of [
    [(socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"), /no Redis server/],
    [(socket) => socket.write("x".repeat(5_000)), /no Redis server/],
    [(socket) => socket.write("$3\r\nabcde\r\n"), /no Redis server/],
    [(socket) => socket.write("$\r\n"), /no Redis server/],
    [(socket) => socket.write("$-2\r\n"), /no Redis server/],
    [(socket) => socket.write("$2x\r\n[]\r\n"), /no Redis server/],
    [(socket) => socket.write("*1\r\n$2\r\n[]\r\n"), /no Redis server/],
    [(socket) => socket.end(), /closed the connection/],
    [(socket) => socket.end("$20\r\n[]"), /closed the connection/],
    [(socket) => socket.write(`$${16 * 1024 * 1024 + 1}\r\n`), /larger than 16 MiB/],
    [(socket) => socket.write("$99999999999999999999999\r\n"), /larger than 16 MiB/],
    [() => {}, /did not answer within 3 s/],
    // Nor does a byte now and then keep it waiting.
    [(socket) => (socket.write("$500\r\n"), setInterval(() => socket.write(" "), 200).unref()), /did not answer within 3 s/],
    // An error that repeats what was sent.
    [(socket, bytes) => socket.write(`-ERR unknown command ${JSON.stringify(String(bytes))}\r\n`), /refuses AUTH \(ERR\)/],
    [(socket) => socket.write(`-${password}\r\n`), /refuses AUTH \(without a code\)/],
  ]) {
    const env = /AUTH/.test(String(said)) ? { POSTERN_REDIS_PASSWORD: password } : {};
    const { status, said: text } = await refusedStart(await startFake(t, answer), env);
    assert.equal(status, 1, text);
    assert.match(text, said);
  }
  const port = await freePort();
  const { status, said } = await refusedStart(`redis://127.0.0.1:${port}/${key}`);
  assert.equal(status, 1);
  assert.match(said, /cannot be reached: Connection refused/);
});

test("an answer in single bytes is an answer", async (t) => {
  const url = await startFake(t, async (socket) => {
    for (const byte of `$${denied.length}\r\n${denied}\r\n`) {
      socket.write(byte);
      await wait(2);
    }
  });
  const gate = await startGate(t, url);
  assert.deepEqual([await gate.status("denied"), await gate.status("other")], [401, 200]);
});

describe("a real server", { skip: withoutRedis, timeout: 120_000 }, () => {
  let open, locked;
  before(async () => ([open, locked] = await Promise.all([startRedis(), startRedis({ password })])));
  after(() => Promise.all([open?.stop(), locked?.stop()]));
  const at = (server, path = key, scheme = "redis") => `${scheme}://127.0.0.1:${server.port}/${path}`;

  test("the password: wrong, missing, right, from a file; a user with the least rights", async (t) => {
    await locked.command("SET", key, denied);
    await locked.command("ACL", "SETUSER", "gate", "on", `>${password}-2`, `~${key}`, "+get");
    const file = join(scratch, "redis-password");
    writeFileSync(file, `${password}\n`);
    for (const [env, path, said] of [
      [{}, key, /GET \(NOAUTH\): set POSTERN_REDIS_PASSWORD/],
      [{ POSTERN_REDIS_PASSWORD: `${password}-wrong` }, key, /AUTH \(WRONGPASS\): look at POSTERN_REDIS_USER/],
      [{ POSTERN_REDIS_USER: "gate", POSTERN_REDIS_PASSWORD: password }, key, /WRONGPASS/],
      [{ POSTERN_REDIS_USER: "gate", POSTERN_REDIS_PASSWORD: `${password}-2` }, "other", /GET \(NOPERM\): the user needs/],
      [{ POSTERN_REDIS_USER: "gate", POSTERN_REDIS_PASSWORD: `${password}-2` }, `1/${key}`, /SELECT \(NOPERM\)/],
    ]) {
      const { status, said: text } = await refusedStart(at(locked, path), env);
      assert.equal(status, 1, text);
      assert.match(text, said);
    }
    const unread = await refusedStart(at(locked), { POSTERN_REDIS_PASSWORD_FILE: join(scratch, "nowhere") });
    assert.equal(unread.status, 2);
    assert.match(unread.said, /cannot be read or is empty/);
    const alone = await refusedStart(at(locked), { POSTERN_REDIS_USER: "gate" });
    assert.equal(alone.status, 2);
    assert.match(alone.said, /POSTERN_REDIS_PASSWORD is not/);
    assert.match((await refusedStart(at(open), { POSTERN_REDIS_PASSWORD: password })).said, /AUTH \(ERR\)/);

    for (const env of [
      { POSTERN_REDIS_PASSWORD: password },
      { POSTERN_REDIS_PASSWORD_FILE: file },
      { POSTERN_REDIS_USER: "gate", POSTERN_REDIS_PASSWORD: `${password}-2` },
    ]) {
      const gate = await startGate(t, at(locked), env);
      assert.deepEqual([await gate.status("denied"), await gate.status("other")], [401, 200]);
      assert.ok(!gate.log().includes(password));
    }
  });

  test("a value that is no list, and one that is no string, stop the start", async () => {
    await open.command("SET", "broken", '[{"token":"eyJ"}]');
    await open.command("LPUSH", "list", denied);
    for (const [path, said] of [["broken", /an entry is/], ["list", /GET \(WRONGTYPE\): the key must hold a string/], ["99999/x", /SELECT \(ERR\)/]]) {
      const { status, said: text } = await refusedStart(at(open, path));
      assert.equal(status, 1, text);
      assert.match(text, said);
    }
  });

  test("the database and a key of any letters; the name of a host", async (t) => {
    await open.command("EVAL", "redis.call('SELECT', 3); return redis.call('SET', KEYS[1], ARGV[1])", "1", "a/b %ü", denied);
    const gate = await startGate(t, at(open, `3/a%2Fb%20%25${encodeURIComponent("ü")}`).replace("127.0.0.1", "localhost"));
    assert.equal(await gate.status("denied"), 401);
  });

  test("no key at the start is no list, and the log says so; one that goes later leaves the last list", async (t) => {
    const gate = await startGate(t, at(open, "late"));
    await gate.line("denylist_empty");
    assert.equal(await gate.status("denied"), 200);
    await open.command("SET", "late", denied);
    await until(() => gate.lines("denylist_read").length === 1, "the list is read");
    assert.equal(await gate.status("denied"), 401);
    await open.command("DEL", "late");
    assert.match((await gate.line("denylist_refused")).why, /the key is gone and the last list stays/);
    assert.equal(await gate.status("denied"), 401);
    await open.command("SET", "late", "[]");
    await until(() => gate.lines("denylist_read").length === 2, "the empty list is read");
    assert.equal(await gate.status("denied"), 200);
  });

  test("a server that goes away leaves the last list; back again it is asked again, empty or not", async (t) => {
    const first = await startRedis();
    await first.command("SET", key, denied);
    const gate = await startGate(t, at(first));
    await first.stop();
    await until(() => gate.lines("denylist_refused").some((line) => /cannot be reached/.test(line.why)), "the log says it");
    assert.equal(await gate.status("denied"), 401);
    const second = await startRedis({ port: first.port });
    t.after(() => second.stop());
    await until(() => gate.lines("denylist_refused").some((line) => /key is gone/.test(line.why)), "it was asked and has nothing");
    assert.equal(await gate.status("denied"), 401);
    await second.command("SET", key, JSON.stringify([{ iss: issuer, jti: "other" }]));
    await until(() => gate.lines("denylist_read").length === 2, "the new list is read");
    assert.deepEqual([await gate.status("denied"), await gate.status("other")], [200, 401]);
  });

  test("the server stops while a read is under way", async (t) => {
    let asked = 0;
    const url = await startFake(t, (socket) => (++asked === 1 ? socket.write("$2\r\n[]\r\n") : undefined));
    const gate = await startGate(t, url);
    await until(() => asked === 2, "it asks again");
    gate.child.kill("SIGTERM");
    assert.deepEqual(await gate.exited, { code: 0, signal: null });
  });

  test("TLS: the certificate and its name are verified", async (t) => {
    const [certificate, privateKey] = [join(scratch, "redis.pem"), join(scratch, "redis.key")];
    execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=redis",
      "-addext", "subjectAltName=DNS:localhost", "-keyout", privateKey, "-out", certificate], { stdio: "ignore" });
    // Whether a Redis was built with TLS differs; a terminator in front does not.
    const terminator = tls.createServer({ key: readFileSync(privateKey), cert: readFileSync(certificate), ALPNProtocols: ["redis"] }, (socket) => {
      const inner = connect(open.port, "127.0.0.1");
      for (const end of [socket, inner]) end.on("error", () => {}).on("close", () => (socket.destroy(), inner.destroy()));
      socket.pipe(inner).pipe(socket);
    });
    terminator.on("tlsClientError", () => {});
    await new Promise((resolve) => terminator.listen(0, "127.0.0.1", resolve));
    t.after(() => terminator.close());
    await open.command("SET", key, denied);
    const port = terminator.address().port;
    const url = (host, scheme = "rediss") => `${scheme}://${host}:${port}/${key}`;
    assert.match((await refusedStart(url("localhost"))).said, /no TLS with Redis: certificate not accepted: self-signed/);
    assert.match((await refusedStart(url("127.0.0.1"), {}, ["--ca-file", certificate])).said, /not accepted: IP address mismatch/);
    assert.equal((await refusedStart(url("localhost", "redis"), {}, ["--ca-file", certificate])).status, 1);
    // A Redis without TLS waits for the end of what it takes for a line.
    assert.match((await refusedStart(at(open, key, "rediss"))).said, /did not answer within 3 s/);
    const gate = await startGate(t, url("localhost"), {}, ["--ca-file", certificate]);
    assert.deepEqual([await gate.status("denied"), await gate.status("other")], [401, 200]);
  });
});
