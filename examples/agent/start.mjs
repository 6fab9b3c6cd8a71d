#!/usr/bin/env node
// Starts the LangGraph JS server for this folder's graph and says when it answers: without auth, or with the handler that
// --auth FILE exports as `auth`. What stands beside that file is copied with it.
//
// The CLI writes its state and a .gitignore line into the project folder, so it gets a fresh temporary copy each time: the
// repository stays clean and every start is an empty server.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { cp, mkdtemp, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
/** A cold start on two busy cores takes about ten seconds. */
const startTimeMsMax = 90_000;
const host = "127.0.0.1";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    project: { type: "string", default: here },  // another folder with langgraph.json and its .mjs files
    auth: { type: "string" },
    verbose: { type: "boolean", default: false },
  },
});
const port = Number(values.port) || (await freePort());
const url = `http://${host}:${port}`;

const folder = await mkdtemp(join(tmpdir(), "postern-agent-"));
const require = createRequire(import.meta.url);
const cli = join(packageFolder("@langchain/langgraph-cli"), "dist/cli/cli.mjs");

for (const name of await readdir(values.project)) {
  if (name.endsWith(".mjs") && name !== "start.mjs") await cp(join(values.project, name), join(folder, name));
}
const settings = JSON.parse(await readFile(join(values.project, "langgraph.json"), "utf8"));
if (values.auth) {
  await cp(dirname(values.auth), folder, { recursive: true });
  settings.auth = { path: `./${basename(values.auth)}:auth` };
}
await writeFile(join(folder, "langgraph.json"), JSON.stringify(settings));
await cp(join(here, "package.json"), join(folder, "package.json"));
// One level above @langchain/langgraph is the folder that holds all packages, hoisted or not.
await symlink(dirname(dirname(packageFolder("@langchain/langgraph"))), join(folder, "node_modules"));

const child = spawn(process.execPath, [cli, "dev", "--no-browser", "--no-reload", "--host", host, "--port", String(port)], {
  cwd: folder,
  // A group of its own: the CLI starts two more processes and does not end them when it is ended itself.
  detached: true,
  stdio: ["ignore", "pipe", "pipe"],
  env: {
    PATH: process.env.PATH,
    HOME: folder,
    NODE_ENV: "development",
    BROWSER: "none",
    LANGGRAPH_CLI_NO_ANALYTICS: "1",
    LANGSMITH_TRACING: "false",
    LANGCHAIN_TRACING_V2: "false",
    AGENT_WORD_DELAY_MS: process.env.AGENT_WORD_DELAY_MS ?? "40",
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(POSTERN_ASSERTION|SUPABASE)_/.test(name))),
  },
});

let log = "";
for (const stream of [child.stdout, child.stderr]) {
  stream.on("data", (chunk) => {
    if (values.verbose) process.stderr.write(chunk);
    log = (log + chunk).slice(-8_000);
  });
}

// Holds a pipe to this process. When this process is gone, however it went, the pipe closes and the guard ends the group.
const guard = spawn("sh", ["-c", `read -r _; kill -s KILL -- -${child.pid}`], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
guard.unref();

process.on("exit", () => {
  try {
    process.kill(-(/** @type {number} */ (child.pid)), "SIGKILL");
  } catch {
    // already gone
  }
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) process.once(signal, () => process.exit(0));
child.on("exit", (code) => {
  process.stderr.write(`agent: the server ended (${code})\n${values.verbose ? "" : log}`);
  process.exit(1);
});

const deadline = Date.now() + startTimeMsMax;
while (!(await answers())) {
  if (Date.now() > deadline) {
    process.stderr.write(`agent: no answer on ${url}/info\n${log}`);
    process.exit(1);
  }
  await new Promise((resolve) => setTimeout(resolve, 150));
}
process.stdout.write(`${JSON.stringify({ ready: true, url, pid: child.pid })}\n`);

/** Not /ok: with auth that is 401. */
async function answers() {
  try {
    return (await fetch(`${url}/info`, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}

/** @param {string} name */
function packageFolder(name) {
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      return dirname(require.resolve(join(folder, name, "package.json")));
    } catch {
      // not in this one
    }
  }
  process.stderr.write(`agent: ${name} is not installed; run npm install at the root of the repository\n`);
  process.exit(1);
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, host, () => {
      const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}
