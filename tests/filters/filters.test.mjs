// Random filters over random documents: what each engine selects by a rendering is what the core's own matcher admits.
//
// Engines: PostgreSQL (PGlite, the real server compiled to wasm), SQLite and LangGraph's matcher (both through Python), and
// for Cerbos' query plan an evaluator below, after CEL: a missing field is an error, and an error is no permission.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { PGlite } from "@electric-sql/pglite";
import { Gate } from "postern";

const seed = Number(process.env.POSTERN_SEED ?? 20_261);
let state = seed;
const random = () => {
  // mulberry32
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];

// JSON text all along: JavaScript's numbers would round what the core and the databases compare by every digit.
const fields = ["owner", "tags", "n", "0", "a b", "o'\"x", "key", "value", "type", "é", "\\", "?", "a.b", "owner' --"];
const texts = ["a", "b", "A", "1", "true", "null", "é", "é", "a'b", "\\", "%", "_", "😀", "[]", "{}", "\"", "?", "line\nbreak"];
const numbers = ["0", "-0", "0.0", "1", "1.0", "1e0", "10", "1E1", "0.5", "5e-1", "-1", "9007199254740992", "9007199254740993", "100000000000000000000", "1e20"];
const scalar = () => pick([() => JSON.stringify(pick(texts)), () => JSON.stringify(pick(texts)), () => pick(numbers), () => pick(["true", "false"])])();
const listOf = (make, most) => Array.from({ length: below(most) + 1 }, make);

function leaf() {
  const field = JSON.stringify(pick(fields.slice(0, 4 + below(fields.length - 3))));
  const shape = below(4);
  if (shape === 0) return `${field}:${scalar()}`;
  if (shape === 1) return `${field}:{"$eq":${scalar()}}`;
  if (shape === 2) return `${field}:{"$contains":${scalar()}}`;
  return `${field}:{"$contains":[${listOf(scalar, 3)}]}`;
}
function filter(depth = 1) {
  const members = new Map();
  for (let n = below(3) + 1; n > 0; n -= 1) {
    const text = depth < 4 && below(3) === 0
      ? `"${pick(["$and", "$or"])}":[${listOf(() => filter(depth + 1), 3)}]`
      : leaf();
    members.set(text.slice(0, text.indexOf(":")), text);
  }
  return `{${[...members.values()]}}`;
}
const anything = () => pick([
  scalar, scalar, () => `[${listOf(scalar, 4)}]`, () => `[${listOf(scalar, 4)}]`,
  () => pick(["null", '""', "[]", "{}", "[null]", "[[\"a\"]]", '{"a":1}', '[{"a":1},"a"]', '{"owner":"a"}', "[true,1]"]),
])();
function row() {
  if (below(12) === 0) return pick(["[]", "{}", '"a"', "1", "null", "true", '["a"]', '[{"owner":"a"}]', '["owner","a"]', '[{"key":"owner","value":"a"}]']);
  const names = new Set(listOf(() => pick(fields.slice(0, 4 + below(fields.length - 3))), 6));
  return `{${[...names].map((name) => `${JSON.stringify(name)}:${anything()}`)}}`;
}

const rows = Array.from({ length: 300 }, row);
// Filters that hold for nothing say little: three in four are made from a row that fulfils a part of them.
function filterNear() {
  const members = JSON.parse(pick(rows));
  const text = filter(pick([1, 3]));
  const inner = filter(3);  // what it is put into adds two levels
  if (below(4) === 0 || members === null || typeof members !== "object" || Array.isArray(members)) return text;
  const near = Object.entries(members).flatMap(([name, value]) => {
    if (typeof value === "number" || (typeof value === "string" && value !== "") || typeof value === "boolean") return [`${JSON.stringify(name)}:${JSON.stringify(value)}`];
    const items = Array.isArray(value) ? value.filter((item) => ["string", "boolean"].includes(typeof item)) : [];
    return items.length > 0 ? [`${JSON.stringify(name)}:{"$contains":${JSON.stringify(pick([items, items[0]]))}}`] : [];
  });
  return near.length === 0 ? text : pick([`{${pick(near)}}`, `{${near.slice(0, 2)}}`, `{"$or":[{${pick(near)}},${inner}]}`, `{"$and":[{${pick(near)}},{"$or":[{${pick(near)}},${inner}]}]}`]);
}

