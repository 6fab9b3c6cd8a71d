// The two hosts an attack is tried on: the npm package (`authenticate` and `handle`) and the native server, both with the
// same configuration, in front of the same upstream that writes down what reached it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuthError, ConfigError, Gate } from "postern";
import { leaksIn, partsOf } from "../support/leaks.mjs";
import { root, startService } from "../support/services.mjs";

export const hostNames = /** @type {const} */ (["wasm", "native"]);
const binary = process.env.POSTERN_BIN || join(root, "build/release/postern");

const scratch = mkdtempSync(join(tmpdir(), "postern-attacks-"));
process.once("exit", () => rmSync(scratch, { recursive: true, force: true }));
let files = 0;
function writeConfig(config) {
  const file = join(scratch, `config-${files++}.json`);
  writeFileSync(file, typeof config === "string" ? config : JSON.stringify(config));
  return file;
}

/**
 * @typedef {{ status: number, code: string | undefined, headers: [string, string][], text: string }} Reply
 *
 * @typedef {object} Host
 * @property {string} name
 * @property {(method: string, target: string, options?: { headers?: Record<string, string>, body?: string }) => Promise<Reply>} send
 * @property {(token: string) => Promise<{ status: number, code?: string, identity?: string }>} [authenticate]
 * @property {() => string} said what it printed
 * @property {number} [port]
 * @property {() => Promise<void>} stop
 */

/** @param {"wasm" | "native"} name @param {object} config @param {{ now?: () => number }} [options] @returns {Promise<Host>} */
export const startHost = (name, config, options = {}) => (name === "wasm" ? startWasm(config, options) : startNative(config));

/** Why a configuration is refused; undefined when it is not. @param {"wasm" | "native"} name @param {object | string} config */
export async function configFault(name, config) {
  if (name === "native") {
    const { status, stderr } = spawnSync(binary, ["check-config", writeConfig(config)], { encoding: "utf8" });
    return status === 0 ? undefined : stderr;
  }
  try {
    (await Gate.create(/** @type {any} */ (config), { onWarning: () => {} })).close();
    return undefined;
  } catch (fault) {
    assert.ok(fault instanceof ConfigError, "a configuration is refused with a ConfigError");
    return fault.message;
  }
}

/** @param {any} config @param {{ now?: () => number }} options @returns {Promise<Host>} */
async function startWasm(config, options) {
  let said = "";
  // Everything the package prints goes through the console; it may name a fault, never a credential.
  const listen = async (work) => {
    const kept = { warn: console.warn, error: console.error };
    for (const name of Object.keys(kept)) console[name] = (...words) => (said += `${words.map(String).join(" ")}\n`);
    try {
      return await work();
    } finally {
      Object.assign(console, kept);
    }
  };
  const decisions = [];
  const gate = await listen(() => Gate.create(config, { onDecision: (decision) => decisions.push(decision), ...options }));
  const origin = "https://gate.example";
  return {
    name: "wasm",
    async send(method, target, { headers = {}, body } = {}) {
      return listen(async () => {
        const response = await gate.handle(new Request(origin + target, { method, headers, body }));
        const text = await response.text();
        said += JSON.stringify(decisions.splice(0));
        return replyOf(response.status, [...response.headers], text);
      });
    },
    authenticate: (token) =>
      listen(async () => {
        try {
          const user = await gate.authenticate(new Request(origin, { headers: { authorization: `Bearer ${token}` } }));
          return { status: 200, identity: user.identity };
        } catch (fault) {
          assert.ok(fault instanceof AuthError, `${fault}`);
          const leaks = leaksIn(describe(fault), partsOf("the token", token));
          assert.deepEqual(leaks, [], "what is thrown holds nothing of the token");
          return { status: fault.status, code: fault.code };
        }
      }),
    said: () => said,
    stop: async () => gate.close(),
  };
}

/** Everything of an error that somebody could print. @param {any} fault @returns {string} */
function describe(fault) {
  const members = Object.getOwnPropertyNames(fault).map((name) => `${name}: ${fault[name]}`);
  const cause = fault.cause === undefined ? "" : describe(fault.cause);
  return [String(fault), ...members, JSON.stringify([...(fault.headers ?? [])]), cause].join("\n");
}

/** @param {object} config @returns {Promise<Host>} */
async function startNative(config) {
  const service = await startService("gate-native", [
    binary, "serve", "--config", writeConfig(config), "--listen", "127.0.0.1:0", "--log", "debug", "--ready-json",
  ]);
  const agent = new Agent({ keepAlive: true });
  const port = Number(new URL(service.url).port);
  return {
    name: "native",
    port,
    // Not fetch: it would tidy up the target and drop header fields that an attacker may well send.
    send: (method, target, { headers = {}, body } = {}) =>
      new Promise((resolve, reject) => {
        const all = { ...headers, ...(body !== undefined && { "content-length": String(Buffer.byteLength(body)) }) };
        const call = httpRequest({ host: "127.0.0.1", port, agent, method, path: target, headers: all, insecureHTTPParser: false }, (reply) => {
          let text = "";
          reply.setEncoding("utf8");
          reply.on("data", (chunk) => (text += chunk));
          reply.on("error", reject);
          reply.on("end", () => resolve(replyOf(reply.statusCode ?? 0, pairs(reply.rawHeaders), text)));
        });
        call.on("error", reject);
        call.end(body);
      }),
    said: () => "",
    stop: async () => {
      agent.destroy();
      await service.stop();
    },
  };
}

/** @param {number} status @param {[string, string][]} headers @param {string} text @returns {Reply} */
function replyOf(status, headers, text) {
  let code;
  try {
    ({ code } = JSON.parse(text));
  } catch {
    // the upstream's own reply, or none
  }
  return { status, code, headers, text };
}

/** @param {string[]} raw @returns {[string, string][]} */
const pairs = (raw) => raw.flatMap((name, i) => (i % 2 === 0 ? [/** @type {[string, string]} */ ([name, raw[i + 1]])] : []));

/** Sends bytes as they are and gives what came back until the other side closed, or was silent. @param {number} port @param {string} bytes */
export function sendRaw(port, bytes, silenceMs = 1500) {
  return new Promise((resolve) => {
    let text = "";
    let closed = false;
    const socket = net.connect(port, "127.0.0.1", () => socket.write(bytes, "latin1"));
    socket.setEncoding("latin1");
    socket.setTimeout(silenceMs, () => socket.destroy());
    socket.on("data", (chunk) => (text += chunk));
    socket.on("end", () => (closed = true));
    socket.on("error", () => (closed = true));
    socket.on("close", () => resolve({ text, closed, statuses: [...text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map((found) => Number(found[1])) }));
  });
}
