// For the tests of the native server: the program on a free port, tokens it accepts, an upstream that keeps every byte
// it gets, and a client that sends bytes as they are given. All over node:net, because what is tested is what an HTTP
// library would not send or would tidy up.
import { spawn } from "node:child_process";
import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const binary = process.env.POSTERN_BIN ?? fileURLToPath(new URL("../../../build/dev/postern", import.meta.url));
export const issuer = "https://issuer.test";
export const audience = "agents";
export const threadId = "0b0e8a3c-7f5e-4f5e-9d57-8c2f0a1b2c3d";

export const scratch = mkdtempSync(join(tmpdir(), "postern-native-"));
process.once("exit", () => rmSync(scratch, { recursive: true, force: true }));

const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
export const jwks = { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "k1", alg: "ES256", use: "sig" }] };

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export function makeToken(claims = {}) {
  const now = Math.floor(Date.now() / 1000);
  const payload = { iss: issuer, aud: audience, sub: "user-1", iat: now, exp: now + 600, ...claims };
  const input = `${base64url({ alg: "ES256", typ: "JWT", kid: "k1" })}.${base64url(payload)}`;
  const signature = sign("sha256", Buffer.from(input), { key: createPrivateKey(privateKey.export({ type: "pkcs8", format: "pem" })), dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
}
export const token = makeToken();

export const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits until `condition` holds; fails with `what` otherwise. */
export async function until(condition, what, milliseconds = 5000) {
  const end = Date.now() + milliseconds;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`did not happen: ${what}`);
    await wait(10);
  }
}

let configs = 0;
/** A configuration with keys in it, so that the only server asked is the upstream. */
export function writeConfig(upstream, { policy = { "*": "allow" }, limits, issuerSettings = { keys: jwks } } = {}) {
  const path = join(scratch, `config-${configs++}.json`);
  const config = { issuers: [{ issuer, audience, ...issuerSettings }], upstream: { url: upstream }, ...(policy ? { policy } : {}), ...(limits ? { limits } : {}) };
  writeFileSync(path, JSON.stringify(config));
  return path;
}

/**
 * Starts the program and waits until it listens.
 * `t` is the test's context: what is left over ends with the test.
 */
export async function startPostern(t, args, { env = {}, descriptors } = {}) {
  const all = [binary, "serve", "--listen", "127.0.0.1:0", "--ready-json", ...args];
  const command = descriptors ? ["/bin/sh", "-c", `ulimit -n ${descriptors}; exec "$0" "$@"`, ...all] : all;
  const child = spawn(command[0], command.slice(1), {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let out = "";
  let log = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (log += text));
  const exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await exited;
    // A sanitizer that found something has printed it there, and must fail the test wherever it was.
    if (/ERROR: \w+Sanitizer|runtime error:/.test(log)) throw new Error(log);
  });
  await until(() => out.includes("\n") || child.exitCode !== null, "the program listens", 20_000);
  if (child.exitCode !== null) throw new Error(`the program ended: ${log}`);
  const { url } = JSON.parse(out.split("\n")[0]);
  const lines = (event) =>
    log
      .split("\n")
      .slice(0, -1) // the last one may be half here
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line))
      .filter((line) => event === undefined || line.event === event);
  return {
    url,
    port: Number(new URL(url).port),
    child,
    exited,
    log: () => log,
    /** The parsed log lines, of one kind of event if it is named. */
    lines,
    /** The first of them, which may come later than the reply it is about. */
    line: async (event) => (await until(() => lines(event).length > 0 && lines(event), `${event} is in the log`))[0],
  };
}

/** The first whole request at the start of `bytes`: { head, line, headers, body, size }, or undefined. Content-Length only. */
function takeRequest(bytes) {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = bytes.subarray(0, end).toString("latin1");
  const [line, ...fields] = head.split("\r\n");
  const headers = fields.map((field) => [field.slice(0, field.indexOf(":")).toLowerCase(), field.slice(field.indexOf(":") + 1).trim()]);
  const length = Number(headers.find(([name]) => name === "content-length")?.[1] ?? 0);
  if (bytes.length < end + 4 + length) return undefined;
  const [method, target] = line.split(" ");
  return { head, line, method, target, headers, body: bytes.subarray(end + 4, end + 4 + length), size: end + 4 + length };
}

