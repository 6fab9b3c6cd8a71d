// The policies of examples/policies do what their first line says, and stay short enough to be read at a glance.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { Gate, testPolicy } from "postern";

const folder = new URL("../../examples/policies/", import.meta.url);
const t1 = "11111111-1111-4111-8111-111111111111";
const system = { id: "fe096781-5601-53d2-b2f6-0d3403f7e9ca", graph_id: "agent", metadata: { created_by: "system" } };

const alice = { identity: "alice" };
const bob = { identity: "bob" };
const owned = { threads: [{ id: t1, metadata: { owner: "alice" } }], assistants: [system] };
const read = { target: `/threads/${t1}` };
const remove = { method: "DELETE", target: `/threads/${t1}` };
const create = { method: "POST", target: "/threads", body: { metadata: { owner: "alice", team: "red" } } };
const put = (...namespace) => ({ method: "PUT", target: "/store/items", body: { namespace, key: "k", value: {} } });
const allow = (more) => ({ outcome: "allow", ...more });

const byOwner = [
  { name: "one's own is read", user: alice, request: read, objects: owned, expect: allow() },
  { name: "somebody else's is not there", user: bob, request: read, objects: owned, expect: { outcome: "not_found" } },
  { name: "what is made is one's own", user: bob, request: create, expect: allow({ stamped: { owner: "bob" } }) },
  { name: "nobody gets in", user: "anonymous", request: read, objects: owned, expect: { outcome: "deny", status: 401 } },
];
const byFirstLabel = [
  { name: "one's own part of the store", user: alice, request: put("alice", "memories"), expect: allow() },
  { name: "somebody else's part", user: bob, request: put("alice", "memories"), expect: { outcome: "deny", code: "namespace_denied" } },
];
const red = { identity: "alice", claims: { team: "red" }, permissions: ["threads:delete"] };
const alsoRed = { identity: "carol", claims: { team: "red" } };
const blue = { identity: "bob", claims: { team: "blue" }, permissions: ["threads:delete"] };
const ofTeam = { threads: [{ id: t1, metadata: { team: "red" } }], assistants: [system] };

const run = { method: "POST", target: `/threads/${t1}/runs`, body: { assistant_id: "agent", input: {} } };
const ci = { identity: "ci", permissions: ["runs"], fields: { team: "red" } };
const reader = { identity: "reader", fields: { team: "red" } };

const expected = {
  "token-table.jsonc": [
    { name: "who is in reads everything", user: bob, request: read, objects: owned, expect: allow({ rule: "*" }) },
    { name: "and deletes everything", user: bob, request: remove, objects: owned, expect: allow() },
    { name: "nobody gets in", user: "anonymous", request: read, objects: owned, expect: { outcome: "deny", status: 401 } },
  ],
  "api-key.jsonc": [
    { name: "a key reads its team's thread", user: reader, request: read, objects: ofTeam, expect: allow() },
    { name: "a key without the permission starts no run", user: reader, request: run, objects: ofTeam, expect: { outcome: "deny", status: 403 } },
    { name: "a key with it does", user: ci, request: run, objects: ofTeam, expect: allow({ rule: "threads:create_run" }) },
    { name: "not on another team's thread", user: { ...ci, fields: { team: "blue" } }, request: run, objects: ofTeam, expect: { outcome: "not_found" } },
    { name: "a key of no team", user: { identity: "ci" }, request: read, objects: ofTeam, expect: { outcome: "deny", status: 403 } },
    { name: "nobody gets in", user: "anonymous", request: read, objects: ofTeam, expect: { outcome: "deny", status: 401 } },
  ],
  "owner.jsonc": [...byOwner, { name: "the store is kept by no filter", user: alice, request: put("alice"), expect: { outcome: "deny", code: "filter_not_enforceable" } }],
  "store.jsonc": [...byOwner, ...byFirstLabel],
  "supabase.jsonc": [
    ...byOwner, ...byFirstLabel,
    { name: "the server's assistants are everyone's to see", user: bob, request: { method: "POST", target: "/assistants/search", body: {} }, objects: owned, expect: allow({ ids: [system.id] }) },
    { name: "and nobody's to change", user: bob, request: { method: "PATCH", target: `/assistants/${system.id}`, body: { name: "x" } }, objects: owned, expect: { outcome: "not_found" } },
  ],
  "teams.jsonc": [
    { name: "a team's thread", user: alsoRed, request: read, objects: ofTeam, expect: allow() },
    { name: "another team's", user: blue, request: read, objects: ofTeam, expect: { outcome: "not_found" } },
    { name: "no team at all", user: { identity: "dave" }, request: read, objects: ofTeam, expect: { outcome: "deny", status: 403 } },
    { name: "made for one's team", user: blue, request: create, expect: allow({ stamped: { team: "blue" } }) },
    { name: "deleting with the permission", user: red, request: remove, objects: ofTeam, expect: allow() },
    { name: "deleting without it", user: alsoRed, request: remove, objects: ofTeam, expect: { outcome: "deny", status: 403 } },
    { name: "deleting another team's", user: blue, request: remove, objects: ofTeam, expect: { outcome: "not_found" } },
    { name: "the store, put under the team", user: blue, request: put("memories"), expect: allow({ forwarded: { method: "PUT", target: "/store/items", body: { namespace: ["teams", "blue", "memories"] } } }) },
  ],
};

for (const file of readdirSync(folder).filter((name) => name.endsWith(".jsonc"))) {
  test(file, async () => {
    const config = readFileSync(new URL(file, folder), "utf8");
    assert.ok(config.trimEnd().split("\n").length <= 15, "at most 15 lines");
    assert.ok(expected[file] !== undefined, `${file} has no cases here`);
    const { failed, results } = await testPolicy({ config: {}, cases: expected[file] }, { config });
    assert.deepEqual(results.filter(({ passed }) => !passed), []);
    assert.equal(failed, 0);
  });
}

// The credentials that two of them hold: what is written beside the digests lets in, and what is a character away does not.
const env = { CI_GITHUB_TOKEN: "for-this-test", POSTERN_ASSERTION_KEY: JSON.stringify(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" })) };
for (const [file, header, shown] of [
  ["token-table.jsonc", "authorization", { "Bearer user1-token": "user1", "Bearer user2-token": "user2", "Bearer user3-token": undefined }],
  ["api-key.jsonc", "x-api-key", { "pk_ci_for-this-example-only": "ci", "pk_ci_for-this-example-onlz": undefined }],
]) {
  test(`${file}: its credentials`, async () => {
    const gate = await Gate.create(readFileSync(new URL(file, folder), "utf8"), { env });
    for (const [value, identity] of Object.entries(shown)) {
      const who = gate.authenticate(new Request("http://gate.example/", { headers: { [header]: value } }));
      if (identity === undefined) await assert.rejects(who, { code: "credential_unknown" });
      else assert.equal((await who).identity, identity);
    }
    gate.close();
  });
}
