// A stand-in for a LangGraph server that writes down every request, byte for byte, and answers in the server's shape.
//
// What a gate lets through is proved by what arrived here: the raw target, the header lines as they were sent and the body's
// bytes are kept before anything is parsed. It checks nobody: like the real server without auth, it trusts its caller.

import { createServer } from "node:http";
import { randomUUID } from "node:crypto";

/** The id both real servers give the assistant of a graph named "agent". */
export const systemAssistantId = "fe096781-5601-53d2-b2f6-0d3403f7e9ca";
/** Tests send kilobytes; more is a test gone wrong. */
const bodyBytesMax = 4 * 1024 * 1024;

/**
 * @typedef {object} RecordedRequest
 * @property {string} method
 * @property {string} target as on the request line, query included
 * @property {[string, string][]} headers as they came: order, case and repetition kept
 * @property {Buffer} body
 * @property {any} json the parsed body, undefined when it is none
 * @property {(name: string) => string[]} header every value of one header
 * @property {number} at milliseconds on the performance clock
 *
 * @typedef {object} Thread
 * @property {string} thread_id
 * @property {Record<string, any>} metadata
 * @property {Record<string, any>} values
 * @property {Map<string, any>} runs
 * @property {any[]} history newest first
 * @property {string} created_at
 * @property {string} updated_at
 *
 * @typedef {object} RecordingUpstreamOptions
 * @property {number} [port]
 * @property {number} [wordDelayMs] between two events of a stream
 * @property {string[]} [words] what a stream tells
 * @property {string} [graph]
 * @property {(request: RecordedRequest, reply: import("node:http").ServerResponse) => boolean | Promise<boolean>} [intercept]
 *           asked first; true when it has answered itself (errors, odd replies, hang-ups)
 */

