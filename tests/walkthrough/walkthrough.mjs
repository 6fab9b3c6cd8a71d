#!/usr/bin/env node
// Two people, one agent server, one gate: the whole story with the LangGraph SDK for JavaScript.
//
// `walkthrough(options)` is what scripts/demo runs; from the command line it takes --gate URL --issuer URL.

import { randomUUID } from "node:crypto";
import { pathToFileURL } from "node:url";
import { Client } from "@langchain/langgraph-sdk";
import { Checks, enter, foreignAndMissing, optionsFromCommandLine, question, send, waysToAThread } from "./checks.mjs";

/**
 * @param {{ gate: string, issuer: string, apikey?: string, agent?: string, print?: (line: string) => void }} options
 * @returns {Promise<{ passed: number, failed: number }>}
 */
export async function walkthrough({ gate, issuer, apikey = "anon", agent = "agent", print = console.log }) {
  const checks = new Checks(print);
  const one = await enter(checks, "user 1", { issuer, apikey });
  const two = await enter(checks, "user 2", { issuer, apikey });
  const first = clientOf(gate, one.token);
  const second = clientOf(gate, two.token);

  await checks.expect("user 1 lists the assistants, the agent is among them", 200, async () => {
    const found = await first.client.assistants.search({ graphId: agent });
    return found.some((assistant) => assistant.graph_id === agent) ? first.status() : "not among them";
  });
  const assistants = await first.client.assistants.search({ graphId: agent }).catch(() => []);
  const assistantId = assistants[0]?.assistant_id ?? agent;
  await checks.expect("user 1 reads the agent's assistant", 200, async () => {
    const assistant = await first.client.assistants.get(assistantId);
    return assistant.graph_id === agent ? first.status() : "another assistant";
  });

  // A thread of one's own.
  let threadId = String(randomUUID());
  await checks.expect("user 1 creates a thread", 200, async () => {
    const thread = await first.client.threads.create({ metadata: { topic: "walk", owner: two.id } });
    threadId = thread.thread_id;
    return first.status();
  });
  await checks.expect("the owner that user 1 sent is overwritten", "user 1", async () => {
    const thread = await first.client.threads.get(threadId);
    return thread.metadata?.owner === one.id && thread.metadata?.topic === "walk" ? "user 1" : "somebody else";
  });

  // A chat.
  let runId = String(randomUUID());
  await checks.expect("user 1 streams a run, word by word", 200, async () => {
    const told = await streamedWords(first, threadId, agent);
    runId = told.runId ?? runId;
    if (told.words < 5) return `${told.words} words`;
    return told.wordsWhileRunning ? first.status() : "the first word came when the run was over";
  });
  await checks.expect("user 1 runs again and waits for the answer", 200, async () => {
    const values = /** @type {any} */ (await first.client.runs.wait(threadId, agent, { input: question("and again") }));
    return values.messages?.length === 4 ? first.status() : `${values.messages?.length} messages`;
  });
  await checks.expect("user 1 starts a run and joins it", 200, async () => {
    const run = await first.client.runs.create(threadId, agent, { input: question("in the background"), metadata: { owner: two.id } });
    const values = /** @type {any} */ (await first.client.runs.join(threadId, run.run_id));
    return values.messages?.length === 6 ? first.status() : `${values.messages?.length} messages`;
  });
  await checks.expect("user 1 reads the state", 200, async () => {
    const state = await first.client.threads.getState(threadId);
    return /** @type {any} */ (state.values).messages?.length === 6 ? first.status() : "another state";
  });
  await checks.expect("user 1 reads the history", 200, async () => {
    const history = await first.client.threads.getHistory(threadId);
    return history.length >= 6 ? first.status() : `${history.length} states`;
  });
  await checks.expect("user 1 lists the runs", 200, async () => {
    const runs = await first.client.runs.list(threadId);
    return runs.length === 3 && runs.some((run) => run.run_id === runId) ? first.status() : `${runs.length} runs`;
  });
  await checks.expect("user 1 reads a run", 200, async () => {
    const run = await first.client.runs.get(threadId, runId);
    return run.status === "success" ? first.status() : run.status;
  });
  await checks.expect("user 1 changes the thread, and still owns it", 200, async () => {
    await first.client.threads.update(threadId, { metadata: { topic: "changed", owner: two.id } });
    const thread = await first.client.threads.get(threadId);
    return thread.metadata?.owner === one.id && thread.metadata?.topic === "changed" ? first.status() : "another owner or topic";
  });
  await checks.expect("user 1 searches and finds the thread", "found", async () => ((await found(first, {})).includes(threadId) ? "found" : "not found"));

  // Nobody.
  for (const [name, token] of /** @type {const} */ ([
    ["without a token", undefined],
    ["with a token that is none", "nonsense"],
    ["with a token one bit away", oneBitAway(one.token)],
  ])) {
    await checks.expect(`reading the thread ${name}`, "401 Bearer", async () => {
      const reply = await send(gate, "GET", `/threads/${threadId}`, { token });
      return `${reply.status} ${(reply.headers.get("www-authenticate") ?? "and no WWW-Authenticate").split(" ")[0]}`;
    });
  }
  await checks.expect("searching without a token", 401, async () => (await send(gate, "POST", "/threads/search", { body: {} })).status);
  await checks.expect("starting a run without a token", 401, async () => {
    return (await send(gate, "POST", `/threads/${threadId}/runs`, { body: { assistant_id: agent, input: question("hello") } })).status;
  });

  // Somebody else.
  let ownOfTwo = String(randomUUID());
  await checks.expect("user 2 creates a thread", 200, async () => {
    ownOfTwo = (await second.client.threads.create()).thread_id;
    return second.status();
  });
  await checks.expect("user 2 searches and finds that one alone", "1 thread", async () => {
    const ids = await found(second, {});
    return ids.includes(threadId) ? "user 1's thread" : ids.includes(ownOfTwo) ? `${ids.length} thread${ids.length === 1 ? "" : "s"}` : "not even that";
  });
  for (const [name, metadata] of /** @type {const} */ ([["its topic", { topic: "changed" }], ["its owner", { owner: one.id }]])) {
    await checks.expect(`user 2 searches for user 1's thread by ${name}`, "not found", async () => {
      return (await found(second, { metadata })).includes(threadId) ? "found" : "not found";
    });
  }
  await checks.expect("user 2 searches for user 1's thread by its id", "not found", async () => {
    return (await found(second, { ids: [threadId] })).includes(threadId) ? "found" : "not found";
  });
  await checks.expect("user 2 reads user 1's thread with the SDK", 404, async () => {
    await second.client.threads.get(threadId);
    return second.status();
  });
  for (const ifExists of /** @type {const} */ (["raise", "do_nothing"])) {
    await checks.expect(`user 2 creates a thread with user 1's id (${ifExists})`, 409, async () => {
      await second.client.threads.create({ threadId, ifExists });
      return second.status();
    });
  }
  await checks.expect("user 2 reads user 1's thread under another spelling", [400, 403, 404], async () => {
    return (await send(gate, "GET", `/%74hreads/${threadId}`, { token: two.token })).status;
  });
  for (const way of waysToAThread) {
    await checks.expect(`user 2 ${way.name} user 1's thread`, 404, () => foreignAndMissing(gate, two.token, way, { threadId, runId, agent }));
  }
  await checks.expect("after all that, user 1's thread is as it was", "changed, 6 messages, 3 runs", async () => {
    const thread = await first.client.threads.get(threadId);
    const state = await first.client.threads.getState(threadId);
    const runs = await first.client.runs.list(threadId);
    return `${thread.metadata?.topic}, ${/** @type {any} */ (state.values).messages?.length} messages, ${runs.length} runs`;
  });

  // What no client may say, even about a thread of its own.
  const run = { assistant_id: agent, input: question("please") };
  for (const [name, body] of /** @type {const} */ ([
    ["configurable.langgraph_auth_user", { ...run, config: { configurable: { langgraph_auth_user: { identity: two.id } } } }],
    ["configurable.langgraph_auth_user_id", { ...run, config: { configurable: { langgraph_auth_user_id: two.id } } }],
    ["context.langgraph_auth_user", { ...run, context: { langgraph_auth_user: { identity: two.id } } }],
    ["configurable.thread_id of another thread", { ...run, config: { configurable: { thread_id: ownOfTwo } } }],
    ["webhook", { ...run, webhook: "/threads" }],
    ["checkpoint_id", { ...run, checkpoint_id: randomUUID() }],
    ["a field nobody knows", { ...run, surprise: true }],
  ])) {
    await checks.expect(`user 1 starts a run with ${name}`, [400, 403], async () => {
      return (await send(gate, "POST", `/threads/${threadId}/runs`, { token: one.token, body })).status;
    });
  }
  await checks.expect("user 1 writes the state with user 2's thread in checkpoint", [400, 403, 404], async () => {
    const body = { values: { messages: [] }, as_node: "answer", checkpoint: { thread_id: ownOfTwo } };
    return (await send(gate, "POST", `/threads/${threadId}/state`, { token: one.token, body })).status;
  });
  await checks.expect("user 1 runs an assistant that nobody knows", [400, 403, 404], async () => {
    return (await send(gate, "POST", `/threads/${threadId}/runs`, { token: one.token, body: { ...run, assistant_id: randomUUID() } })).status;
  });
  await checks.expect("user 1 reads an assistant that nobody knows", [403, 404], async () => {
    return (await send(gate, "GET", `/assistants/${randomUUID()}`, { token: one.token })).status;
  });

  // The end.
  await checks.expect("user 1 deletes the thread", 204, async () => {
    await first.client.threads.delete(threadId);
    return first.status();
  });
  await checks.expect("user 1 reads the deleted thread", 404, async () => {
    await first.client.threads.get(threadId);
    return first.status();
  });
  await checks.expect("user 2 deletes the other one", 204, async () => {
    await second.client.threads.delete(ownOfTwo);
    return second.status();
  });
  return checks.summary();
}

