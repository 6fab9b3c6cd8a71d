// Two people and a real LangGraph server, with the gate between them: alice's things, a look at all of them, and what left the
// gate for the server. The gate is the npm package in this process; the native server decides by the same core.
import { randomBytes, randomUUID } from "node:crypto";
import { Gate } from "postern";
import { jwkSet, makeKey, makeToken } from "../support/tokens.mjs";

const issuer = "https://issuer.example";
const audience = "agents";
const key = makeKey("EdDSA", { kid: "one" });
const now = Math.floor(Date.now() / 1000);
const tokenOf = (sub, more = {}) => makeToken(key, { iss: issuer, aud: audience, sub, iat: now, exp: now + 3600, ...more });

/** @typedef {{ id: string, token: string | undefined }} Person */

/** @param {string} name @param {Record<string, unknown>} [claims] @returns {Person} */
export function person(name, claims) {
  const id = `${name}-${randomBytes(6).toString("hex")}`;
  return { id, token: tokenOf(id, claims) };
}

export const nobody = { id: "nobody", token: undefined };
/** Alice's token with its signature made by another key. @param {Person} victim @returns {Person} */
export const forger = (victim) => ({
  id: "forger",
  token: makeToken(makeKey("EdDSA", { kid: "one" }), { iss: issuer, aud: audience, sub: victim.id, iat: now, exp: now + 3600 }),
});

/** The key that tokens are signed with, as a LangGraph auth handler takes it. */
export const publicJwk = key.jwk;

/**
 * @typedef {object} Reply
 * @property {number} status 0: no answer within the time
 * @property {string} text
 * @property {any} json undefined when the text is none
 * @property {Headers} headers
 *
 * @typedef {object} Question
 * @property {Person} [as]
 * @property {unknown} [body] sent as JSON; a string is sent as it is
 * @property {Record<string, string>} [headers]
 *
 * @typedef {(method: string, target: string, question?: Question) => Promise<Reply>} Send
 */

