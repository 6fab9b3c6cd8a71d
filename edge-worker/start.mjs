// Starts the worker in a local workerd, with no account, and says when it answers:
//
//   node start.mjs --port N --upstream URL --issuer URL --audience NAME [--jwks-uri URL]
//   node start.mjs --port N --var NAME=VALUE...      as a .env has them: POSTERN_UPSTREAM, SUPABASE_URL, ..., or POSTERN_CONFIG
//                  [--script FILE] [--kv NAME] [--persist-to FOLDER] [--compatibility-date DATE] [--compatibility-flag FLAG]... [--verbose]
//
// --script runs another worker than src/worker.ts, with the same variables. --persist-to keeps the local Cache API's
// content, and with it the issuer's keys, from one start to the next. --kv binds a local KV namespace, such as DENYLIST.
// Prints one line {"ready":true,"url":"..."} on stdout. SIGTERM or SIGINT ends workerd and then this.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const usage = "usage: node start.mjs --port N --upstream URL --issuer URL --audience NAME [--jwks-uri URL]";
const readyWithinMs = 60_000;

let values;
try {
  ({ values } = parseArgs({
    options: {
      "port": { type: "string" },
      "upstream": { type: "string" },
      "issuer": { type: "string" },
      "audience": { type: "string" },
      "jwks-uri": { type: "string", default: "" },
      "var": { type: "string", multiple: true, default: [] },
      "script": { type: "string" },
      "kv": { type: "string", multiple: true, default: [] },
      "persist-to": { type: "string" },
      "compatibility-date": { type: "string" },
      "compatibility-flag": { type: "string", multiple: true, default: [] },
      "verbose": { type: "boolean", default: false },
    },
  }));
} catch (fault) {
  exitWith(`${fault.message}\n${usage}`);
}
const given = values.var.map((pair) => /^([A-Za-z_][A-Za-z0-9_]*)=([^]*)$/.exec(pair)?.slice(1) ?? exitWith(`--var ${pair}: write NAME=VALUE`));
const fromEnvironment = given.some(([name]) => name === "POSTERN_CONFIG" || name === "POSTERN_UPSTREAM");
for (const name of fromEnvironment ? ["port"] : ["port", "upstream", "issuer", "audience"]) {
  if (values[name] === undefined) exitWith(`--${name} is missing\n${usage}`);
}

function exitWith(text) {
  console.error(text);
  process.exit(2);
}

const here = dirname(fileURLToPath(import.meta.url));
const url = `http://127.0.0.1:${values.port}`;
const scratch = mkdtempSync(join(tmpdir(), "postern-edge-"));
// The file that wrangler's own start script runs: one process less to end.
const wrangler = join(dirname(createRequire(import.meta.url).resolve("wrangler/package.json")), "wrangler-dist/cli.js");
const variables = {
  ...(!fromEnvironment && {
    UPSTREAM_URL: values.upstream, ISSUER: values.issuer, AUDIENCE: values.audience, JWKS_URI: values["jwks-uri"],
  }),
  ...Object.fromEntries(given),
};
// wrangler takes bindings from its file alone.
let config = join(here, "wrangler.jsonc");
if (values.kv.length > 0) {
  const bindings = values.kv.map((binding) => ({ binding, id: binding.toLowerCase() }));
  const text = readFileSync(config, "utf8")
    .replace("{", `{ "kv_namespaces": ${JSON.stringify(bindings)},`)
    .replace('"main": "', `"main": "${here}/`);
  config = join(scratch, "wrangler.jsonc");
  writeFileSync(config, text);
}
const child = spawn(
  process.execPath,
  [
    "--no-warnings", wrangler, "dev", ...(values.script ? [resolve(values.script)] : []),
    "--config", config, "--local", "--ip", "127.0.0.1", "--port", values.port, "--inspector-port", "0",
    "--show-interactive-dev-session=false", "--log-level", values.verbose ? "info" : "warn",
    "--persist-to", resolve(values["persist-to"] ?? join(scratch, "state")),
    ...Object.entries(variables).flatMap(([name, value]) => ["--var", `${name}:${value}`]),
    ...(values["compatibility-date"] ? ["--compatibility-date", values["compatibility-date"]] : []),
    ...values["compatibility-flag"].flatMap((flag) => ["--compatibility-flags", flag]),
  ],
  {
    cwd: here,
    detached: true,  // a process group of its own, so that nothing wrangler started outlives it
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      CI: "1",
      NO_COLOR: "1",
      WRANGLER_SEND_METRICS: "false",
      WRANGLER_LOG_PATH: join(scratch, "logs"),
      CLOUDFLARE_CF_FETCH_ENABLED: "false",  // nothing leaves this machine
    },
  },
);

// Shown when it does not start, or with --verbose.
let said = "";
for (const stream of [child.stdout, child.stderr]) {
  stream.setEncoding("utf8");
  stream.on("data", (text) => {
    if (values.verbose) process.stderr.write(text);
    else said = (said + text).slice(-8_000);
  });
}

let ending = false;
function end(status) {
  if (ending) return;
  ending = true;
  const finish = () => {
    endGroup("SIGKILL");
    rmSync(scratch, { recursive: true, force: true });
    process.exit(status);
  };
  if (child.exitCode !== null || child.signalCode !== null) return finish();
  child.once("exit", finish);
  child.kill("SIGTERM");
  setTimeout(() => endGroup("SIGKILL"), 5_000).unref();
}
function endGroup(signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // all of them have ended
  }
}
process.on("SIGINT", () => end(0));
process.on("SIGTERM", () => end(0));
child.once("exit", (code) => {
  if (ending) return;
  console.error(`the worker ended (${code}):\n${said}`);
  end(1);
});

const startedAt = Date.now();
for (;;) {
  // Any answer is one: without a token the gate refuses, and it must itself be up to do so.
  const answer = await fetch(`${url}/threads`, { method: "GET", signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  if (answer !== undefined && answer.status < 500) break;
  if (Date.now() - startedAt > readyWithinMs) {
    console.error(`the worker did not answer within ${readyWithinMs / 1000} s:\n${said}`);
    end(1);
    break;
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
}
if (!ending) console.log(JSON.stringify({ ready: true, url }));
