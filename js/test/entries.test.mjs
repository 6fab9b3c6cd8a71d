// The ways into the package, as its exports map has them. The browser's and workerd's are tested in those.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const packageJson = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const use = `
  const gate = await Gate.create({ issuers: [{ issuer: "https://i.example", audience: "a" }], upstream: { url: "http://127.0.0.1:9" } });
  console.log((await gate.handle(new Request("https://g.example/threads"))).status);`;

function run(source, ...flags) {
  const folder = fileURLToPath(new URL(".", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, "-e", source], { cwd: folder, encoding: "utf8" });
  return { status, stdout: stdout.trim(), stderr };
}

test("every file the exports map names is built", () => {
  for (const conditions of Object.values(packageJson.exports)) {
    for (const file of typeof conditions === "string" ? [conditions] : Object.values(conditions)) {
      assert.ok(existsSync(new URL(`../${file}`, import.meta.url)), `${file} is missing`);
    }
  }
});

for (const name of ["postern", "postern/inline"]) {
  test(`import "${name}", with no code made from strings`, () => {
    const { status, stdout, stderr } = run(`import { Gate } from "${name}";${use}`, "--input-type=module", "--disallow-code-generation-from-strings");
    assert.deepEqual([status, stdout], [0, "401"], stderr);
  });
}

test("require works where Node can require a module", { skip: !process.features.require_module && "this Node cannot" }, () => {
  const { status, stdout, stderr } = run(`const { Gate } = require("postern"); (async () => {${use}})();`);
  assert.deepEqual([status, stdout], [0, "401"], stderr);
});

test("a condition that a runtime shares with another stands after it", () => {
  // Deno and Bun answer to "node" too, wrangler to "browser": the first match wins.
  const order = Object.keys(packageJson.exports["."]);
  for (const [first, second] of [["workerd", "browser"], ["deno", "node"], ["bun", "node"]]) {
    assert.ok(order.indexOf(first) < order.indexOf(second), `${first} must stand before ${second}`);
  }
  assert.equal(order.at(-1), "default");
});

test("without a way to the tools, what needs them says what to import", () => {
  const { stdout, stderr } = run('import { currentTools } from "../dist/tools.js"; await currentTools().catch((fault) => console.log(fault.message));', "--input-type=module");
  assert.match(stdout, /import "postern\/tools"/, stderr);
});

test("the tools trap by themselves: the gate goes on, and the next question finds a new instance", () => {
  const { stdout, stderr } = run(`import "postern/tools"; import { Gate } from "postern"; import { currentTools } from "../dist/tools.js";
    const gate = await Gate.create({ issuers: [{ issuer: "https://i.example", audience: "a" }], upstream: { url: "http://127.0.0.1:9" } });
    const ask = () => gate.filterMatches({ identity: "alice" }, "threads", "read", { owner: "alice" });
    const before = await currentTools();
    const first = await ask();
    before.glue.filterMatches = () => { throw new WebAssembly.RuntimeError("unreachable"); };
    const failed = await ask().then(() => "", (fault) => fault.name);
    console.log(first, failed, await ask(), (await currentTools()) !== before, (await gate.handle(new Request("https://g.example/threads"))).status);`, "--input-type=module");
  assert.equal(stdout, "true RuntimeError true true 401", stderr);
});
