// What a user may touch, asked by a program for a backend of its own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError } from "postern";
import { makeGate, token } from "./support.mjs";

const policy = {
  "threads": { filter: { owner: "$user.identity", tags: { $contains: "$user.claims.team" } } },
  "threads:delete": "deny",
  "assistants": "allow",
};
const alice = { identity: "alice", claims: { team: "red" } };

test("one answer in every form", async () => {
  const { gate } = await makeGate({}, {}, { policy });
  const answer = await gate.filterFor(alice, "threads", "read", { column: "t.metadata", placeholder: "$3" });
  assert.deepEqual(answer, {
    kind: "conditional",
    rule: "threads",
    langgraph: { owner: "alice", tags: { $contains: "red" } },
    sql: {
      where: '(("t"."metadata" -> CAST($3 AS text)) = CAST($4 AS jsonb) AND ("t"."metadata" -> CAST($5 AS text)) @> CAST($6 AS jsonb))',
      parameters: ["owner", '"alice"', "tags", '["red"]'],
    },
    jsonb: {
      where: '("t"."metadata" @> CAST($3 AS jsonb) AND "t"."metadata" @> CAST($4 AS jsonb))',
      parameters: ['{"owner":"alice"}', '{"tags":["red"]}'],
    },
    cerbos: {
      kind: "KIND_CONDITIONAL",
      condition: {
        expression: {
          operator: "and",
          operands: [
            { expression: { operator: "eq", operands: [{ variable: "request.resource.attr.owner" }, { value: "alice" }] } },
            { expression: { operator: "in", operands: [{ value: "red" }, { variable: "request.resource.attr.tags" }] } },
          ],
        },
      },
    },
  });
  assert.equal((await gate.filterFor(alice, "threads", "read", { dialect: "sqlite" })).jsonb, null);
  assert.equal((await gate.filterFor(alice, "threads", "delete")).kind, "always_denied");
  assert.equal((await gate.filterFor({ identity: "bob" }, "threads", "read")).kind, "always_denied", "bob has no team");
  assert.equal((await gate.filterFor(alice, "assistants", "read")).kind, "always_allowed");
  gate.close();
});

test("the user that authenticate gives fits", async () => {
  const { gate } = await makeGate({}, {}, { policy });
  const request = new Request("https://gate.example/", { headers: { authorization: `Bearer ${token({ team: "red" })}` } });
  const user = await gate.authenticate(request);
  assert.deepEqual((await gate.filterFor(user, "threads", "read")).langgraph, { owner: "alice", tags: { $contains: "red" } });
  gate.close();
});

test("one object, by its metadata", async () => {
  const { gate } = await makeGate({}, {}, { policy });
  const may = (user, metadata, action = "read") => gate.filterMatches(user, "threads", action, metadata);
  assert.equal(await may(alice, { owner: "alice", tags: ["blue", "red"] }), true);
  assert.equal(await may(alice, '{"owner":"alice","tags":["red"]}'), true);
  for (const metadata of [{ owner: "bob", tags: ["red"] }, { owner: "alice" }, { owner: "alice", tags: "red" }, {}, null, undefined, "no JSON"]) {
    assert.equal(await may(alice, metadata), false, JSON.stringify(metadata));
  }
  assert.equal(await may(alice, { owner: "alice", tags: ["red"] }, "delete"), false);
  gate.close();
});

test("what is no user, resource, action or form is refused, and the gate goes on", async () => {
  const { gate } = await makeGate({}, {}, { policy });
  const wrong = [
    [{}, "threads", "read"], [{ identity: "" }, "threads", "read"], [{ identity: 7 }, "threads", "read"],
    [alice, "store", "get"], [alice, undefined, "read"], [alice, "threads", "write"], [alice, "threads", null],
    [alice, "threads", "read", { column: "m; DROP TABLE t" }], [alice, "threads", "read", { column: 1 }],
    [alice, "threads", "read", { placeholder: ":1" }], [alice, "threads", "read", { dialect: "mysql" }],
  ];
  for (const question of wrong) {
    await assert.rejects(gate.filterFor(...question), ConfigError, JSON.stringify(question));
  }
  assert.equal((await gate.filterFor(alice, "threads", "read")).kind, "conditional");
  gate.close();
  await assert.rejects(gate.filterFor(alice, "threads", "read"), /closed/);
});
