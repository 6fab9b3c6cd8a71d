// Runs the parts of the test suite and adds up what they say. scripts/test calls this; see tests/README.md.
//
// A part is one command. It passes when the command exits 0, counted no failure, and skipped nothing it may not
// skip. The last line is the sum: "N passed, N failed, N skipped".
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { leaksIn, leaksInFolder } from "./support/leaks.mjs";
import { root, startAgent, startGate, startIssuer } from "./support/services.mjs";

const scratch = mkdtempSync(join(tmpdir(), "postern-test-"));
process.once("exit", () => rmSync(scratch, { recursive: true, force: true }));

/** Runs a command, shows what it prints when it fails (or with --verbose), gives its output and code. */
function run(command, { env = {}, timeoutSeconds = 900 } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command[0], command.slice(1), { cwd: root, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"], detached: true });
    const kill = () => {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // already gone
      }
    };
    process.once("exit", kill);
    const timer = setTimeout(kill, timeoutSeconds * 1000);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (chunk) => {
        output += chunk;
        if (verbose) process.stdout.write(chunk);
      });
    }
    child.once("error", (error) => (output += error.message));
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      process.removeListener("exit", kill);
      resolve({ code: code ?? 1, output: signal ? `${output}\n(ended by ${signal})` : output });
    });
  });
}

/** @typedef {{ passed: number, failed: number, skipped: number, output: string, table?: string }} Counts */

const failure = (output) => ({ passed: 0, failed: 1, skipped: 0, output });

/** A command without counts of its own is one test. */
async function single(command, options) {
  const { code, output } = await run(command, options);
  return code === 0 ? { passed: 1, failed: 0, skipped: 0, output } : failure(output);
}

const jobs = String(Math.min(availableParallelism(), 8));

/** GoogleTest, its tests spread over as many processes as there are cores. */
async function googleTest(binary, env = {}) {
  const shards = await Promise.all(Array.from({ length: Number(jobs) }, (_, shard) => googleTestShard(binary, env, shard)));
  const sum = { passed: 0, failed: 0, skipped: 0, output: "" };
  for (const counts of shards) for (const key of Object.keys(sum)) sum[key] += counts[key];
  return sum.passed + sum.failed + sum.skipped > 0 ? sum : failure(`${sum.output}\nno test was run`);
}

/** One of them: counted from its JSON report. */
async function googleTestShard(binary, env, shard) {
  const report = join(scratch, `gtest-${shard}.json`);
  rmSync(report, { force: true });
  const { code, output } = await run([binary, "--gtest_brief=1", `--gtest_output=json:${report}`], {
    env: { ...env, GTEST_TOTAL_SHARDS: jobs, GTEST_SHARD_INDEX: String(shard) },
  });
  if (!existsSync(report)) return failure(output);
  const cases = JSON.parse(readFileSync(report, "utf8")).testsuites.flatMap((suite) => suite.testsuite);
  const failed = cases.filter((test) => test.failures?.length).length;
  const skipped = cases.filter((test) => test.result === "SKIPPED").length;
  const counts = { passed: cases.length - failed - skipped, failed, skipped, output };
  if (code !== 0 && failed === 0) counts.failed = 1;
  return counts;
}

