// TLS to issuers and to the upstream: only the right certificate for the right name, and the log says what was wrong.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import tls from "node:tls";
import { exchange, get, jwks, ok, scratch, startPostern, startRawUpstream, threadId, until, connect, writeConfig } from "./support.mjs";

const folder = join(scratch, "certificates");
const file = (name) => join(folder, name);
const openssl = (...args) => execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });

/** A certificate `NAME.pem` with `NAME.key`, signed by `ca` or by itself. */
function makeCertificate(name, { names = "DNS:localhost", ca, days = "30", purpose = "serverAuth" } = {}) {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", `${name}.key`, "-subj", `/CN=${name}`];
  if (!ca) return openssl("req", "-x509", ...key, "-days", days, "-out", `${name}.pem`, "-addext", `subjectAltName=${names}`);
  openssl("req", ...key, "-out", `${name}.csr`);
  writeFileSync(file(`${name}.ext`), `basicConstraints=CA:FALSE\nextendedKeyUsage=${purpose}\nsubjectAltName=${names}\n`);
  openssl("x509", "-req", "-in", `${name}.csr`, "-CA", `${ca}.pem`, "-CAkey", `${ca}.key`, "-CAcreateserial", "-days", days, "-extfile", `${name}.ext`, "-out", `${name}.pem`);
}

before(() => {
  mkdirSync(folder);
  for (const ca of ["ca", "other-ca"]) makeCertificate(ca, { names: "DNS:ca.test", days: "30" });
  makeCertificate("good", { ca: "ca" });
  makeCertificate("address", { ca: "ca", names: "IP:127.0.0.1" });
  makeCertificate("wildcard", { ca: "ca", names: "DNS:*.localhost,DNS:l*" });
  makeCertificate("wrong-host", { ca: "ca", names: "DNS:elsewhere.test" });
  makeCertificate("expired", { ca: "ca", days: "-1" });
  makeCertificate("self-signed");
  makeCertificate("stranger", { ca: "other-ca" });
  makeCertificate("client-only", { ca: "ca", purpose: "clientAuth" });
  // The name in CN alone counted long ago.
  openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "common-name.key", "-subj", "/CN=localhost", "-out", "common-name.csr");
  openssl("x509", "-req", "-in", "common-name.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-out", "common-name.pem");
});

/** A server over TLS that answers each request head with `answer(head)`; `heads` is what got through. */
async function startTlsServer(t, certificate, answer = () => ok(JSON.stringify(jwks)), options = {}) {
  const heads = [];
  const names = [];
  const sockets = new Set();
  const server = tls.createServer({ key: readFileSync(file(`${certificate}.key`)), cert: readFileSync(file(`${certificate}.pem`)), ...options }, (socket) => {
    names.push(socket.servername);
    sockets.add(socket);
    let text = "";
    socket.on("error", () => {});
    socket.on("data", async (bytes) => {
      text += bytes.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
        heads.push(text.slice(0, end));
        text = text.slice(end + 4);
        const reply = await answer(heads.at(-1), socket);
        if (reply !== undefined) socket.write(reply);
      }
    });
  });
  server.on("tlsClientError", () => {});
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: server.address().port, heads, names, sockets };
}

const withKeysAt = (upstream, url) => writeConfig(upstream.url, { issuerSettings: { jwks_uri: url } });

test("keys over https, the certificate good", async (t) => {
  const upstream = await startRawUpstream(t);
  const keys = await startTlsServer(t, "good");
  for (const how of [{ args: ["--ca-file", file("ca.pem")] }, { args: [], env: { SSL_CERT_FILE: file("ca.pem") } }]) {
    const gate = await startPostern(t, ["--config", withKeysAt(upstream, `https://localhost:${keys.port}/jwks.json`), ...how.args], { env: how.env });
    const { status } = await exchange(t, gate.port, get());
    assert.equal(status, 200, gate.log());
  }
  assert.deepEqual(keys.names, ["localhost", "localhost"]);
  const byAddress = await startTlsServer(t, "address");
  const gate = await startPostern(t, ["--config", withKeysAt(upstream, `https://127.0.0.1:${byAddress.port}/jwks.json`), "--ca-file", file("ca.pem")]);
  assert.equal((await exchange(t, gate.port, get())).status, 200, gate.log());
  assert.deepEqual(byAddress.names, [false], "an address is no server name");
});