/** @param {RecordingUpstreamOptions} [options] */
export async function startRecordingUpstream(options = {}) {
  /** @type {RecordedRequest[]} */
  const requests = [];
  /** @type {Map<string, Thread>} */
  const threads = new Map();
  /** @type {Set<string>} ids of runs whose stream was left before its end */
  const abandoned = new Set();
  const graph = options.graph ?? "agent";
  const words = options.words ?? ["You ", "said ", "something."];
  const wordDelayMs = options.wordDelayMs ?? 20;
  const now = () => new Date().toISOString();
  const assistant = {
    assistant_id: systemAssistantId,
    graph_id: graph,
    config: {},
    context: {},
    metadata: { created_by: "system" },
    name: graph,
    description: null,
    created_at: now(),
    updated_at: now(),
    version: 1,
  };

  /** @param {string} id @param {Record<string, any>} metadata @returns {Thread} */
  const makeThread = (id, metadata) => {
    const thread = { thread_id: id, metadata, values: { messages: [] }, runs: new Map(), history: [], created_at: now(), updated_at: now() };
    threads.set(id, thread);
    return thread;
  };

  /** @param {Thread} thread */
  const threadView = ({ thread_id, metadata, values, created_at, updated_at }) => ({
    thread_id,
    created_at,
    updated_at,
    metadata,
    status: "idle",
    config: {},
    values,
    interrupts: {},
  });

  /** @param {Thread} thread */
  const stateView = (thread) =>
    thread.history[0] ?? { values: thread.values, next: [], tasks: [], metadata: null, created_at: null, checkpoint: null, parent_checkpoint: null };

  /** @param {Thread} thread @param {any[]} messages */
  const addState = (thread, messages) => {
    thread.values = { messages: [...thread.values.messages, ...messages] };
    thread.updated_at = now();
    const checkpoint = { thread_id: thread.thread_id, checkpoint_ns: "", checkpoint_id: randomUUID() };
    const parent = thread.history[0]?.checkpoint ?? null;
    thread.history.unshift({ values: thread.values, next: [], tasks: [], metadata: { source: "loop" }, created_at: now(), checkpoint, parent_checkpoint: parent });
    return checkpoint;
  };

  /** @param {Thread} thread @param {any} body */
  const makeRun = (thread, body) => {
    Object.assign(thread.metadata, { graph_id: graph, assistant_id: systemAssistantId });
    const run = {
      run_id: randomUUID(),
      thread_id: thread.thread_id,
      assistant_id: systemAssistantId,
      metadata: { ...assistant.metadata, ...thread.metadata, ...body.metadata },
      status: "success",
      kwargs: { input: body.input, config: body.config ?? {}, context: body.context ?? {} },
      multitask_strategy: body.multitask_strategy ?? "reject",
      created_at: now(),
      updated_at: now(),
    };
    thread.runs.set(run.run_id, run);
    const asked = Array.isArray(body.input?.messages) ? body.input.messages : [];
    addState(thread, asked); // one checkpoint for the input, one for the answer
    addState(thread, [{ type: "ai", content: words.join("") }]);
    return run;
  };

  const server = createServer((message, reply) => {
    record(message).then(async (request) => {
      requests.push(request);
      try {
        if (!(await options.intercept?.(request, reply))) await answer(request, reply);
      } catch (error) {
        if (!reply.headersSent) sendJson(reply, 500, { detail: String(error) });
        else reply.destroy();
      }
    }, () => message.destroy());
  });

  /** @param {RecordedRequest} request @param {import("node:http").ServerResponse} reply */
  async function answer(request, reply) {
    const url = new URL(request.target, "http://upstream");
    const path = url.pathname.split("/").slice(1);
    const route = `${request.method} /${path.map((part) => (/^[0-9a-f-]{36}$/.test(part) ? "ID" : part)).join("/")}`;
    const body = request.json ?? {};

    switch (route) {
      case "GET /ok":
        return sendJson(reply, 200, { ok: true });
      case "POST /assistants/search": {
        const matches = (body.graph_id ?? graph) === graph && holds(assistant.metadata, body.metadata);
        return sendJson(reply, 200, matches ? [selected(assistant, body.select)] : [], { "x-pagination-total": matches ? "1" : "0" });
      }
      case "POST /assistants/count":
        return sendJson(reply, 200, (body.graph_id ?? graph) === graph && holds(assistant.metadata, body.metadata) ? 1 : 0);
      case `GET /assistants/${graph}`:
        return sendJson(reply, 200, assistant);
      case "GET /assistants/ID":
        return path[1] === systemAssistantId ? sendJson(reply, 200, assistant) : sendJson(reply, 404, { detail: "Not Found" });
      case `GET /assistants/${graph}/graph`:
      case "GET /assistants/ID/graph":
        return sendJson(reply, 200, { nodes: [{ id: "__start__" }, { id: "answer" }, { id: "__end__" }], edges: [] });
      case "POST /threads": {
        const id = body.thread_id ?? randomUUID();
        const existing = threads.get(id);
        if (existing && body.if_exists !== "do_nothing") return sendJson(reply, 409, { detail: `Thread with ID ${id} already exists` });
        return sendJson(reply, 200, threadView(existing ?? makeThread(id, { ...body.metadata })));
      }
      case "POST /threads/search":
      case "POST /threads/count": {
        const ids = Array.isArray(body.ids) && body.ids.length > 0 ? body.ids : undefined; // an empty list is no filter, as in both servers
        const found = [...threads.values()].reverse().filter((thread) => (!ids || ids.includes(thread.thread_id)) && holds(thread.metadata, body.metadata));
        if (path[1] === "count") return sendJson(reply, 200, found.length);
        const page = found.slice(body.offset ?? 0, (body.offset ?? 0) + (body.limit ?? 10));
        return sendJson(reply, 200, page.map((thread) => selected(threadView(thread), body.select)), { "x-pagination-total": String(found.length) });
      }
    }

    if (path[0] !== "threads" || !path[1]) return sendJson(reply, 404, { detail: "Not Found" });
    const runRoutes = ["POST /threads/ID/runs", "POST /threads/ID/runs/wait", "POST /threads/ID/runs/stream"];
    let thread = threads.get(path[1]);
    if (!thread && runRoutes.includes(route) && body.if_not_exists === "create") thread = makeThread(path[1], { ...body.metadata });
    if (!thread) {
      return sendJson(reply, 404, { detail: runRoutes.includes(route) ? "Thread or assistant not found." : `Thread with ID ${path[1]} not found` });
    }
    if (runRoutes.includes(route) && ![graph, systemAssistantId].includes(body.assistant_id)) {
      return sendJson(reply, 404, { detail: "Thread or assistant not found." });
    }
    const run = path[3] === undefined ? undefined : thread.runs.get(path[3]);
    if (route.startsWith("GET /threads/ID/runs/ID") && !run) return sendJson(reply, 404, { detail: "Run not found" });

    switch (route) {
      case "GET /threads/ID":
      case "HEAD /threads/ID":
        return sendJson(reply, 200, threadView(thread));
      case "PATCH /threads/ID":
        Object.assign(thread.metadata, body.metadata); // merged key by key, as in both servers
        thread.updated_at = now();
        if (request.header("prefer").includes("return=minimal")) return reply.writeHead(204).end();
        return sendJson(reply, 200, threadView(thread));
      case "DELETE /threads/ID":
        threads.delete(thread.thread_id);
        return reply.writeHead(204).end();
      case "POST /threads/ID/copy": {
        const copy = makeThread(randomUUID(), { ...thread.metadata });
        copy.values = thread.values;
        copy.history = [...thread.history];
        return sendJson(reply, 200, threadView(copy));
      }
      case "GET /threads/ID/state":
      case "POST /threads/ID/state/checkpoint":
        return sendJson(reply, 200, stateView(thread));
      case "GET /threads/ID/state/ID":
        return sendJson(reply, 200, thread.history.find((state) => state.checkpoint.checkpoint_id === path[3]) ?? stateView(thread));
      case "POST /threads/ID/state":
        return sendJson(reply, 200, { checkpoint: addState(thread, body.values?.messages ?? []) });
      case "GET /threads/ID/history":
      case "POST /threads/ID/history":
        return sendJson(reply, 200, thread.history.slice(0, Number(body.limit ?? url.searchParams.get("limit") ?? 10)));
      case "POST /threads/ID/runs": {
        const made = makeRun(thread, body);
        return sendJson(reply, 200, made, { "content-location": `/threads/${thread.thread_id}/runs/${made.run_id}` });
      }
      case "POST /threads/ID/runs/wait": {
        const made = makeRun(thread, body);
        await pause(wordDelayMs);
        return sendJson(reply, 200, thread.values, { "content-location": `/threads/${thread.thread_id}/runs/${made.run_id}` });
      }
      case "POST /threads/ID/runs/stream":
        return stream(reply, thread, makeRun(thread, body), modesOf(body.stream_mode));
      case "GET /threads/ID/runs":
        return sendJson(reply, 200, [...thread.runs.values()].reverse().slice(0, Number(url.searchParams.get("limit") ?? 10)));
      case "GET /threads/ID/runs/ID":
        return sendJson(reply, 200, run);
      case "GET /threads/ID/runs/ID/join":
        return sendJson(reply, 200, thread.values);
      case "GET /threads/ID/runs/ID/stream":
        return stream(reply, thread, run, modesOf(url.searchParams.getAll("stream_mode")));
      case "POST /threads/ID/runs/ID/cancel":
        return reply.writeHead(url.searchParams.get("wait") === "1" ? 204 : 202).end();
      case "DELETE /threads/ID/runs/ID":
        return thread.runs.delete(path[3]) ? reply.writeHead(204).end() : sendJson(reply, 404, { detail: "Run not found" });
      default:
        return sendJson(reply, 404, { detail: "Not Found" });
    }
  }

  /** @param {import("node:http").ServerResponse} reply @param {Thread} thread @param {any} run @param {string[]} modes */
  async function stream(reply, thread, run, modes) {
    const location = `/threads/${thread.thread_id}/runs/${run.run_id}`;
    reply.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      "content-location": location,
      location: `${location}/stream`,
    });
    let ended = false;
    reply.on("close", () => {
      if (!ended) abandoned.add(run.run_id);
    });
    /** @param {string} event @param {unknown} data */
    const tell = (event, data) => reply.write(`event: ${event}\r\ndata: ${JSON.stringify(data)}\r\n\r\n`);
    run.status = "running";
    tell("metadata", { run_id: run.run_id, attempt: 1 });
    for (const word of words) {
      await pause(wordDelayMs);
      if (reply.destroyed) return;
      if (modes.some((mode) => mode.startsWith("messages"))) tell("messages", [{ type: "AIMessageChunk", content: word, id: run.run_id }, { langgraph_node: "answer" }]);
      if (modes.includes("custom")) tell("custom", { word });
    }
    if (modes.includes("updates")) tell("updates", { answer: { messages: [{ type: "ai", content: words.join("") }] } });
    if (modes.includes("values")) tell("values", thread.values);
    ended = true;
    run.status = "success";
    reply.end();
  }

  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", () => resolve(undefined));
  });
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    threads,
    abandoned,
    makeThread,
    close: () =>
      new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** @param {import("node:http").IncomingMessage} message @returns {Promise<RecordedRequest>} */
