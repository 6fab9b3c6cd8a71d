// A configuration that cannot be used says where and how to mend it, and nothing of what it holds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError, Gate } from "postern";
import { config, issuer, quietly } from "./support.mjs";

const fault = async (text, options) => {
  const error = await Gate.create(text, options).then(() => undefined, (reason) => reason);
  assert.ok(error instanceof ConfigError, String(error));
  return error;
};

test("a text: line, column and path", async () => {
  const error = await fault(`// the gate of our agents
{
  "issuers": [{ "issuer": "https://idp.example" }],
  "upstream": { "url": "http://127.0.0.1:2024" }
}`);
  assert.equal(error.line, 3);
  assert.ok(error.column > 1);
  assert.equal(error.path, "issuers[0].audience");
  assert.match(error.message, /^3:\d+: issuers\[0\]\.audience: is missing/);
  assert.match(error.detail, /^is missing/);
});

test("an object: the path alone", async () => {
  const error = await fault({ ...config(), upstream: { url: "not a url" } });
  assert.deepEqual([error.line, error.column, error.path], [0, 0, "upstream.url"]);
  assert.match(error.message, /^upstream\.url: /);
});

test("no JSON at all, an unknown key, an empty policy", async () => {
  assert.equal((await fault("{")).line, 1);
  assert.match((await fault({ ...config(), polices: {} })).message, /polices/);
  assert.match((await fault({ ...config(), policy: {} })).message, /denies everything/);
});

test("secrets come from env, only the ones that are named, and are in no message", async () => {
  const hmac = (secret) => ({
    issuers: [{ issuer, audience: "agents", symmetric_keys: [{ alg: "HS256", secret }] }],
    upstream: { url: "http://127.0.0.1:2024" },
  });
  const read = [];
  const env = new Proxy({ JWT_SECRET: "0123456789abcdef0123456789abcdef", OTHER: "x" }, {
    get: (target, name) => (read.push(name), target[name]),
  });
  (await Gate.create(hmac("$JWT_SECRET"), { env })).close();
  assert.deepEqual(read, ["JWT_SECRET"]);
  const missing = await fault(hmac("$JWT_SECRET"));
  assert.match(missing.message, /JWT_SECRET/);
  const short = await fault(hmac("$JWT_SECRET"), { env: { JWT_SECRET: "too-short" } });
  assert.ok(!short.message.includes("too-short"), short.message);
});

test("warnings: to onWarning, or once to the console", async () => {
  const open = { issuers: [{ issuer, any_audience: true }], upstream: { url: "http://127.0.0.1:2024" } };
  const told = [];
  const gate = await Gate.create(open, { onWarning: (warning) => told.push(warning) });
  assert.equal(told.length, 1);
  assert.match(told[0], /ANY AUDIENCE/);
  assert.deepEqual(gate.warnings, told);
  const other = { ...open, upstream: { url: "http://agents.example:2024" } };
  const said = await quietly(async () => {
    await Gate.create(other);
    await Gate.create(other);
  });
  assert.equal(said.filter((line) => line.includes("plain http")).length, 1);
});