/** A request by whatever carries it. @param {(request: Request) => Promise<Response>} carry @param {string} origin @returns {Send} */
function sender(carry, origin, timeMs = 30_000) {
  return async (method, target, { as, body, headers = {} } = {}) => {
    const request = new Request(origin + target, {
      method,
      headers: {
        ...(as?.token && { authorization: `Bearer ${as.token}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(timeMs),
    });
    try {
      const response = await carry(request);
      const text = await response.text();
      let json;
      try {
        json = JSON.parse(text);
      } catch {
        // an event stream, or nothing
      }
      return { status: response.status, text, json, headers: response.headers };
    } catch (fault) {
      if (/** @type {Error} */ (fault).name !== "TimeoutError") throw fault;
      return { status: 0, text: "", json: undefined, headers: new Headers() };
    }
  };
}

/** Straight to a server. @param {string} url */
export const straight = (url, timeMs = 30_000) => sender((request) => fetch(request), url, timeMs);

/**
 * The gate in front of a server.
 *
 * @param {string} upstream
 * @param {{ policy?: object, more?: object, between?: (call: Call) => Promise<void> | void }} [options]
 *   `more`: further members of `upstream`; `between`: awaited after each call to the server, before the gate hears of it
 * @typedef {{ method: string, target: string, headers: Record<string, string>, body: any, status: number }} Call
 */
export async function startGate(upstream, { policy, more = {}, between } = {}) {
  /** @type {Call[]} */
  const calls = [];
  const config = {
    issuers: [{ issuer, audience, keys: jwkSet(key) }],
    upstream: { url: upstream, ...more },
    ...(policy && { policy }),
  };
  const gate = await Gate.create(/** @type {any} */ (config), {
    onWarning: () => {},
    // What leaves the gate, written down before it is sent.
    fetch: async (url, init) => {
      const target = String(url).slice(upstream.length);
      const text = init?.body === undefined || init.body === null ? "" : Buffer.from(/** @type {any} */ (init.body)).toString("utf8");
      const call = { method: init?.method ?? "GET", target, headers: Object.fromEntries(new Headers(init?.headers)), body: text === "" ? undefined : JSON.parse(text), status: 0 };
      calls.push(call);
      const response = await fetch(url, init);
      call.status = response.status;
      await between?.(call);
      return response;
    },
  });
  return { gate, calls, send: sender((request) => gate.handle(request), "http://gate.example"), stop: () => gate.close() };
}

/** A text that nobody but alice may read. */
export const canary = () => `canary-${randomUUID()}`;

/**
 * Alice's things: a thread with a run on it, an assistant of two versions, a store item and crons, all with the canary inside.
 *
 * @param {Send} send to where alice may come in @param {Person} alice @param {string} secret @param {"js" | "python"} kind
 */
export async function furnish(send, alice, secret, kind) {
  const ask = async (method, target, body) => {
    const reply = await send(method, target, { as: alice, body });
    if (reply.status < 200 || reply.status > 299) throw new Error(`alice: ${method} ${target}: ${reply.status} ${reply.text}`);
    return reply.json;
  };
  const message = { messages: [{ role: "user", content: secret }] };
  const thread = (await ask("POST", "/threads", { metadata: { mark: secret } })).thread_id;
  await ask("POST", `/threads/${thread}/runs/wait`, { assistant_id: "agent", input: message, metadata: { mark: secret } });
  const run = (await ask("GET", `/threads/${thread}/runs`))[0].run_id;
  const checkpoint = (await ask("GET", `/threads/${thread}/state`)).checkpoint.checkpoint_id;
  const config = { configurable: { secret } };
  const assistant = (await ask("POST", "/assistants", { graph_id: "agent", name: secret, config, metadata: { mark: secret } })).assistant_id;
  await ask("PATCH", `/assistants/${assistant}`, { graph_id: "agent", config, metadata: { mark: secret, version: "two" } });
  const namespace = [alice.id, "memories"];
  await ask("PUT", "/store/items", { namespace, key: "diary", value: { text: secret } });
  const crons = [];
  if (kind === "python") {
    const cron = { schedule: "0 0 1 1 *", assistant_id: "agent", input: message, metadata: { mark: secret } };
    crons.push((await ask("POST", `/threads/${thread}/runs/crons`, cron)).cron_id, (await ask("POST", "/runs/crons", cron)).cron_id);
  }
  return { thread, run, checkpoint, assistant, namespace, key: "diary", crons };
}

/** @typedef {Awaited<ReturnType<typeof furnish>>} Things */

/**
 * All that alice has, and that there is beside what is bob's, as one text: equal before and after, or somebody was there.
 *
 * @param {Send} look straight to the server @param {Person} alice @param {Person} bob @param {Things} things
 * @param {"js" | "python"} kind @param {{ as?: Person }} [who] where the server has auth of its own
 */
export async function look(look, alice, bob, things, kind, who = {}) {
  const parts = [];
  const see = async (method, target, body, keep = (/** @type {any} */ json) => json) => {
    const reply = await look(method, target, { ...who, body });
    parts.push(`${method} ${target} ${reply.status} ${reply.json === undefined ? reply.text : JSON.stringify(keep(reply.json))}`);
  };
  const byId = (list) => [...list].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  const notBobs = (list) => byId(list.filter((one) => one.metadata?.owner !== bob.id));
  const thread = `/threads/${things.thread}`;
  await see("GET", thread);
  await see("GET", `${thread}/state`);
  await see("GET", `${thread}/history?limit=50`);
  await see("GET", `${thread}/runs?limit=50`);
  await see("POST", "/threads/search", { limit: 1000 }, notBobs);
  await see("GET", `/assistants/${things.assistant}`);
  await see("POST", `/assistants/${things.assistant}/versions`, { limit: 100 });
  await see("POST", "/assistants/search", { limit: 1000 }, notBobs);
  await see("POST", "/store/items/search", { namespace_prefix: [alice.id], limit: 1000 }, (json) => byId(json.items));
  await see("POST", "/store/namespaces", { prefix: [alice.id], limit: 1000 }, (json) => byId(json.namespaces ?? json));
  if (kind === "python") await see("POST", "/runs/crons/search", { limit: 1000 }, notBobs);
  return parts.join("\n");
}

/** Every id by which alice's things can be named. @param {Things} things */
export const idsOf = (things) => [things.thread, things.run, things.assistant, ...things.crons];