async function record(message) {
  const at = performance.now();
  const chunks = [];
  let bytes = 0;
  for await (const chunk of message) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new RangeError("body too large");
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  /** @type {[string, string][]} */
  const headers = [];
  for (let i = 0; i < message.rawHeaders.length; i += 2) headers.push([message.rawHeaders[i], message.rawHeaders[i + 1]]);
  let json;
  try {
    json = JSON.parse(body.toString("utf8"));
  } catch {
    json = undefined;
  }
  const header = (/** @type {string} */ name) => headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
  return { method: message.method ?? "", target: message.url ?? "", headers, body, json, header, at };
}

/** @param {import("node:http").ServerResponse} reply @param {number} status @param {unknown} body @param {Record<string, string>} [headers] */
function sendJson(reply, status, body, headers = {}) {
  const text = JSON.stringify(body);
  reply.writeHead(status, { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)), ...headers });
  reply.end(text);
}

/** Containment, as the servers do it for scalars: every wanted key is there with that very value. */
function holds(/** @type {Record<string, any>} */ metadata, /** @type {Record<string, any> | undefined} */ wanted) {
  return Object.entries(wanted ?? {}).every(([key, value]) => Object.hasOwn(metadata, key) && JSON.stringify(metadata[key]) === JSON.stringify(value));
}

/** @param {Record<string, any>} row @param {string[] | undefined} select */
function selected(row, select) {
  return select ? Object.fromEntries(select.filter((key) => key in row).map((key) => [key, row[key]])) : row;
}

/** @param {string | string[] | undefined} given */
function modesOf(given) {
  const modes = (Array.isArray(given) ? given : [given]).filter((mode) => typeof mode === "string" && mode !== "");
  return modes.length > 0 ? /** @type {string[]} */ (modes) : ["values"];
}

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
