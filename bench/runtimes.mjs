// Starts the agent in each runtime: an object with `ask(order)`, which answers what agents/agent.mjs answers, and `stop()`.
import { spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { Agent, createServer, request } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { configuration } from "./configuration.mjs";
import { freePort, root } from "../tests/support/services.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
// esbuild and workerd are those that wrangler brings: what is measured is what it would deploy and run.
const ofWrangler = createRequire(createRequire(import.meta.url).resolve("wrangler/package.json"));
const { build } = ofWrangler("esbuild");
// Where scripts/setup bench puts what is in runtimes/package.json.
const installed = (name) => join(process.env.POSTERN_RUNTIMES ?? join(here, "runtimes"), "node_modules", name);
// The compiler of the release preset is the one that counts; the other of the two is measured beside it.
const compilerOf = (folder) => {
  const file = join(root, "build", folder, "CMakeCache.txt");
  return existsSync(file) && /^CMAKE_CXX_COMPILER:.*clang/m.test(readFileSync(file, "utf8")) ? "clang" : "gcc";
};
const otherCompiler = compilerOf("release") === "gcc" ? "clang" : "gcc";
export const programs = {
  native: join(root, "build/release/postern_bench"),
  other: join(root, "build/release-other/postern_bench"),
  node24: installed("node/bin/node"),
  deno: installed(".bin/deno"),
  bun: installed(".bin/bun"),
  chromium: process.env.POSTERN_CHROMIUM || "/usr/bin/chromium",
};
export const workerd = ofWrangler("workerd").default;
const startLimitMs = 60_000;

/** Lines in, lines out. @param {string[]} command */
function lines(command, parse = JSON.parse, write = JSON.stringify) {
  const child = spawn(command[0], command.slice(1), { cwd: root, stdio: ["pipe", "pipe", "inherit"] });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  let waiting;
  const ended = (why) => waiting?.reject(new Error(`${basename(command[0])} ended: ${why}`));
  child.once("error", (fault) => ended(fault.message));
  child.once("exit", (code, signal) => ended(code ?? signal));
  createInterface({ input: child.stdout }).on("line", (line) => waiting?.resolve(parse(line)));
  return {
    ask(order) {
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        child.stdin.write(`${write(order)}\n`);
      });
    },
    async stop() {
      child.stdin.end();
      kill();
    },
  };
}

/** One file for the web-like runtimes. @param {string} entry @param {string[]} conditions @param {string} to */
export async function bundle(entry, conditions, to, { minify = false } = {}) {
  await build({
    entryPoints: [entry], outfile: to, bundle: true, format: "esm", target: "es2022", conditions, minify, logLevel: "warning",
    external: ["./core.wasm", "cloudflare:workers"],
  });
}

export const coreWasm = join(root, "js/dist/core.wasm");