/** A client as an application makes one, with an ear on the status of its last reply. @param {string} gate @param {string} token */
function clientOf(gate, token) {
  let status = 0;
  const client = new Client({
    apiUrl: gate,
    apiKey: null,
    defaultHeaders: { authorization: `Bearer ${token}` },
    callerOptions: {
      maxRetries: 0,
      fetch: async (/** @type {any} */ url, /** @type {any} */ init) => {
        const reply = await fetch(url, init);
        status = reply.status;
        return reply;
      },
    },
  });
  return { client, status: () => status };
}

/**
 * Streams a run. On the first word the run is looked up: had the gate kept the words back, it would be over by then.
 *
 * @param {ReturnType<typeof clientOf>} who @param {string} threadId @param {string} agent
 */
async function streamedWords({ client }, threadId, agent) {
  let words = 0;
  let wordsWhileRunning = false;
  /** @type {string | undefined} */
  let runId;
  for await (const event of client.runs.stream(threadId, agent, { input: question("hello there"), streamMode: ["messages-tuple", "values"] })) {
    if (event.event === "metadata") runId = /** @type {any} */ (event.data).run_id;
    if (event.event === "error") throw new Error("the stream told an error");
    if (event.event !== "messages") continue;
    words += 1;
    if (words === 1 && runId) wordsWhileRunning = (await client.runs.get(threadId, runId)).status !== "success";
  }
  return { words, wordsWhileRunning, runId };
}

/** @param {ReturnType<typeof clientOf>} who @param {Record<string, unknown>} query */
async function found({ client }, query) {
  return (await client.threads.search({ limit: 100, ...query })).map((thread) => thread.thread_id);
}

/** The last signature character holds unused bits in some algorithms, so one in the middle is changed. @param {string} token */
function oneBitAway(token) {
  const at = token.lastIndexOf(".") + 20;
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return token.slice(0, at) + alphabet[alphabet.indexOf(token[at]) ^ 1] + token.slice(at + 1);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { failed } = await walkthrough(optionsFromCommandLine());
  process.exitCode = failed === 0 ? 0 : 1;
}
