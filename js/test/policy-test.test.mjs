// Tests of a policy as a table: what they find, and what cannot be used.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ConfigError, testPolicy } from "postern";

const t1 = "11111111-1111-4111-8111-111111111111";
const t2 = "22222222-2222-4222-8222-222222222222";
const objects = {
  threads: [{ id: t1, metadata: { owner: "alice" } }, { id: t2, metadata: { owner: "bob" } }],
};
const config = {
  issuers: [{ preset: "supabase", url: "https://project.supabase.co" }],
  upstream: { url: "http://127.0.0.1:2024", headers: { "x-api-key": "$NOWHERE_SET" } },
};
const alice = { identity: "alice" };
const bob = { identity: "bob" };
const one = (row) => ({ name: "a case", objects, ...row });
const run = async (row, more = {}) => (await testPolicy({ config: { ...config, ...more }, cases: [one(row)] })).results[0];

test("the default policy, from the outside", async () => {
  const { failed, results } = await testPolicy({
    config,
    cases: [
      one({ name: "own", user: alice, request: { target: `/threads/${t1}` }, expect: { outcome: "allow", status: 200, rule: "*", filter: { owner: "alice" }, ids: [t1] } }),
      one({ name: "foreign", user: bob, request: { target: `/threads/${t1}` }, expect: { outcome: "not_found", status: 404, code: "object_unknown" } }),
      one({ name: "missing", user: bob, request: { target: "/threads/33333333-3333-4333-8333-333333333333" }, expect: { outcome: "not_found", status: 404, code: "object_unknown" } }),
      one({ name: "nobody", user: "anonymous", request: { target: `/threads/${t1}` }, expect: { outcome: "deny", status: 401, code: "credential_missing" } }),
      one({ name: "search", user: bob, request: { method: "POST", target: "/threads/search", body: { metadata: { owner: "alice" } } }, expect: { outcome: "allow", ids: [t2] } }),
      one({ name: "create", user: bob, request: { method: "POST", target: "/threads", body: { metadata: { owner: "alice", more: 1 } } }, expect: { outcome: "allow", stamped: { owner: "bob" }, forwarded: { method: "POST", target: "/threads", body: { metadata: { more: 1 } } } } }),
      one({ name: "taken", user: bob, request: { method: "POST", target: "/threads", body: { thread_id: t1 } }, expect: { outcome: "deny", status: 409, code: "object_exists" } }),
      one({ name: "run", user: alice, request: { method: "POST", target: `/threads/${t1}/runs`, body: { assistant_id: "agent", input: {} } }, expect: { outcome: "allow", stamped: { owner: "alice" } } }),
      one({ name: "foreign run", user: bob, request: { method: "POST", target: `/threads/${t1}/runs`, body: { assistant_id: "agent", input: {} } }, expect: { outcome: "not_found" } }),
      one({ name: "delete", user: alice, request: { method: "DELETE", target: `/threads/${t1}` }, expect: { outcome: "allow" } }),
      one({ name: "unlisted field", user: alice, request: { method: "POST", target: "/threads", body: { surprise: 1 } }, expect: { outcome: "deny", status: 400, code: "field_not_accepted" } }),
    ],
  });
  assert.deepEqual(results.filter(({ passed }) => !passed), []);
  assert.equal(failed, 0);
});

test("permissions and claims of the user count", async () => {
  const policy = { threads: { filter: { team: "$user.claims.team" } } };
  const row = (user) => ({ user, request: { target: `/threads/${t1}` }, objects: { threads: [{ id: t1, metadata: { team: "red" } }] }, expect: { outcome: "allow" } });
  assert.equal((await run(row({ identity: "a", claims: { team: "red" } }), { policy })).passed, true);
  assert.equal((await run(row({ identity: "a", claims: { team: "blue" } }), { policy })).outcome, "not_found");
  const without = await run(row({ identity: "a" }), { policy });
  assert.deepEqual([without.outcome, without.status, without.code], ["deny", 403, "policy_denied"]);
});