for (const [certificate, reason, options] of [
  ["wrong-host", /hostname mismatch/],
  ["expired", /certificate has expired/],
  ["self-signed", /self.signed certificate/],
  ["stranger", /unable to get local issuer certificate|unable to verify/],
  ["client-only", /unsuitable certificate purpose|unsupported certificate purpose/],
  ["common-name", /hostname mismatch/],
  ["wildcard", /hostname mismatch/],
  ["address", /hostname mismatch/],
  ["good", /protocol version|unsupported protocol|alert/i, { maxVersion: "TLSv1.1", minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" }],
]) {
  test(`${certificate}${options ? " over TLS 1.1" : ""} is refused, for keys and for the upstream`, async (t) => {
    const upstream = await startRawUpstream(t);
    const server = await startTlsServer(t, certificate, () => ok(JSON.stringify(jwks)), options);
    const url = `https://localhost:${server.port}`;

    const keysFrom = await startPostern(t, ["--config", withKeysAt(upstream, `${url}/jwks.json`), "--ca-file", file("ca.pem")]);
    assert.equal((await exchange(t, keysFrom.port, get())).status, 503);
    assert.match((await keysFrom.line("upstream_untrusted")).reason, reason);

    const behind = await startPostern(t, ["--config", writeConfig(url), "--ca-file", file("ca.pem")]);
    assert.equal((await exchange(t, behind.port, get())).status, 502);
    assert.match((await behind.line("upstream_untrusted")).reason, reason);

    assert.deepEqual(server.heads, [], "a request was sent to a server nobody vouches for");
    assert.equal(upstream.requests.length, 0);
  });
}

test("an upstream over https: kept, streamed, left with the client, not cut off silently", async (t) => {
  let stream;
  const server = await startTlsServer(t, "good", (head, socket) => {
    if (!head.includes("/stream ")) return ok("{}");
    stream = socket;
    return "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n";
  });
  const gate = await startPostern(t, ["--config", writeConfig(`https://localhost:${server.port}`), "--ca-file", file("ca.pem")]);
  const client = await connect(t, gate.port);
  for (let i = 1; i <= 3; i += 1) {
    client.send(get());
    assert.equal((await client.untilReply(i))[i - 1].status, 200, gate.log());
  }
  assert.equal(server.names.length, 1);
  assert.ok(server.heads[0].includes(`\r\nhost: localhost:${server.port}`));

  const streamed = get().replace("/state ", `/runs/${threadId}/stream `);
  const whole = await connect(t, gate.port);
  whole.send(streamed);
  await until(() => whole.text().includes("data: 1\n\n"), "an event");
  stream.end("data: 2\n\n"); // with TLS's own end: complete
  assert.equal((await whole.untilReply())[0].body.toString(), "data: 1\n\ndata: 2\n\n");

  const cut = await connect(t, gate.port);
  cut.send(streamed);
  await until(() => cut.text().includes("data: 1\n\n"), "an event");
  stream.destroy(); // without it: somebody else may have cut it
  await cut.untilClosed();
  assert.equal(cut.replies().length, 0);

  const leaving = await connect(t, gate.port);
  leaving.send(streamed);
  await until(() => leaving.text().includes("data: 1\n\n"), "an event");
  const left = stream;
  leaving.socket.destroy();
  await until(() => left.destroyed || left.readableEnded, "the stream ends with its client", 2000);
});

test("large replies over https are whole", async (t) => {
  const body = "x".repeat(5 * 1024 * 1024);
  const server = await startTlsServer(t, "good", () => ok(body));
  const gate = await startPostern(t, ["--config", writeConfig(`https://localhost:${server.port}`), "--ca-file", file("ca.pem")]);
  const { reply } = await exchange(t, gate.port, get(), 20_000);
  assert.equal(reply.body.toString(), body);
});
