// What the JS walkthroughs share: one printed line per check, two people at the issuer, and requests whose bytes can be compared.

import { randomBytes, randomUUID } from "node:crypto";
import { parseArgs } from "node:util";

/** Wide enough for the longest check name; the outcomes then stand in one column. */
const nameWidth = 66;

/** Counts and prints. A check passes when it returns what was expected, and fails on anything else, a throw included. */
export class Checks {
  passed = 0;
  failed = 0;

  /** @param {(line: string) => void} print */
  constructor(print) {
    this.print = print;
  }

  /**
   * @param {string} name
   * @param {unknown | unknown[]} expected one value, or a list of which any will do
   * @param {() => unknown} check
   */
  async expect(name, expected, check) {
    const wanted = Array.isArray(expected) ? expected : [expected];
    let got;
    try {
      got = await check();
    } catch (error) {
      got = statusOf(error) ?? `${/** @type {Error} */ (error).name}: ${/** @type {Error} */ (error).message}`.split("\n")[0].slice(0, 160);
    }
    if (wanted.includes(got)) {
      this.passed += 1;
      this.print(`ok   ${name.padEnd(nameWidth)} ${got}`);
      return true;
    }
    this.failed += 1;
    this.print(`FAIL ${name.padEnd(nameWidth)} expected ${wanted.join(" or ")}, got ${got}`);
    return false;
  }

  summary() {
    this.print(`${this.passed} passed, ${this.failed} failed`);
    return { passed: this.passed, failed: this.failed };
  }
}

/** The HTTP status inside an error of the SDK, wherever this version of it keeps it. @param {any} error */
function statusOf(error) {
  if (typeof error?.status === "number") return error.status;
  const inText = /^HTTP (\d{3})\b/.exec(String(error?.message));
  return inText ? Number(inText[1]) : undefined;
}

/**
 * Signs a person up and logs them in, as a browser would.
 *
 * @param {Checks} checks @param {string} name @param {{ issuer: string, apikey: string }} where
 */
export async function enter(checks, name, { issuer, apikey }) {
  const account = { email: `${name.replaceAll(" ", "-")}-${randomBytes(6).toString("hex")}@example.com`, password: randomBytes(18).toString("base64url") };
  const base = `${issuer.replace(/\/+$/, "").replace(/\/auth\/v1$/, "")}/auth/v1`;
  /** @param {string} path */
  const post = (path) =>
    fetch(`${base}${path}`, { method: "POST", headers: { apikey, "content-type": "application/json" }, body: JSON.stringify(account) });

  await checks.expect(`${name} signs up`, 200, async () => (await post("/signup")).status);
  let person = { name, id: "", token: "" };
  await checks.expect(`${name} logs in`, 200, async () => {
    const reply = await post("/token?grant_type=password");
    const session = await reply.json();
    person = { name, id: session.user?.id ?? "", token: session.access_token ?? "" };
    return reply.status;
  });
  if (person.token === "") throw new Error(`${name} has no token; is ${base} the issuer?`);
  return person;
}

/**
 * One request with nothing between it and the wire.
 *
 * @param {string} gate @param {string} method @param {string} path @param {{ token?: string, body?: unknown }} [options]
 */
export async function send(gate, method, path, { token, body } = {}) {
  const reply = await fetch(`${gate}${path}`, {
    method,
    headers: { ...(token && { authorization: `Bearer ${token}` }), ...(body !== undefined && { "content-type": "application/json" }) },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  return { status: reply.status, headers: reply.headers, text: await reply.text() };
}

/** Every routed way to reach a thread by its id. Deleting comes last: on a server without a gate it works. */
export const waysToAThread = [
  { name: "reads", method: "GET", path: "" },
  { name: "reads the state of", method: "GET", path: "/state" },
  { name: "reads a checkpoint of", method: "POST", path: "/state/checkpoint", body: () => ({ checkpoint: { checkpoint_ns: "" } }) },
  { name: "reads the history of", method: "POST", path: "/history", body: () => ({ limit: 10 }) },
  { name: "lists the runs of", method: "GET", path: "/runs?limit=10&offset=0" },
  { name: "reads a run of", method: "GET", path: "/runs/RUN" },
  { name: "joins a run of", method: "GET", path: "/runs/RUN/join" },
  { name: "changes", method: "PATCH", path: "", body: () => ({ metadata: { topic: "taken over" } }) },
  { name: "writes the state of", method: "POST", path: "/state", body: () => ({ values: { messages: [] }, as_node: "answer" }) },
  { name: "starts a run on", method: "POST", path: "/runs", body: (/** @type {string} */ agent) => runBody(agent) },
  { name: "runs and waits on", method: "POST", path: "/runs/wait", body: (/** @type {string} */ agent) => runBody(agent) },
  { name: "streams a run on", method: "POST", path: "/runs/stream", body: (/** @type {string} */ agent) => ({ ...runBody(agent), stream_mode: ["values"] }) },
  {
    name: "runs with if_not_exists=create on",
    method: "POST",
    path: "/runs/wait",
    body: (/** @type {string} */ agent) => ({ ...runBody(agent), if_not_exists: "create" }),
    // For a missing id this one is allowed, and makes the thread: there is nothing to compare with.
    missingIsCreated: true,
  },
  { name: "deletes", method: "DELETE", path: "" },
];

/** @param {string} agent */
const runBody = (agent) => ({ assistant_id: agent, input: question("let me in") });

/** @param {string} content */
export const question = (content) => ({ messages: [{ role: "user", content }] });

/**
 * The same request for somebody else's thread and for one that does not exist must not differ in a byte, or the gate tells
 * which ids are taken. The ids themselves are put aside: a reply may repeat the one it was asked for.
 *
 * @param {string} gate @param {string} token @param {(typeof waysToAThread)[number]} way
 * @param {{ threadId: string, runId: string, agent: string }} foreign
 */
export async function foreignAndMissing(gate, token, way, { threadId, runId, agent }) {
  /** @param {string} thread @param {string} run */
  const ask = async (thread, run) => {
    const reply = await send(gate, way.method, `/threads/${thread}${way.path.replace("RUN", run)}`, { token, body: way.body?.(agent) });
    const text = reply.text.replaceAll(thread, "THREAD").replaceAll(run, "RUN");
    return { status: reply.status, shape: `${reply.status} ${reply.headers.get("content-type")} ${text}` };
  };
  const foreign = await ask(threadId, runId);
  if (way.missingIsCreated) return foreign.status;
  const missing = await ask(randomUUID(), randomUUID());
  if (foreign.status !== missing.status) return `${foreign.status}, for a missing one ${missing.status}`;
  return foreign.shape === missing.shape ? foreign.status : `${foreign.status}, but another body than for a missing one`;
}

/**
 * The options every walkthrough takes.
 *
 * @returns {{ gate: string, issuer: string, apikey: string, agent: string }}
 */
export function optionsFromCommandLine() {
  const { values } = parseArgs({
    options: {
      gate: { type: "string" },
      issuer: { type: "string" },
      apikey: { type: "string", default: "anon" },
      agent: { type: "string", default: "agent" },
    },
  });
  if (!values.gate || !values.issuer) {
    process.stderr.write("usage: --gate URL --issuer URL [--apikey anon] [--agent agent]\n");
    process.exit(2);
  }
  return { gate: values.gate.replace(/\/+$/, ""), issuer: values.issuer, apikey: values.apikey, agent: values.agent };
}