export const ok = (body, headers = "content-type: application/json\r\n") =>
  `HTTP/1.1 200 OK\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

/**
 * A server that keeps the raw bytes of each connection and answers each whole request with what `answer` returns
 * (bytes to write), or lets `answer` write to the socket itself (it returns undefined).
 */
export async function startRawUpstream(t, answer = () => ok("{}")) {
  const upstream = { connections: [], requests: [], answer };
  const server = net.createServer((socket) => {
    const connection = { socket, bytes: Buffer.alloc(0), closed: false, requests: 0 };
    upstream.connections.push(connection);
    let rest = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("close", () => (connection.closed = true));
    socket.on("end", () => (connection.closed = true));
    socket.on("data", async (bytes) => {
      connection.bytes = Buffer.concat([connection.bytes, bytes]);
      rest = Buffer.concat([rest, bytes]);
      for (let request = takeRequest(rest); request; request = takeRequest(rest)) {
        rest = rest.subarray(request.size);
        request.connection = connection;
        connection.requests += 1;
        upstream.requests.push(request);
        const reply = await upstream.answer(request, socket);
        if (reply !== undefined && !socket.destroyed) socket.write(reply);
      }
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  upstream.port = server.address().port;
  upstream.url = `http://127.0.0.1:${upstream.port}`;
  upstream.close = () =>
    new Promise((resolve) => {
      for (const { socket } of upstream.connections) socket.destroy();
      server.close(resolve);
    });
  t.after(() => upstream.close());
  return upstream;
}

/** A connection that sends bytes and keeps what comes back. */
export async function connect(t, port) {
  const socket = net.connect(port, "127.0.0.1");
  const client = { socket, received: Buffer.alloc(0), closed: false, reset: false };
  socket.on("data", (bytes) => (client.received = Buffer.concat([client.received, bytes])));
  socket.on("end", () => (client.closed = true));
  socket.on("error", () => (client.closed = client.reset = true));
  socket.on("close", () => (client.closed = true));
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  t.after(() => socket.destroy());
  client.text = () => client.received.toString("latin1");
  client.send = (bytes) => socket.write(bytes, typeof bytes === "string" ? "latin1" : undefined);
  client.replies = () => parseReplies(client.received, client.closed);
  client.untilReply = (count = 1, milliseconds = 5000) => until(() => client.replies().length >= count && client.replies(), `${count} replies, got: ${client.text()}`, milliseconds);
  client.untilClosed = (milliseconds = 5000) => until(() => client.closed, `the connection is closed, got: ${client.text()}`, milliseconds);
  return client;
}

/** Whole replies in `bytes`. `closed`: one that ends with the connection counts as whole. 100 is one of its own. */
export function parseReplies(bytes, closed = false) {
  const replies = [];
  let rest = bytes;
  for (;;) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) return replies;
    const [line, ...fields] = rest.subarray(0, end).toString("latin1").split("\r\n");
    const headers = new Map(fields.map((field) => [field.slice(0, field.indexOf(":")).toLowerCase(), field.slice(field.indexOf(":") + 1).trim()]));
    const status = Number(line.split(" ")[1]);
    let body = rest.subarray(end + 4);
    let size;
    let whole = true;
    if (status < 200 || status === 204 || status === 304) {
      size = 0;
    } else if (headers.get("transfer-encoding") === "chunked") {
      const parts = [];
      let at = 0;
      for (;;) {
        const eol = body.indexOf("\r\n", at);
        if (eol < 0) return replies;
        const length = parseInt(body.subarray(at, eol).toString("latin1"), 16);
        if (body.length < eol + 2 + length + 2) return replies;
        parts.push(body.subarray(eol + 2, eol + 2 + length));
        at = eol + 2 + length + 2;
        if (length === 0) break;
      }
      size = at;
      replies.push({ status, line, headers, body: Buffer.concat(parts), chunks: parts.slice(0, -1).map(String), whole });
      rest = rest.subarray(end + 4 + size);
      continue;
    } else if (headers.has("content-length")) {
      size = Number(headers.get("content-length"));
      if (body.length < size) return replies;
    } else {
      if (!closed) return replies;
      size = body.length;
    }
    replies.push({ status, line, headers, body: body.subarray(0, size), whole });
    rest = rest.subarray(end + 4 + size);
  }
}

/** Sends `bytes` on a new connection; waits for one reply or the end. */
export async function exchange(t, port, bytes, milliseconds = 5000) {
  const client = await connect(t, port);
  client.send(bytes);
  await until(() => client.closed || client.replies().length > 0, `a reply to ${JSON.stringify(String(bytes).slice(0, 80))}`, milliseconds);
  const [reply] = client.replies();
  return { client, reply, status: reply?.status };
}

export const head = (line, fields = {}, { authorized = true } = {}) => {
  const all = { host: "gate.test", ...(authorized ? { authorization: `Bearer ${token}` } : {}), ...fields };
  return `${line}\r\n${Object.entries(all)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n`;
};

/** A request whose body the gate does not need. */
export const get = (fields) => head(`GET /threads/${threadId}/state HTTP/1.1`, fields);
/** A request whose body the gate reads. */
export const post = (body, fields) => head("POST /threads/search HTTP/1.1", { "content-type": "application/json", "content-length": Buffer.byteLength(body), ...fields }) + body;
