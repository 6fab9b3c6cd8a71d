// `postern test FILE`: exit status, the readable report, JSON lines, and where the configuration is looked for.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { binary, scratch } from "./support.mjs";

const run = (args, input) => {
  const { status, stdout, stderr } = spawnSync(binary, ["test", ...args], { encoding: "utf8", timeout: 20_000, input });
  return { status, stdout, stderr };
};
const folder = join(scratch, "policy-tests");
mkdirSync(folder, { recursive: true });
const put = (name, value) => {
  const path = join(folder, name);
  writeFileSync(path, typeof value === "string" ? value : JSON.stringify(value));
  return path;
};

const config = {
  issuers: [{ preset: "supabase", url: "https://project.supabase.co" }],
  upstream: { url: "http://127.0.0.1:2024", headers: { "x-api-key": "$POSTERN_TEST_IS_NOT_SET" } },
};
put("postern.json", config);
const open = put("open.json", { ...config, policy: { "threads:read": "allow", "*": { filter: { owner: "$user.identity" }, stamp: { owner: "$user.identity" } } } });
const page = readFileSync(new URL("../../../docs/policy-tests.md", import.meta.url), "utf8");
const tests = put("postern.test.json", /```jsonc\n([\s\S]*?)```/.exec(page)[1]);

test("all passed is status 0", () => {
  const { status, stdout, stderr } = run([tests]);
  assert.deepEqual([status, stderr], [0, ""]);
  assert.equal(stdout.trimEnd().split("\n").at(-1), "3 passed, 0 failed");
  assert.equal(stdout.match(/^ok    /gm).length, 3);
});

test("a failure is status 1, with both sides", () => {
  const { status, stdout } = run([tests, "--config", open]);
  assert.equal(status, 1);
  assert.match(stdout, /^FAIL  bob does not learn that it is there\n      it came to: allow, 200, by the rule "threads:read"\n      outcome\n        - expected "not_found"\n        \+ got      "allow"\n/m);
  assert.match(stdout, /\n1 passed, 2 failed\n$/);
});

test("--json prints a line for each case", () => {
  const { status, stdout } = run([tests, "--json", "--config", open]);
  assert.equal(status, 1);
  const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ passed }) => passed), [false, false, true]);
  assert.deepEqual(lines[1].differences[0], { what: "outcome", expected: "not_found", got: "allow" });
  assert.equal(lines[1].rule, "threads:read");
});

test("what cannot be used is status 2, with the place", () => {
  const broken = run([put("broken.json", '{\n  "config": "postern.json",\n  "cases": [{ "name": "a", "user": 7 }]\n}')]);
  assert.equal(broken.status, 2);
  assert.match(broken.stderr, /broken\.json:3:\d+: cases\[0\]\.user: must be/);
  assert.equal(run([join(folder, "nowhere.json")]).status, 2);
  const missing = run([put("missing.json", '{"config": "gone.json", "cases": [{"name": "a", "user": "anonymous", "request": {"target": "/ok"}, "expect": {"outcome": "allow"}}]}')]);
  assert.equal(missing.status, 2);
  assert.match(missing.stderr, /cannot read .*policy-tests\/gone\.json/);
  const wrong = run([tests, "--config", put("wrong.json", '{\n  "issuers": []\n}')]);
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /config: 2:\d+: issuers: must be/);
});

test("the tests may come from stdin, with the configuration in place", () => {
  const one = { name: "nobody", user: "anonymous", request: { target: "/threads/search", method: "POST" }, expect: { outcome: "deny", status: 401 } };
  assert.equal(run(["-"], JSON.stringify({ config, cases: [one] })).status, 0);
});
