// The command line: what it prints, and that a mistake stops the start with status 2.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { audience, binary, exchange, get, head, issuer, jwks, scratch, startPostern, startRawUpstream, token, until, writeConfig } from "./support.mjs";

const run = (...args) => {
  const { status, stdout, stderr } = spawnSync(binary, args, { encoding: "utf8", timeout: 20_000 });
  return { status, stdout, stderr };
};
const flags = ["serve", "--upstream", "http://127.0.0.1:1", "--issuer", issuer, "--jwks-uri", "http://127.0.0.1:1/jwks.json", "--listen", "127.0.0.1:0"];

test("version and help", () => {
  assert.match(run("version").stdout, /^postern \d+\.\d+\.\d+\n$/);
  for (const args of [["--help"], ["serve", "--help"], ["explain", "--help"], ["check-config", "--help"]]) {
    const { status, stdout } = run(...args);
    assert.equal(status, 0);
    assert.match(stdout, /Usage: postern/);
  }
  assert.match(run("serve", "--help").stdout, /--any-audience/);
});

test("mistakes on the command line are status 2 and say what to do", () => {
  const config = writeConfig("http://127.0.0.1:1");
  for (const [args, said] of [
    [[], /subcommand/],
    [["serf"], /serf|subcommand/],
    [["serve"], /--config FILE, or --upstream/],
    [["serve", "--upstream", "http://127.0.0.1:1"], /--config FILE, or --upstream/],
    [["serve", "--config", config, "--issuer", issuer, "--audience", audience], /--config and --issuer, --audience do not go together/],
    [["serve", "--config", config, "--any-audience"], /--config and --any-audience/],
    [["serve", "--config", config, "--listen", "8080"], /--listen takes ADDRESS:PORT/],
    [["serve", "--config", config, "--listen", "::1:8080"], /--listen takes/],
    [["serve", "--config", config, "--listen", "gate.test:8080"], /--listen takes/],
    [["serve", "--config", config, "--listen", "127.0.0.1:70000"], /--listen takes/],
    [["serve", "--config", config, "--log", "all"], /--log/],
    [["serve", "--config", config, "--drain-seconds", "-1"], /--drain-seconds/],
    [["serve", "--config", join(scratch, "nowhere.json")], /cannot read .*nowhere\.json: No such file/],
    [["check-config"], /FILE/],
    [["explain", "--config", config], /--path/],
    [["explain", "--config", config, "--path", "threads"], /begins with a slash/],
  ]) {
    const { status, stderr } = run(...args);
    assert.equal(status, 2, `${args.join(" ")}: ${stderr}`);
    assert.match(stderr, said, args.join(" "));
  }
});

test("no audience, no start; any audience only when it is spelled out, and shouted", async (t) => {
  const { status, stderr } = run(...flags);
  assert.equal(status, 2);
  assert.match(stderr, /audience/);
  assert.equal(run(...flags, "--audience", "").status, 2);
  const gate = await startPostern(t, [...flags.slice(1, -2), "--any-audience"]);
  await until(() => /WARNING: .*audience/.test(gate.log()), "the warning");
});

test("a certificate file that is none stops the start", () => {
  const path = join(scratch, "no.pem");
  writeFileSync(path, "hello");
  const { status, stderr } = run(...flags, "--audience", audience, "--ca-file", path);
  assert.equal(status, 2);
  assert.match(stderr, /no\.pem/);
});

test("check-config: FILE:LINE:COLUMN: PATH: MESSAGE", () => {
  const good = writeConfig("http://127.0.0.1:1");
  assert.deepEqual([run("check-config", good).status, run("check-config", good).stdout], [0, `${good}: ok\n`]);
  const path = join(scratch, "bad.json");
  writeFileSync(path, `{\n  // who signs\n  "issuers": [{ "issuer": "${issuer}", "audiance": "a" }],\n  "upstream": { "url": "http://127.0.0.1:1" }\n}\n`);
  const { status, stderr } = run("check-config", path);
  assert.equal(status, 2);
  assert.match(stderr, new RegExp(`^${path}:3:\\d+: issuers\\[0\\].*audiance`));
  assert.equal(run("serve", "--config", path).stderr, stderr);
});

test("a secret may come from the environment", () => {
  const path = join(scratch, "secret.json");
  writeFileSync(path, JSON.stringify({ issuers: [{ issuer, audience, symmetric_keys: [{ alg: "HS256", secret: "$POSTERN_TEST_SECRET" }] }], upstream: { url: "http://127.0.0.1:1" } }));
  assert.equal(run("check-config", path).status, 2);
  const secret = "0123456789abcdef0123456789abcdef";
  const checked = spawnSync(binary, ["check-config", path], { encoding: "utf8", env: { ...process.env, POSTERN_TEST_SECRET: secret } });
  assert.equal(checked.status, 0, checked.stderr);
  assert.ok(!(checked.stdout + checked.stderr).includes(secret));
});