test("a case that does not hold fails, and says what came instead", async () => {
  const good = { user: alice, request: { method: "POST", target: "/threads", body: { metadata: { a: 1 } } } };
  const wrong = {
    outcome: "deny", status: 201, code: "policy_denied", rule: "threads", filter: { owner: "bob" }, stamped: { owner: "bob" },
    forwarded: { target: "/runs" }, ids: ["x"],
  };
  for (const [what, expected] of Object.entries(wrong)) {
    const result = await run({ ...good, expect: { outcome: "allow", [what]: expected } });
    assert.equal(result.passed, false, what);
    assert.deepEqual(result.differences.map((one) => [one.what, one.expected]), [[what, expected]], what);
    assert.notDeepEqual(result.differences[0].got, expected, what);
  }
  const nothing = await run({ user: alice, request: { target: "/threads/search" }, expect: { outcome: "deny", stamped: { owner: "alice" }, forwarded: {} } });
  assert.deepEqual(nothing.differences.map(({ what }) => what), ["stamped", "forwarded"], "nothing was sent");
});

test("the page's example, word for word", async () => {
  const page = readFileSync(new URL("../../docs/policy-tests.md", import.meta.url), "utf8");
  const text = /```jsonc\n([\s\S]*?)```/.exec(page)[1];
  await assert.rejects(testPolicy(text), /config: is a path/);
  assert.equal((await testPolicy(text, { config })).failed, 0);
  const open = { ...config, policy: { "threads:read": "allow", "*": { filter: { owner: "$user.identity" }, stamp: { owner: "$user.identity" } } } };
  const { failed, results } = await testPolicy(text, { config: open });
  assert.equal(failed, 2, JSON.stringify(results));  // another rule for alice, and bob sees it
});

test("what cannot be used is refused with its place", async () => {
  const row = one({ user: alice, request: { target: "/ok" }, expect: { outcome: "allow" } });
  const wrong = [
    [[], /must be a JSON object/], [{ config }, /cases: must be/], [{ config, cases: [] }, /cases: must be/], [{ cases: [row] }, /config: must be/],
    [{ config, cases: [row], more: 1 }, /more/], [{ config, cases: [{ ...row, expects: {} }] }, /did you mean "expect"/],
    [{ config, cases: [{ ...row, user: undefined }] }, /cases\[0\]\.user: must be/], [{ config, cases: [{ ...row, user: "alice" }] }, /user: must be/],
    [{ config, cases: [{ ...row, user: {} }] }, /identity: is missing/], [{ config, cases: [{ ...row, request: { target: "ok" } }] }, /target: must be/],
    [{ config, cases: [{ ...row, request: { target: "/ok", headers: { Authorization: "Bearer x" } } }] }, /has no place here/],
    [{ config, cases: [{ ...row, expect: {} }] }, /outcome: must be/], [{ config, cases: [{ ...row, expect: { outcome: "allow", statsu: 1 } }] }, /did you mean "status"/],
    [{ config, cases: [{ ...row, objects: { threads: [{}] } }] }, /threads\[0\]: must have an id/], [{ config, cases: [{ ...row, objects: { runs: [] } }] }, /runs/],
    [{ config, cases: [{ ...row, objects: { store: [{ key: "a" }] } }] }, /store\[0\]: must have a namespace/],
    [{ config: { ...config, policy: { runs: "allow" } }, cases: [row] }, /^config: .*no rule key/],
  ];
  for (const [tests, message] of wrong) {
    await assert.rejects(testPolicy(tests), (fault) => fault instanceof ConfigError && message.test(fault.message), String(message));
  }
  const text = '{\n  "config": {},\n  "cases": [{ "name": "a", "user": 7 }]\n}';
  await assert.rejects(testPolicy(text), /^ConfigError: 3:\d+: cases\[0\]\.user: must be/);
});
