// A stand-in for the agent server, so that the page can run the whole gate without a network: it knows one thread.
import { threadId } from "./keys.mjs";

const json = (/** @type {unknown} */ value, status = 200) => Response.json(value, { status });

/** @param {unknown} metadata of the one thread; what the server has stored */
export function makeUpstream(metadata) {
  /** @type {{ method: string, path: string, headers: [string, string][], body: string }[]} */
  const asked = [];
  const thread = { thread_id: threadId, metadata, status: "idle", values: {} };
  const holds = (/** @type {Record<string, unknown>} */ wanted) =>
    Object.entries(wanted ?? {}).every(([key, value]) => JSON.stringify(/** @type {any} */ (metadata)?.[key]) === JSON.stringify(value));

  /** @param {string} url @param {RequestInit} init */
  async function send(url, init) {
    const { pathname, search } = new URL(url);
    const text = await new Response(init.body).text();
    asked.push({ method: init.method ?? "GET", path: pathname + search, headers: /** @type {[string, string][]} */ (init.headers), body: text });
    const body = text === "" ? {} : JSON.parse(text);
    const route = `${init.method} ${pathname.replace(threadId, "ID")}`;
    if (route === "POST /threads") return json({ thread_id: body.thread_id ?? threadId, metadata: body.metadata ?? {}, status: "idle" });
    if (route === "POST /threads/search") return json((body.ids ?? [threadId]).includes(threadId) && holds(body.metadata) ? [thread] : []);
    if (route === "POST /threads/count") return json(holds(body.metadata) ? 1 : 0);
    if (pathname.startsWith("/assistants")) return json(route.endsWith("search") ? [] : { detail: "Assistant not found" }, route.endsWith("search") ? 200 : 404);
    if (!pathname.startsWith(`/threads/${threadId}`)) return json({ detail: "Not Found" }, 404);
    if (route === "DELETE /threads/ID") return new Response(null, { status: 204 });
    if (route === "GET /threads/ID" || route === "PATCH /threads/ID") return json(thread);
    if (pathname.endsWith("/stream")) {
      return new Response("event: messages\ndata: [{\"content\":\"Hello\"}]\n\n", { headers: { "content-type": "text/event-stream" } });
    }
    return json({});
  }
  return { asked, send };
}