test("explain says what would happen, and prints no token", () => {
  const config = writeConfig("http://127.0.0.1:1", { policy: null });
  const tokenFile = join(scratch, "token");
  const bodyFile = join(scratch, "body");
  writeFileSync(tokenFile, `${token}\n`);
  writeFileSync(bodyFile, "{}");
  const { status, stdout } = run("explain", "--config", config, "--method", "POST", "--path", "/threads/search", "--token-file", tokenFile, "--body-file", bodyFile);
  assert.equal(status, 0);
  assert.equal(JSON.parse(stdout).user.identity, "user-1");
  assert.ok(!token.split(".").some((part) => stdout.includes(part)));
  const without = spawnSync(binary, ["explain", "--config", config, "--path", "/threads/search"], { encoding: "utf8" });
  assert.match(without.stdout, /credential_missing/);
  const fromStdin = spawnSync(binary, ["explain", "--config", config, "--method", "POST", "--path", "/threads/search", "--token-file", "-", "--body-file", bodyFile], { encoding: "utf8", input: readFileSync(tokenFile) });
  assert.equal(fromStdin.stdout, stdout);
});

test("the port taken is an error with status 1", async (t) => {
  const gate = await startPostern(t, ["--config", writeConfig("http://127.0.0.1:1")]);
  const { status, stderr } = run("serve", "--config", writeConfig("http://127.0.0.1:1"), "--listen", `127.0.0.1:${gate.port}`);
  assert.equal(status, 1);
  assert.match(stderr, /cannot listen on 127\.0\.0\.1:\d+: Address already in use/);
});

test("says where it listens, quietly if asked", async (t) => {
  const upstream = await startRawUpstream(t);
  const gate = await startPostern(t, ["--config", writeConfig(upstream.url), "--log", "off"]);
  assert.equal((await exchange(t, gate.port, get())).status, 200);
  assert.equal((await exchange(t, gate.port, head("GET /nowhere HTTP/1.1"))).status, 404);
  await until(() => gate.log().endsWith("\n"), "the line is here");
  assert.equal(gate.log(), `postern listening on ${gate.url} -> ${upstream.url}\n`);
  const v6 = await startPostern(t, ["--config", writeConfig(upstream.url), "--listen", "[::1]:0"]).catch(() => undefined);
  if (v6) assert.match(v6.url, /^http:\/\/\[::1\]:\d+$/);
  assert.equal(jwks.keys.length, 1);
});

test("a key snapshot carries a restart over an issuer that is down, and only its owner may write it", async (t) => {
  const file = join(scratch, "keys.snapshot");
  let asked = 0;
  const idp = createServer((request, reply) => {
    asked += 1;
    reply.setHeader("content-type", "application/json");
    reply.end(JSON.stringify(jwks));
  });
  await new Promise((resolve) => idp.listen(0, "127.0.0.1", resolve));
  t.after(() => idp.close());
  const port = idp.address().port;
  const args = ["--upstream", "http://127.0.0.1:1", "--issuer", issuer, "--audience", audience, "--jwks-uri", `http://127.0.0.1:${port}/jwks.json`, "--key-snapshot", file];
  const ask = async (gate) => (await exchange(t, gate.port, head("GET /nowhere HTTP/1.1"))).status;
  const stop = async (gate) => {
    gate.child.kill("SIGTERM");
    await gate.exited;
  };

  const first = await startPostern(t, args);
  assert.equal(await ask(first), 404, "the token is good, the route is none");
  assert.equal(asked, 1);
  await until(() => existsSync(file), "the snapshot");
  assert.equal(statSync(file).mode & 0o777, 0o600);
  await stop(first);
  await new Promise((resolve) => idp.close(resolve));

  const second = await startPostern(t, args);
  assert.equal(await ask(second), 404, "no fetch was needed");
  await until(() => /key_snapshot_read/.test(second.log()), "the log line");
  await stop(second);

  chmodSync(file, 0o666);
  const third = await startPostern(t, args);
  await until(() => /key_snapshot_refused.*others may write it/.test(third.log()), "the refusal");
  assert.equal(await ask(third), 503);
  await until(() => /keys_unusable/.test(third.log()), "why there are no keys");
});