/** Node's test runner, over all *.test.mjs of a folder: counted from its closing lines. */
async function nodeTest(paths, { env = {}, timeoutSeconds = 900, concurrency = 1 } = {}) {
  const files = paths.flatMap((path) =>
    path.endsWith(".mjs") ? [path] : readdirSync(join(root, path)).filter((name) => name.endsWith(".test.mjs")).map((name) => join(path, name)),
  );
  if (files.length === 0) return failure(`no test file in ${paths.join(", ")}`);
  const { code, output } = await run([process.execPath, "--test", `--test-concurrency=${concurrency}`, "--test-reporter=tap", ...files], { env, timeoutSeconds });
  const number = (name) => Number(new RegExp(`^# ${name} (\\d+)$`, "m").exec(output)?.[1] ?? 0);
  const counts = { passed: number("pass"), failed: number("fail") + number("cancelled"), skipped: number("skipped") + number("todo"), output };
  if (counts.passed === 0 || (code !== 0 && counts.failed === 0)) counts.failed += 1;
  // A test may print a table of what it found: that is shown also when all is well.
  counts.table = [...output.matchAll(/^# (\|.*)$/gm)].map((line) => line[1]).join("\n");
  return counts;
}

/** The walkthroughs' own last line: "N passed, N failed". */
function walkthroughCounts(name, { code, output }) {
  const line = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/m.exec(output);
  if (!line) return failure(`${name}\n${output}`);
  const counts = { passed: Number(line[1]), failed: Number(line[2]), skipped: Number(line[3] ?? 0), output: `${name}\n${output}` };
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

/** Every client through one gate in front of one real server. */
async function walkthrough(gateKind, agentKind) {
  const python = process.env.POSTERN_PYTHON;
  const started = [];
  const sum = { passed: 0, failed: 0, skipped: 0, output: "" };
  try {
    const issuer = await startIssuer();
    started.push(issuer);
    const agent = await startAgent(agentKind);
    started.push(agent);
    const gate = await startGate(gateKind, { upstream: agent.url, issuer: `${issuer.url}/auth/v1` });
    started.push(gate);
    const clients = [
      [process.execPath, "tests/walkthrough/walkthrough.mjs"],
      [python, "tests/walkthrough/walkthrough.py"],
      [process.execPath, "tests/walkthrough/remote-graph.mjs"],
      [python, "tests/walkthrough/remote_graph.py"],
    ];
    for (const command of clients) {
      const result = await run([...command, "--gate", gate.url, "--issuer", issuer.url], { timeoutSeconds: 300 });
      const counts = walkthroughCounts(command[1], result);
      for (const key of ["passed", "failed", "skipped", "output"]) sum[key] += counts[key];
      sum.output += "\n";
    }
    return sum;
  } catch (error) {
    sum.failed += 1;
    sum.output += `${error.message}\n`;
    return sum;
  } finally {
    for (const service of started.reverse()) await service.stop();
  }
}

/** Each fuzz target for a short while, one test a target; from one seed, so that a failure says something of what was changed. */
async function fuzz(seconds) {
  const sum = { passed: 0, failed: 0, skipped: 0, output: "" };
  const targets = readdirSync(join(root, "tests/fuzz")).flatMap((name) => /^(.*)_fuzz\.cpp$/.exec(name)?.slice(1) ?? []);
  for (const target of targets) {
    const counts = await single(["bash", "tests/fuzz/run.sh", target, String(seconds), "1"]);
    for (const key of ["passed", "failed", "skipped", "output"]) sum[key] += counts[key];
  }
  return targets.length > 0 ? sum : failure("no fuzz target");
}

const cmake = async (preset, ...targets) => {
  const configured = await run(["cmake", "--preset", preset]);
  if (configured.code !== 0) return configured;
  return run(["cmake", "--build", "--preset", preset, "-j", jobs, ...(targets.length ? ["--target", ...targets] : [])], { timeoutSeconds: 1800 });
};

// What has to be built before a part can run.
const builds = {
  dev: { what: "native core and server, with sanitizers", go: () => cmake("dev") },
  release: { what: "native server", go: () => cmake("release", "postern") },
  wasm: { what: "wasm", go: () => cmake("wasm") },
  js: { what: "JavaScript package", needs: ["wasm"], go: () => run(["npm", "run", "build", "--workspace", "js"]) },
  fuzz: {
    what: "fuzz targets",
    go: async () => {
      const installed = await run(["scripts/setup", "fuzz"]);
      return installed.code === 0 ? cmake("fuzz") : installed;
    },
  },
};

const binary = { POSTERN_BIN: join(root, "build/dev/postern") };

const parts = {
  unit: {
    what: "native core: GoogleTest and the case files",
    needs: ["dev"],
    go: () => googleTest("build/dev/postern_unit", { GTEST_FILTER: "-*Wycheproof*" }),
  },
  compile: { what: "misuse that must not compile", needs: [], go: () => single(["bash", "tests/compile/check.sh"]) },
  structure: { what: "layout rules and formatting", needs: [], go: () => single(["bash", "tests/structure.sh"]) },
  issuer: { what: "the example issuer", needs: [], go: () => nodeTest(["examples/issuer/test"]) },
  js: { what: "the JavaScript package", needs: ["js"], go: () => nodeTest(["js/test"]) },
  wasm: {
    what: "the case files and HMAC through the wasm in Node, P-256 in lanes, short copies",
    needs: ["js"],
    go: () => nodeTest(["tests/runtimes/cases.test.mjs", "tests/runtimes/hmac.test.mjs", "tests/runtimes/ec_lanes.test.mjs", "tests/runtimes/bytes.test.mjs"]),
  },
  wycheproof: {
    what: "outside vectors, natively and through the wasm: counts per file",
    needs: ["dev", "js"],
    go: async () => {
      const native = await googleTest("build/dev/postern_unit", { GTEST_FILTER: "*Wycheproof*" });
      const wasm = await nodeTest(["tests/runtimes/wycheproof.test.mjs"]);
      const counted = (output) => output.match(/wycheproof .* of .*$/gm) ?? [];
      for (const line of [...counted(native.output), ...counted(wasm.output)]) console.log(`      ${line.trim()}`);
      const sum = (key) => native[key] + wasm[key];
      return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped"), output: native.output + wasm.output };
    },
  },
  native: { what: "the native server", needs: ["dev"], go: () => nodeTest(["tests/hosts/native"], { env: binary }) },
  edge: { what: "the worker in workerd", needs: ["js"], go: () => nodeTest(["tests/hosts/edge"]) },
  hosts: { what: "the same requests through both hosts, recorded upstream", needs: ["dev", "js"], go: () => nodeTest(["tests/hosts/both.test.mjs"], { env: binary }) },
  scenarios: {
    what: "LangGraph's auth tutorials through both hosts, and the agent that learns who is calling",
    needs: ["dev", "js"],
    go: () => nodeTest(["tests/scenarios"], { env: binary, timeoutSeconds: 1200 }),
  },
  attacks: { what: "the attack list, through the npm package and the native server", needs: ["dev", "js"], go: () => nodeTest(["tests/attacks"], { env: binary }) },
  jose: { what: "accept and refuse like jose, but for listed exceptions", needs: ["js"], go: () => nodeTest(["tests/differential"]) },
  routes: { what: "every route of both LangGraph servers has a row; bob on alice's things, row by row", needs: ["js"], go: () => nodeTest(["tests/langgraph/routes.test.mjs"], { timeoutSeconds: 180 }) },
  traps: { what: "every known trap of the LangGraph API: through the gate, what reached the server, and without the gate", needs: ["js"], go: () => nodeTest(["tests/langgraph/traps.test.mjs"], { timeoutSeconds: 240 }) },
  conformance: { what: "the SDK's calls through LangGraph's own auth and through the gate, side by side", needs: ["js"], go: () => nodeTest(["tests/langgraph/conformance.test.mjs"], { timeoutSeconds: 360 }) },
  searches: { what: "searches under drawn policies against filtering everything; creation races", needs: ["js"], go: () => nodeTest(["tests/langgraph/searches.test.mjs"], { timeoutSeconds: 180 }) },
  filters: { what: "filters as PostgreSQL, SQLite, LangGraph and Cerbos take them, against the core", needs: ["js"], go: () => nodeTest(["tests/filters"]) },
  differential: {
    what: "the own signature code against OpenSSL: 100,000 cases a curve, half of them for each shape of limbs",
    needs: [],
    go: async () => {
      const names = ["p256-52", "p256-29", "p384-56", "p384-28", "ed25519-51", "ed25519-29"];
      const sum = { passed: 0, failed: 0, skipped: 0, output: "" };
      const { code, output } = await run(["tests/differential/run", "50000", ...names], { env: { POSTERN_DIFFERENTIAL_LOGS: scratch } });
      for (const name of names) {
        const log = existsSync(join(scratch, `${name}.log`)) ? readFileSync(join(scratch, `${name}.log`), "utf8") : `${name}: no log\n`;
        sum.output += log;
        sum[/^exit status 0$/m.test(log) ? "passed" : "failed"] += 1;
        console.log(`      ${log.trim().split("\n").at(-2) ?? log}`);
      }
      if (code !== 0 && sum.failed === 0) sum.failed = 1;
      sum.output += output;
      return sum;
    },
  },
  keys: { what: "the key engine over real HTTP, in both hosts", needs: ["dev", "js"], go: () => nodeTest(["tests/hosts/keys.test.mjs"], { env: binary }) },
  fuzz: { what: "the fuzz targets, ten seconds each", needs: ["fuzz"], go: () => fuzz(10) },
  browser: { what: "the browser page in Chromium", needs: ["js"], go: () => nodeTest(["tests/runtimes/browser.test.mjs"]) },
  "walk-native-js": { what: "both SDKs and RemoteGraphs, native server, LangGraph JS", needs: ["release"], go: () => walkthrough("native", "js") },
  "walk-native-python": { what: "both SDKs and RemoteGraphs, native server, LangGraph Python", needs: ["release"], go: () => walkthrough("native", "python") },
  "walk-edge-js": { what: "both SDKs and RemoteGraphs, workerd, LangGraph JS", needs: ["js"], go: () => walkthrough("edge", "js") },
  "walk-edge-python": { what: "both SDKs and RemoteGraphs, workerd, LangGraph Python", needs: ["js"], go: () => walkthrough("edge", "python") },
};

const words = process.argv.slice(2);
const verbose = words.includes("--verbose");
if (words.includes("--list")) {
  for (const [name, part] of Object.entries(parts)) console.log(`${name.padEnd(20)} ${part.what}`);
  process.exit(0);
}
if (words.includes("--help")) {
  console.log("usage: scripts/test [--list] [--verbose] [PART...]");
  process.exit(0);
}
const wanted = words.filter((word) => !word.startsWith("--"));
const unknown = wanted.filter((name) => !(name in parts));
if (unknown.length > 0) {
  console.error(`no part named ${unknown.join(", ")}; parts: ${Object.keys(parts).join(" ")}`);
  process.exit(2);
}
const chosen = wanted.length > 0 ? wanted : Object.keys(parts);

const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(0)} s`;
const built = new Map();
async function build(name) {
  if (built.has(name)) return built.get(name);
  for (const other of builds[name].needs ?? []) {
    if (!(await build(other))) return false;
  }
  const since = Date.now();
  const { code, output } = await builds[name].go();
  built.set(name, code === 0);
  console.log(`${code === 0 ? "built" : "BUILD FAILED"}  ${builds[name].what}  (${seconds(since)})`);
  if (code !== 0) console.log(output);
  return code === 0;
}

// Whatever a part prints, and whatever the servers that it starts write, is looked through at the end.
process.env.POSTERN_LOGS ??= mkdtempSync(join(tmpdir(), "postern-logs-"));
const printed = new Map();

const total = { passed: 0, failed: 0, skipped: 0 };
for (const name of chosen) {
  const part = parts[name];
  let ready = true;
  for (const need of part.needs) ready = (await build(need)) && ready;
  const since = Date.now();
  const counts = ready ? await part.go() : failure("not built");
  // Where everything can be had, as in CI, a skipped test is a test that went missing.
  if (process.env.CI && counts.skipped > 0) {
    counts.output += `\n${counts.skipped} tests were skipped, which CI does not allow`;
    counts.failed += 1;
  }
  printed.set(name, counts.output);
  const good = counts.failed === 0;
  if (!good && !verbose) console.log(counts.output);
  else if (counts.table && !verbose) console.log(counts.table);
  console.log(`${good ? "ok  " : "FAIL"}  ${name.padEnd(20)} ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped  (${seconds(since)})`);
  for (const key of ["passed", "failed", "skipped"]) total[key] += counts[key];
}
const leaks = [
  ...leaksInFolder(process.env.POSTERN_LOGS, []),
  ...[...printed].flatMap(([name, output]) => leaksIn(output, []).map((what) => `output of ${name}: ${what}`)),
];
total[leaks.length === 0 ? "passed" : "failed"] += 1;
console.log(`${leaks.length === 0 ? "ok  " : "FAIL"}  ${"leaks".padEnd(20)} no log and no output of this run holds a token or a private key`);
for (const leak of leaks) console.log(`      ${leak}`);
if (total.failed > 0) console.log(`logs of what was started: ${process.env.POSTERN_LOGS}`);
else rmSync(process.env.POSTERN_LOGS, { recursive: true, force: true });
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1);
