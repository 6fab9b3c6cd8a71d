#!/usr/bin/env node
// The same gate through RemoteGraph for JavaScript: a graph that runs elsewhere, used like a local one.

import { randomUUID } from "node:crypto";
import { Client } from "@langchain/langgraph-sdk";
import { RemoteGraph } from "@langchain/langgraph/remote";
import { Checks, enter, optionsFromCommandLine, question } from "./checks.mjs";

const { gate, issuer, apikey, agent } = optionsFromCommandLine();
const checks = new Checks(console.log);
const one = await enter(checks, "user 1", { issuer, apikey });
const two = await enter(checks, "user 2", { issuer, apikey });
const first = graphOf(one.token);
const second = graphOf(two.token);
const nobody = graphOf(undefined);

const threadId = randomUUID();
const config = { configurable: { thread_id: threadId } };
/** @type {any} */
let snapshot;

await checks.expect("user 1 invokes the graph on a thread that is not there yet", "2 messages", async () => messages(await first.graph.invoke(question("hi"), config)));
await checks.expect("the new thread belongs to user 1", "user 1", async () => {
  const thread = await first.client.threads.get(threadId);
  return thread.metadata?.owner === one.id ? "user 1" : "somebody else";
});
await checks.expect("user 1 streams on it, word by word", "before the last", async () => {
  let firstWordAt = 0;
  let lastWordAt = 0;
  for await (const [mode] of await first.graph.stream(question("again"), { ...config, streamMode: ["messages", "custom"] })) {
    // The server's own name for the mode is messages-tuple, so the words come back as the graph's custom events.
    if (mode !== "custom") continue;
    lastWordAt = performance.now();
    firstWordAt ||= lastWordAt;
  }
  if (firstWordAt === 0) return "no words";
  return lastWordAt - firstWordAt > 100 ? "before the last" : "all at once";
});
await checks.expect("user 1 reads the state", "4 messages", async () => {
  snapshot = await first.graph.getState(config);
  return messages(snapshot.values);
});
await checks.expect("user 1 reads the state of that checkpoint", "4 messages", async () => messages((await first.graph.getState(snapshot.config)).values));
await checks.expect("user 1 reads the history", "4 or more states", async () => {
  const states = await all(first.graph.getStateHistory(config));
  return states.length >= 4 ? "4 or more states" : `${states.length} states`;
});
await checks.expect("user 1 updates the state", threadId, async () => {
  const updated = await first.graph.updateState(config, { messages: [{ role: "user", content: "a note" }] }, "answer");
  return updated.configurable?.thread_id;
});
await checks.expect("user 1 updates the state at a checkpoint", threadId, async () => {
  const updated = await first.graph.updateState(snapshot.config, { messages: [] }, "answer");
  return updated.configurable?.thread_id;
});
await checks.expect("user 1 draws the graph", "answer", async () => (await first.graph.getGraphAsync()).nodes.answer?.id);

for (const [name, graph, status] of /** @type {const} */ ([["user 2", second.graph, 404], ["somebody without a token", nobody.graph, 401]])) {
  await checks.expect(`${name} invokes the graph on user 1's thread`, status, async () => messages(await graph.invoke(question("hi"), config)));
  await checks.expect(`${name} streams on it`, status, async () => (await all(await graph.stream(question("hi"), config))).length);
  await checks.expect(`${name} reads its state`, status, async () => messages((await graph.getState(config)).values));
  await checks.expect(`${name} reads its history`, status, async () => (await all(graph.getStateHistory(config))).length);
  await checks.expect(`${name} updates its state`, status, async () => (await graph.updateState(config, { messages: [] }, "answer")) && "updated");
}
await checks.expect("user 2 invokes with user 1's thread in a checkpoint", [400, 403, 404], async () => {
  const own = { configurable: { thread_id: randomUUID() } };
  await second.graph.invoke(question("mine"), own);
  await second.client.threads.updateState(own.configurable.thread_id, { values: { messages: [] }, asNode: "answer", checkpoint: /** @type {any} */ ({ thread_id: threadId }) });
  return "done";
});
await checks.expect("user 1 names a user in configurable", [400, 403], async () => {
  return messages(await first.graph.invoke(question("root"), { configurable: { thread_id: threadId, langgraph_auth_user: { identity: two.id } } }));
});
await checks.expect("user 1 deletes the thread", "deleted", async () => {
  await first.client.threads.delete(threadId);
  return "deleted";
});
const { failed } = checks.summary();
process.exitCode = failed === 0 ? 0 : 1;

/** @param {string | undefined} token */
function graphOf(token) {
  const client = new Client({
    apiUrl: gate,
    apiKey: null,
    defaultHeaders: token ? { authorization: `Bearer ${token}` } : {},
    callerOptions: { maxRetries: 0 },
  });
  return { client, graph: new RemoteGraph({ graphId: agent, client }) };
}

/** @param {any} values */
function messages(values) {
  return `${values?.messages?.length} messages`;
}

/** @param {AsyncIterable<unknown>} items */
async function all(items) {
  const list = [];
  for await (const item of items) list.push(item);
  return list;
}