const user = { identity: "alice", claims: {} };
const gateFor = (filterText) => Gate.create(`{
  "issuers": [{"issuer": "https://idp.example", "audience": "agents"}], "upstream": {"url": "http://127.0.0.1:1"},
  "policy": {"threads": {"filter": ${filterText}}}}`, { onWarning() {} });

const cases = [];
before(async () => {
  for (let n = 0; n < 400; n += 1) {
    const text = filterNear();
    const gate = await gateFor(text);
    try {
      const wanted = [];
      for (const [at, document] of rows.entries()) {
        if (await gate.filterMatches(user, "threads", "read", document)) wanted.push(at);
      }
      cases.push({
        text, wanted,
        postgres: await gate.filterFor(user, "threads", "read", { column: "d.metadata", placeholder: "$2" }),
        sqlite: await gate.filterFor(user, "threads", "read", { column: "d.metadata", dialect: "sqlite" }),
      });
    } finally {
      gate.close();
    }
  }
});

// The two renderings that are values, not text, carry numbers as JavaScript and Cerbos have them: digits beyond a double
// cannot be told apart there.
const isDouble = (text) => numbersIn(text).every((token) => Math.abs(Number(token)) < 2 ** 53);
const numbersIn = (text) => [...text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""').matchAll(/-?\d[\d.eE+-]*/g)].map((found) => found[0]);

test("the draw is worth something: filters that select some rows and not all", () => {
  const some = cases.filter(({ wanted }) => wanted.length > 0 && wanted.length < rows.length).length;
  assert.ok(some > cases.length / 3, `${some} of ${cases.length} (seed ${seed})`);
});

test("PostgreSQL selects what the core admits, by SQL and by containment", async () => {
  const db = new PGlite();
  try {
    await db.exec("CREATE TABLE docs (id int PRIMARY KEY, metadata jsonb); CREATE INDEX by_metadata ON docs USING gin (metadata jsonb_path_ops)");
    for (const [id, document] of rows.entries()) await db.query("INSERT INTO docs VALUES ($1, CAST($2 AS jsonb))", [id, document]);
    await db.query("INSERT INTO docs VALUES ($1, NULL)", [rows.length]);
    for (const { text, wanted, postgres } of cases) {
      for (const form of ["sql", "jsonb"]) {
        const { where, parameters } = postgres[form];
        const found = await db.query(`SELECT id FROM docs AS d WHERE id >= $1 AND ${where} ORDER BY id`, [0, ...parameters]);
        assert.deepEqual(found.rows.map(({ id }) => id), wanted, `${form} of ${text} (seed ${seed}): ${where}`);
      }
    }
    await db.exec("SET enable_seqscan = off");
    const gate = await gateFor('{"owner": "$user.identity", "tags": {"$contains": "a"}}');
    const { jsonb } = await gate.filterFor(user, "threads", "read");
    gate.close();
    const plan = await db.query(`EXPLAIN SELECT id FROM docs WHERE ${jsonb.where}`, jsonb.parameters);
    assert.match(JSON.stringify(plan.rows), /Index Scan on by_metadata/);
  } finally {
    await db.close();
  }
});

test("SQLite selects what the core admits, and LangGraph by its dict", (t) => {
  // Python's True equals 1, so LangGraph's in-memory server takes one for the other; the core does not.
  const boolLike = (text) => /\btrue\b|\bfalse\b/.test(text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')) || numbersIn(text).some((token) => [0, 1].includes(Number(token)));
  const asked = {
    rows,
    sql: cases.map(({ sqlite }) => sqlite.sql),
    langgraph: cases.map(({ text, postgres }) => (boolLike(text) || !isDouble(text) ? null : postgres.langgraph)),
  };
  const python = process.env.POSTERN_PYTHON ?? "python3";
  const ran = spawnSync(python, [join(dirname(fileURLToPath(import.meta.url)), "engines.py")], { input: JSON.stringify(asked), encoding: "utf8", maxBuffer: 64 * 1024 * 1024, timeout: 120_000 });
  assert.equal(ran.status, 0, ran.stderr);
  const found = JSON.parse(ran.stdout);
  for (const [at, { text, wanted, sqlite }] of cases.entries()) {
    assert.deepEqual(found.sqlite[at], wanted, `SQLite ${found.version}, ${text} (seed ${seed}): ${sqlite.sql.where}`);
  }
  if (found.langgraph === null) return t.skip("LangGraph's server is not installed: scripts/setup python");
  const compared = cases.filter((_, at) => found.langgraph[at] !== null);
  assert.ok(compared.length > cases.length / 10, `LangGraph was asked ${compared.length} times`);
  for (const [at, { text, wanted, postgres }] of cases.entries()) {
    if (found.langgraph[at] !== null) assert.deepEqual(found.langgraph[at], wanted, `${text} (seed ${seed}): ${JSON.stringify(postgres.langgraph)}`);
  }
});

/** CEL over attributes: true, false, or undefined for an error. */
function evaluate(node, attributes) {
  if ("value" in node) return node.value;
  if ("variable" in node) {
    const prefix = "request.resource.attr";
    if (node.variable === prefix) return attributes;
    assert.ok(node.variable.startsWith(`${prefix}.`));
    return evaluate({ expression: { operator: "index", operands: [{ variable: prefix }, { value: node.variable.slice(prefix.length + 1) }] } }, attributes);
  }
  const { operator, operands } = node.expression;
  if (operator === "and" || operator === "or") {
    assert.ok(operands.length > 1);
    const results = operands.map((operand) => evaluate(operand, attributes));
    const decisive = operator === "or";
    return results.includes(decisive) ? decisive : results.includes(undefined) ? undefined : !decisive;
  }
  const [left, right] = operands.map((operand) => evaluate(operand, attributes));
  if (left === undefined || right === undefined) return undefined;
  if (operator === "index") return left !== null && typeof left === "object" && Object.hasOwn(left, right) ? left[right] : undefined;
  if (operator === "eq") return left === right;
  assert.equal(operator, "in");
  return Array.isArray(right) ? right.includes(left) : undefined;
}

test("Cerbos' plan permits what the core admits", () => {
  let compared = 0;
  for (const { text, wanted, postgres } of cases) {
    if (!isDouble(text)) continue;
    compared += 1;
    assert.equal(postgres.cerbos.kind, "KIND_CONDITIONAL");
    const found = rows.flatMap((document, at) => {
      const attributes = JSON.parse(document);
      const object = attributes !== null && typeof attributes === "object" && !Array.isArray(attributes);
      return object && evaluate(postgres.cerbos.condition, attributes) === true ? [at] : [];
    });
    assert.deepEqual(found, wanted, `${text} (seed ${seed})`);
  }
  assert.ok(compared > cases.length / 2);
});

test("a text with U+0000 selects nothing and breaks no query", async () => {
  const gate = await gateFor(String.raw`{"$or": [{"owner": "a\u0000b"}, {"o\u0000": 1}, {"tags": {"$contains": ["a", "\u0000"]}}]}`);
  const { sql, jsonb } = await gate.filterFor(user, "threads", "read");
  gate.close();
  for (const { where, parameters } of [sql, jsonb]) {
    assert.equal(where, "(FALSE OR FALSE OR FALSE)");
    assert.deepEqual(parameters, []);
  }
});

after(() => assert.equal(cases.length, 400));
