// Starts the parts of a running system (issuer, agent server, gate) and ends them by pid.
// Each part prints one line of JSON, {"ready":true,"url":...}, on its standard output.
import { spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));
const path = (...parts) => join(root, ...parts);

const running = new Set();
function endAll() {
  for (const service of running) service.kill();
}
process.once("exit", endAll);
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    endAll();
    process.exit(signal === "SIGINT" ? 130 : 143);
  });
}

// `logs`: a folder for the part's standard error; default a fresh temporary one.
let logs;
export function logFolder() {
  logs ??= process.env.POSTERN_LOGS || mkdtempSync(join(tmpdir(), "postern-logs-"));
  return logs;
}

/**
 * @param {string} name for errors and the log's file name
 * @param {string[]} command
 * @param {{ env?: Record<string, string>, timeoutSeconds?: number }} [options]
 * @returns {Promise<{ name: string, url: string, pid: number, log: string, stop: () => Promise<void> }>}
 */
export function startService(name, command, { env = {}, timeoutSeconds = 90 } = {}) {
  const log = join(logFolder(), `${name}-${running.size}-${Date.now() % 1e6}.log`);
  const stderr = openSync(log, "a");
  // A group of its own, so that a wrapper's children end with it.
  const child = spawn(command[0], command.slice(1), {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", stderr],
    detached: true,
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const kill = (signal = "SIGTERM") => {
    try {
      process.kill(-child.pid, signal);
    } catch {
      // already gone
    }
  };
  const service = { kill };
  running.add(service);
  exited.then(() => running.delete(service));

  const stop = async () => {
    kill();
    const late = setTimeout(kill, 15_000, "SIGKILL");
    await exited;
    clearTimeout(late);
  };

  return new Promise((resolve, reject) => {
    const tail = () => readFileSync(log, "utf8").split("\n").slice(-20).join("\n");
    const fail = (why) => {
      clearTimeout(timer);
      kill("SIGKILL");
      reject(new Error(`${name} ${why}\n${tail()}`));
    };
    const timer = setTimeout(fail, timeoutSeconds * 1000, `was not ready within ${timeoutSeconds} s`);
    child.once("error", (error) => fail(`could not be started: ${error.message}`));
    const early = (code) => fail(`ended with code ${code} before it was ready`);
    child.once("exit", early);
    let text = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (chunk) => {
      text += chunk;
      for (const line of text.split("\n").slice(0, -1)) {
        if (!line.startsWith("{")) continue;
        let ready;
        try {
          ready = JSON.parse(line);
        } catch {
          continue;
        }
        if (!ready.ready) continue;
        clearTimeout(timer);
        child.removeListener("exit", early);
        resolve({ name, url: ready.url.replace(/\/$/, ""), pid: child.pid, log, stop });
      }
      text = text.slice(text.lastIndexOf("\n") + 1);
    });
  });
}

/** A port that was free a moment ago, for parts that cannot choose their own. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export const startIssuer = (...more) =>
  startService("issuer", [process.execPath, path("examples/issuer/main.mjs"), "--port", "0", ...more]);

/** The real LangGraph server, without auth of its own unless `more` names a handler (--auth FILE). @param {"js" | "python"} kind */
export async function startAgent(kind = "js", env = {}, more = []) {
  const port = String(await freePort());
  const command =
    kind === "js"
      ? [process.execPath, path("examples/agent/start.mjs"), "--port", port]
      : [process.env.POSTERN_PYTHON || "python3", path("examples/agent-python/start.py"), "--port", port];
  return startService(`agent-${kind}`, [...command, ...more], { env, timeoutSeconds: 120 });
}

/** @param {"native" | "edge"} kind */
export async function startGate(kind, { upstream, issuer, audience = "authenticated", args = [] }) {
  const flags = ["--upstream", upstream, "--issuer", issuer, "--audience", audience];
  const jwks = ["--jwks-uri", `${issuer}/.well-known/jwks.json`];
  if (kind === "native") {
    const binary = process.env.POSTERN_BIN || path("build/release/postern");
    return startService("gate-native", [binary, "serve", ...flags, ...jwks, "--listen", "127.0.0.1:0", "--ready-json", ...args]);
  }
  const port = String(await freePort());
  return startService("gate-edge", [process.execPath, path("edge-worker/start.mjs"), "--port", port, ...flags, ...jwks, ...args], {
    timeoutSeconds: 120,
  });
}

/**
 * A gate from variables alone, as from a .env: POSTERN_CONFIG, or POSTERN_UPSTREAM and the rest.
 * @param {"native" | "edge"} kind
 * @param {Record<string, string>} variables
 * @param {number} [port] where a configuration must know it before; else any
 */
export async function startGateFromEnvironment(kind, variables, args = [], port = 0) {
  if (kind === "native") {
    const binary = process.env.POSTERN_BIN || path("build/release/postern");
    return startService("gate-native", [binary, "serve", "--listen", `127.0.0.1:${port}`, "--ready-json", ...args], { env: variables });
  }
  port ||= await freePort();
  const vars = Object.entries(variables).flatMap(([name, value]) => ["--var", `${name}=${value}`]);
  return startService("gate-edge", [process.execPath, path("edge-worker/start.mjs"), "--port", String(port), ...vars, ...args], { timeoutSeconds: 120 });
}

export function removeLogs() {
  if (logs && !process.env.POSTERN_LOGS) rmSync(logs, { recursive: true, force: true });
}
