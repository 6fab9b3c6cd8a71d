// Bytes that come in, always with a limit: bodies, replies and the time they may take.
import { type IncomingResponse, type OutgoingRequest } from "./abi.js";

/** How a request is sent; `globalThis.fetch` unless the program names another. */
export type FetchFunction = (url: string, init: RequestInit) => Promise<Response>;

/** Counts the bytes that all open requests hold, so that many large bodies cannot exhaust the memory. */
export interface Budget {
  /** False when it would be over; nothing is taken then. */
  take(bytes: number): boolean;
}

export type Whole =
  | { state: "whole"; bytes: Uint8Array }
  | { state: "overLimit" }
  | { state: "overBudget" }
  | { state: "stalled" }
  | { state: "failed" };

// Without a byte for so long, a sender is taken for gone: a body that never ends would hold its exchange for good.
const idleLimitMs = 30_000;

// And a sender this slow is not sending: the native server has the same rule.
const bytesPerSecondMin = 240;

export class Stalled extends Error {
  override name = "Stalled";
}

/** The work's result, or a rejection when it takes longer than the limit. The work itself goes on. */
export async function withinTime<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stalled = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Stalled(`nothing came within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([work, stalled]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Reads a stream to its end, and stops reading as soon as it is over the limit. What is left of an upstream's
 * reply is cancelled; what is left of a client's body is not, since workerd then resets the connection and the
 * client never sees the answer that says why. The time limit is for all of it.
 */
export async function readWhole(
  stream: ReadableStream<Uint8Array> | null, bytesMax: number, budget: Budget, rest: "cancel" | "leave", timeLimitMs = Infinity,
): Promise<Whole> {
  if (stream === null) return { state: "whole", bytes: new Uint8Array(0) };
  let reader: ReadableStreamDefaultReader<Uint8Array>;
  try {
    reader = stream.getReader();
  } catch {
    return { state: "failed" };  // somebody else has read it
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  const begun = performance.now();
  try {
    for (;;) {
      const { done, value } = await withinTime(Math.min(idleLimitMs, timeLimitMs - (performance.now() - begun)), reader.read());
      const elapsedMs = performance.now() - begun;
      if (!done && elapsedMs > idleLimitMs && (size * 1000) / elapsedMs < bytesPerSecondMin) {
        throw new Stalled("the body comes too slowly");
      }
      if (done) break;
      if (!ArrayBuffer.isView(value)) return { state: "failed" };  // a stream of strings counts no bytes
      size += value.length;
      const within = size <= bytesMax;
      if (!within || !budget.take(value.length)) {
        // Not awaited: a source that never settles its cancel would hold the answer back.
        if (rest === "cancel") reader.cancel().catch(() => {});
        else reader.releaseLock();
        return { state: within ? "overBudget" : "overLimit" };
      }
      chunks.push(value);
    }
  } catch (fault) {
    if (!(fault instanceof Stalled)) return { state: "failed" };
    if (rest === "cancel") reader.cancel().catch(() => {});
    return { state: "stalled" };
  }
  if (chunks.length === 1) return { state: "whole", bytes: chunks[0]! };
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return { state: "whole", bytes };
}

/** One request under way: its abort, by the client, by the clock or by the denylist, and which of them it was. */
export class Attempt {
  timedOut = false;
  clientLeft = false;
  revoked = false;
  readonly #control = new AbortController();
  readonly #client: AbortSignal | undefined;
  /** Rejects when it is aborted. */
  readonly ended: Promise<never>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(timeLimitMs: number, client?: AbortSignal) {
    this.#client = client;
    let reject: (reason: unknown) => void;
    this.ended = new Promise<never>((_, no) => (reject = no));
    this.ended.catch(() => {});  // raced, not always awaited
    this.#control.signal.addEventListener("abort", () => reject(this.#control.signal.reason), { once: true });
    if (timeLimitMs > 0) {
      this.#timer = setTimeout(() => {
        this.timedOut = true;
        this.#control.abort(new DOMException("the time limit passed", "TimeoutError"));
      }, timeLimitMs);
    }
    if (client?.aborted) this.#leave();
    else client?.addEventListener("abort", this.#leave, { once: true });
  }

  /** The result, or a rejection as soon as the attempt ends, even where `fetch` does not listen. */
  race<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.ended]);
  }

  async send(fetch: FetchFunction, request: OutgoingRequest): Promise<Response> {
    const init: RequestInit = {
      method: request.method,
      headers: request.headers,
      redirect: "manual",
      signal: this.#control.signal,
    };
    if (request.body.length > 0) init.body = request.body;
    return this.race(fetch(request.url, init));
  }

  /** The first byte is here: from now on only the client can end it. */
  stopClock(): void {
    clearTimeout(this.#timer);
  }

  /** Its caller is denied now. */
  revoke(): void {
    this.revoked = true;
    this.#control.abort(new Error("the credential was revoked"));
  }

  /** Nothing more will come. */
  finish(): void {
    clearTimeout(this.#timer);
    this.#client?.removeEventListener("abort", this.#leave);
  }

  #leave = (): void => {
    this.clientLeft = true;
    this.#control.abort(this.#client?.reason);
  };
}

/**
 * Sends a request and reads the reply whole. Never rejects: whatever fails is a reply with status 0.
 * The time limit is for all of it unless `clock` says that it is for the first byte.
 */
export async function fetchWhole(
  fetch: FetchFunction, request: OutgoingRequest, bytesMax: number, timeLimitMs: number,
  budget: Budget, client?: AbortSignal, clock: "whole" | "firstByte" = "whole",
): Promise<IncomingResponse> {
  const attempt = new Attempt(timeLimitMs, client);
  const none = new Uint8Array(0);
  try {
    const response = await attempt.send(fetch, request);
    if (clock === "firstByte") attempt.stopClock();
    const whole = await attempt.race(readWhole(response.body, bytesMax, budget, "cancel"));
    // fetch has taken content-encoding off the body, so the two headers about it are no longer true.
    const encoded = response.headers.has("content-encoding");
    const headers = [...response.headers].filter(
      ([name]) => !encoded || (name !== "content-encoding" && name !== "content-length"),
    );
    if (whole.state === "whole") return { status: response.status, headers, body: whole.bytes };
    if (whole.state === "failed" || whole.state === "stalled") {
      return { status: 0, headers: [], body: none, timedOut: whole.state === "stalled" };
    }
    return { status: response.status, headers, body: none, bodyOverLimit: true };
  } catch {
    return { status: 0, headers: [], body: none, timedOut: attempt.timedOut };
  } finally {
    attempt.finish();
  }
}