/** A workerd that serves `script`; `begun` is when it was started, by performance.now(). @returns {Promise<{ port: number, begun: number, ended: () => boolean, stop: () => Promise<void> }>} */
export async function startWorkerd(scratch, script, { wasm = true, bindings = "" } = {}) {
  const port = await freePort();
  const modules = [`(name = "worker.js", esModule = embed "${basename(script)}")`];
  if (wasm) {
    writeFileSync(join(scratch, "core.wasm"), readFileSync(coreWasm));
    modules.push('(name = "./core.wasm", wasm = embed "core.wasm")');
  }
  const config = join(scratch, `${basename(script)}.capnp`);
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [${modules.join(", ")}], compatibilityDate = "2026-04-01"${bindings}))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]
);\n`,
  );
  const begun = performance.now();
  const child = spawn(workerd, ["serve", config], { cwd: scratch, stdio: ["ignore", "inherit", "inherit"] });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  return { port, begun, ended: () => child.exitCode !== null, async stop() { kill(); await exited; process.removeListener("exit", kill); } };
}

export function post(port, agent, body) {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, method: "POST", agent, headers: { "content-length": Buffer.byteLength(body) } }, (reply) => {
      const parts = [];
      reply.on("data", (part) => parts.push(part));
      reply.on("end", () => resolve(Buffer.concat(parts).toString()));
      reply.on("error", reject);
    });
    // workerd closes a connection that was idle: that order never got there.
    sent.on("error", (fault) => (sent.reusedSocket && fault.code === "ECONNRESET" ? resolve(post(port, agent, body)) : reject(fault)));
    sent.end(body);
  });
}

async function inWorkerd() {
  const scratch = mkdtempSync(join(tmpdir(), "postern-bench-"));
  const script = join(scratch, "worker.js");
  await bundle(join(here, "agents/worker.mjs"), ["workerd", "worker", "browser"], script);
  const service = await startWorkerd(scratch, script);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const send = async (order) => {
    const body = JSON.stringify(order);
    const begun = performance.now();
    const text = await post(service.port, agent, body);
    return { us: (performance.now() - begun) * 1000, ...JSON.parse(text) };
  };
  const until = Date.now() + startLimitMs;
  for (;;) {
    try {
      await send({ order: "nothing" });
      break;
    } catch (fault) {
      if (Date.now() > until || service.ended()) throw fault;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return {
    async ask(order) {
      if (order.order !== "run") return send(order);
      // What the way there and back takes is not the worker's.
      const empty = [];
      for (let i = 0; i < 5; i++) empty.push((await send({ order: "nothing" })).us);
      const answer = await send(order);
      return { ...answer, us: answer.us - empty.sort((a, b) => a - b)[2] };
    },
    async stop() {
      agent.destroy();
      await service.stop();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

async function inChromium() {
  const scratch = mkdtempSync(join(tmpdir(), "postern-bench-"));
  await bundle(join(here, "agents/page.mjs"), ["browser"], join(scratch, "page.js"));
  const files = {
    "/": ["text/html", () => "<!doctype html><script type=module src=page.js></script>"],
    "/page.js": ["text/javascript", () => readFileSync(join(scratch, "page.js"))],
    "/core.wasm": ["application/wasm", () => readFileSync(coreWasm)],
  };
  const server = createServer((request, reply) => {
    const [type, content] = files[request.url] ?? [];
    if (!type) return reply.writeHead(404).end();
    reply.writeHead(200, { "content-type": type }).end(content());
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { chromium } = await import("playwright-core");
  const browser = await chromium.launch({
    executablePath: programs.chromium,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => "ask" in globalThis, undefined, { timeout: startLimitMs });
  return {
    ask: (order) => page.evaluate((order) => globalThis.ask(order).then((answer) => answer, (fault) => ({ fault: String(fault?.stack ?? fault) })), order),
    async stop() {
      await browser.close();
      server.closeAllConnections();
      server.close();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

/** bench/native: the same orders as lines of words, and the suite as a file. */
function natively(binary) {
  const scratch = mkdtempSync(join(tmpdir(), "postern-bench-"));
  const suiteFile = join(scratch, "suite");
  const program = lines([binary], JSON.parse, ({ order, name, peer, kind, indices }) => {
    if (order === "load") return `load ${name} ${kind} ${suiteFile}`;
    if (order === "prepare") return `prepare ${name} ${peer} ${indices}`;
    return order;
  });
  return {
    async ask(order) {
      if (order.order === "load") {
        const { alg, jwks, pems, tokens } = order.suite;
        const { text, env } = configuration(order.suite);
        const file = openSync(suiteFile, "w", 0o600);
        const put = (...rows) => writeSync(file, rows.map((row) => `${row}\n`).join(""));
        put(`alg ${alg}`, `config ${text}`, ...Object.entries(env).map(([name, value]) => `env ${name} ${value}`));
        put(...jwks.map(({ kid }, i) => `key ${kid} ${pems[i].replaceAll("\n", "\\n")}`));
        // A million tokens are more than one string holds.
        for (let from = 0; from < tokens.length; from += 10_000) {
          put(...tokens.slice(from, from + 10_000).map(({ key, good, subject, text }) => `token ${key} ${Number(good)} ${subject} ${text}`));
        }
        closeSync(file);
      }
      return program.ask(order);
    },
    async stop() {
      await program.stop();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

const stdio = join(here, "agents/stdio.mjs");

/** From the program itself, which compilers sign. */
function compilerVersion(program) {
  const text = readFileSync(program, "latin1");
  return (/clang version (\d+\.\d+\.\d+)/.exec(text) ?? /GCC: \([^)]*\) (\d+\.\d+\.\d+)/.exec(text))?.[1] ?? "unknown";
}

/** By the name that stands in the result's key. `version` is what the runtime says of itself. */
export const runtimes = {
  native: { program: programs.native, start: () => natively(programs.native), sequential: true },
  [`native-${otherCompiler}`]: { program: programs.other, start: () => natively(programs.other), sequential: true },
  node20: { start: () => lines([process.execPath, "--no-warnings", stdio, "--node-peers"]), version: () => process.versions.node },
  node24: { program: programs.node24, start: () => lines([programs.node24, "--no-warnings", stdio, "--node-peers"]) },
  deno: { program: programs.deno, start: () => lines([programs.deno, "run", "--no-config", "--node-modules-dir=manual", "--allow-all", stdio]) },
  bun: { program: programs.bun, start: () => lines([programs.bun, "run", stdio]) },
  // Timed from outside: longer slices, so that the way there and back weighs less.
  workerd: { program: workerd, start: inWorkerd, slices: 3 },
  chromium: { program: programs.chromium, start: inChromium },
};

/** The first version number that the program prints; nothing where it is not installed. */
export function versionOf(name) {
  const { version, program } = runtimes[name];
  if (version) return version();
  if (!existsSync(program)) return undefined;
  if (name.startsWith("native")) return compilerVersion(program);
  const { stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
  return /\d+(\.\d+)+|\d{4}-\d\d-\d\d/.exec(stdout ?? "")?.[0];
}