test("hash-token: of stdin, or of a token that it makes", () => {
  const sha256 = (text) => createHash("sha256").update(text).digest("hex");
  const piped = spawnSync(binary, ["hash-token"], { input: "user1-token\n", encoding: "utf8", timeout: 20_000 });
  assert.deepEqual([piped.status, piped.stdout], [0, `${sha256("user1-token")}\n`]);
  const [token, digest] = run("hash-token", "--new").stdout.split("\n");
  assert.match(token, /^[\w-]{43}$/);
  assert.equal(digest, sha256(token));
  assert.notEqual(run("hash-token", "--new").stdout.split("\n")[0], token);
  const [key, keyDigest] = run("hash-token", "--new", "--api-key", "ci-1").stdout.split("\n");
  assert.match(key, /^pk_ci-1_[\w-]{43}$/);
  assert.equal(keyDigest, sha256(key));
  for (const wrong of [["--api-key", "ci"], ["--new", "--api-key", "a_b"]]) assert.equal(run("hash-token", ...wrong).status, 2);
  assert.equal(spawnSync(binary, ["hash-token"], { input: "\n", timeout: 20_000 }).status, 2);
});

test("new-key: a private JWK and the JWK Set that verifies it", () => {
  const [privateText, publicText] = run("new-key").stdout.split("\n");
  const jwk = JSON.parse(privateText);
  const set = JSON.parse(publicText);
  assert.equal(set.keys[0].kid, jwk.kid);
  assert.equal(set.keys[0].d, undefined, "nothing private in the public half");
  const signature = sign("sha256", Buffer.from("word"), { key: createPrivateKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" });
  assert.ok(verify("sha256", Buffer.from("word"), { key: createPublicKey({ key: set.keys[0], format: "jwk" }), dsaEncoding: "ieee-p1363" }, signature));
});

test("a secret from a file that NAME_FILE names", () => {
  const secret = join(scratch, "apikey");
  writeFileSync(secret, "anon key of a file\nanother line\n");
  const config = join(scratch, "from-file.json");
  writeFileSync(config, JSON.stringify({
    credentials: [{ kind: "supabase", url: "https://p.supabase.co", apikey: "$ANON_KEY" }], upstream: { url: "http://127.0.0.1:1" },
  }));
  const check = (env) => spawnSync(binary, ["check-config", config], { encoding: "utf8", timeout: 20_000, env: { ...process.env, ...env } });
  assert.match(check({}).stderr, /ANON_KEY" is not set/);
  assert.equal(check({ ANON_KEY_FILE: secret }).status, 0);
  const nowhere = join(scratch, "nowhere");
  const empty = join(scratch, "empty");
  writeFileSync(empty, "");
  for (const file of [nowhere, empty, scratch]) {
    const { status, stderr } = check({ ANON_KEY_FILE: file, UNRELATED_FILE: nowhere });
    assert.equal(status, 2);
    assert.match(stderr, /ANON_KEY_FILE: .* cannot be read or is empty/);
    assert.doesNotMatch(stderr, /UNRELATED/);
  }
  assert.equal(check({ ANON_KEY_FILE: secret, UNRELATED_FILE: nowhere }).status, 0);

  // Without a word, the gate would start on published keys where its operator meant every token to be asked about.
  const environment = { POSTERN_UPSTREAM: "http://127.0.0.1:1", SUPABASE_URL: "https://p.supabase.co", SUPABASE_ANON_KEY_FILE: nowhere };
  const started = spawnSync(binary, ["serve", "--listen", "127.0.0.1:0"], { encoding: "utf8", timeout: 20_000, env: { ...process.env, ...environment } });
  assert.equal(started.status, 2);
  assert.match(started.stderr, /SUPABASE_ANON_KEY_FILE: .* cannot be read or is empty/);
  const withRedis = spawnSync(binary, ["serve", "--config", writeConfig("http://127.0.0.1:1"), "--listen", "127.0.0.1:0", "--denylist", "redis://127.0.0.1:1/list"], {
    encoding: "utf8", timeout: 20_000, env: { ...process.env, POSTERN_REDIS_PASSWORD_FILE: nowhere },
  });
  assert.equal(withRedis.status, 2);
  assert.match(withRedis.stderr, /POSTERN_REDIS_PASSWORD_FILE: .* cannot be read or is empty/);
});

test("a denylist that cannot be used stops the start", () => {
  const config = writeConfig("http://127.0.0.1:1");
  const path = join(scratch, "denylist.json");
  for (const [text, said] of [[undefined, /cannot be read/], ["{", /1:2/], ['[{"token":"eyJ"}]', /an entry is/]]) {
    if (text !== undefined) writeFileSync(path, text);
    const { status, stderr } = run("serve", "--config", config, "--listen", "127.0.0.1:0", "--denylist", path);
    assert.equal(status, 1);
    assert.match(stderr, said);
  }
});
