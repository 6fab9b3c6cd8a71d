// The other side of wasm/abi.h: messages of words, text and bodies, read and written.
//
// Everything a reader returns is a copy. A view into wasm memory dies when memory grows, which any call
// may cause, so none leaves this file (invariant handles).

/** Must equal the wasm's; they differ when the two files are from different builds. */
export const abiVersion = 9;

export const purposes = { handle: 0, authenticate: 1 } as const;
export type Purpose = keyof typeof purposes;

export const bodyStates = { whole: 0, overLimit: 1, failed: 2 } as const;
export type BodyState = keyof typeof bodyStates;

export const verdicts = { valid: 1, invalid: 2, unable: 3 } as const;
export type Verdict = keyof typeof verdicts;

/** What a call of wasm/setup.cpp or verify.cpp returns. */
export const answers = { unknown: 0, given: 1, fault: 2 } as const;

export const handlerStates = { answered: 1, refused: 2, failed: 3, timedOut: 4 } as const;

export const outcomes = { done: 0, handleUnknown: 1, inputMalformed: 2 } as const;

/**
 * The largest message the core takes. Bodies stop well short of it: what a browser tab or an isolate of
 * 128 MB can hold twice, as bytes and as the parsed tree, is less than a configuration may allow.
 */
export const bodyBytesMax = 20 * 1024 * 1024;

const errorNone = 0xffff_ffff;
const notOpened = 0;  // where the kind of a step stands
const replyTimedOut = 1;
const replyBodyOverLimit = 2;

/** Who is calling, once the credential was found good. Frozen, since requests with the same token share it. */
export interface User {
  /** LangGraph's `identity`: by default the token's `sub`. */
  readonly identity: string;
  /** The identity unless a claim gives a name. */
  readonly displayName: string;
  readonly permissions: readonly string[];
  /** The validated claims. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** The user's own fields: from claims, or from a token's or key's row in the configuration. Never the secret ones. */
  readonly fields: Readonly<Record<string, unknown>>;
}

export type HeaderList = [name: string, value: string][];

/** What the host is to send: `OutgoingRequest` of core/include/postern/request.h. */
export interface OutgoingRequest {
  method: string;
  url: string;
  headers: HeaderList;
  /** Empty: none is sent. What the core writes by itself is text, what it passes on are bytes. */
  body: string | Uint8Array<ArrayBuffer>;
}

/** What came back: `IncomingResponse` of core/include/postern/request.h. */
export interface IncomingResponse {
  /** 0: no response. */
  status: number;
  headers: HeaderList;
  body: Uint8Array;
  timedOut?: boolean;
  bodyOverLimit?: boolean;
}

export interface ReadBody { kind: "readBody"; stepId: bigint; bytesMax: number }
export interface Fetch {
  kind: "fetch";
  stepId: bigint;
  fetchId: bigint;
  purpose: "keys" | "discovery" | "upstreamObject" | "introspection";
  request: OutgoingRequest;
  bytesMax: number;
  timeLimitMs: number;
}
export interface Wait { kind: "wait"; stepId: bigint; fetchId: bigint; untilMs: number }
export interface Forward {
  kind: "forward";
  stepId: bigint;
  request: OutgoingRequest;
  reply: "pass" | "inspect";
  bytesMax: number;
  timeLimitMs: number;
  dropReplyHeaders: string[];
  addReplyHeaders: [string, string][];
  /** What `isDenied` takes while the reply streams; empty for nobody's. */
  credential: string;
}
export interface Respond {
  kind: "respond";
  stepId: bigint;
  status: number;
  headers: HeaderList;
  body: Uint8Array<ArrayBuffer>;
  /** A row of the error list; undefined when a reply is passed on. */
  error: number | undefined;
}
export interface Authenticated {
  kind: "authenticated";
  stepId: bigint;
  /** Where `recall` will find the user; serial 0: nowhere. */
  cacheSlot: number;
  cacheSerial: number;
  user: User;
}
export interface VerifySignature {
  kind: "verifySignature";
  stepId: bigint;
  keyHandle: bigint;
  alg: string;
  input: Uint8Array<ArrayBuffer>;
  signature: Uint8Array<ArrayBuffer>;
}
/** A question to a function of the program. */
export interface CallHandler {
  kind: "callHandler";
  stepId: bigint;
  handler: "authenticate" | "on";
  /** This and what follows: for `on`. */
  resource: string;
  action: string;
  /** JSON. */
  user: string;
  /** JSON. */
  value: string;
}
/** What became of it: `HandlerResult` of core/include/postern/step.h. */
export interface HandlerResult {
  state: keyof typeof handlerStates;
  status?: number;
  /** JSON. */
  answer?: string;
  /** JSON. */
  changes?: string;
  message?: string;
  headers?: HeaderList;
}
/** What the host does next: core/include/postern/step.h. */
export type Step = ReadBody | Fetch | Wait | Forward | Respond | Authenticated | VerifySignature | CallHandler;

/** Work that belongs to no request. */
export interface Due { nextAtMs: number; fetches: Fetch[] }

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

// One eight-byte cell, seen three ways: how two words become a double or a 64-bit number.
const cell = new ArrayBuffer(8);
const cellWords = new Uint32Array(cell);
const cellFloat = new Float64Array(cell);
const cellBig = new BigUint64Array(cell);

/** The instance's memory as the messages need it. Its views are made anew when memory has grown. */
export class Memory {
  readonly #memory: WebAssembly.Memory;
  readonly #input: (bytes: number) => number;
  #bytes: Uint8Array<ArrayBuffer>;
  #words: Uint32Array<ArrayBuffer>;
  #room: Uint8Array<ArrayBuffer>;

  /** `input`: makes room for a message of so many bytes and gives its address; throws where it is too long. */
  constructor(memory: WebAssembly.Memory, input: (bytes: number) => number) {
    this.#memory = memory;
    this.#input = input;
    this.#bytes = this.#room = new Uint8Array(memory.buffer as ArrayBuffer);
    this.#words = new Uint32Array(memory.buffer as ArrayBuffer);
  }

  get size(): number {
    return this.#memory.buffer.byteLength;
  }
  /** For the one message that is being read or written. */
  get bytes(): Uint8Array<ArrayBuffer> {
    this.#renew();
    return this.#bytes;
  }
  get words(): Uint32Array<ArrayBuffer> {
    this.#renew();
    return this.#words;
  }
  /** The address of room for a message; good until the next call of the core. */
  input(bytes: number): number {
    return this.#input(bytes);
  }
  /** The same view as the last time, while neither the place nor the memory has changed: making one costs more than writing to it. */
  room(address: number, bytes: number): Uint8Array<ArrayBuffer> {
    const kept = this.#room;
    if (kept.length === bytes && kept.byteOffset === address) return kept;
    return (this.#room = this.bytes.subarray(address, address + bytes));
  }
  /** Growing detaches the buffer of before, and a view of it is then empty. To ask the memory for its buffer costs ten times that look. */
  #renew(): void {
    if (this.#bytes.length !== 0) return;
    this.#bytes = new Uint8Array(this.#memory.buffer as ArrayBuffer);
    this.#words = new Uint32Array(this.#memory.buffer as ArrayBuffer);
  }
}

/** Reads one message, whole, before anything else happens to the memory. */
export class Reader {
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #at: number;
  readonly #end: number;
  #text: string | undefined;
  readonly #textStart: number;
  readonly #textEnd: number;
  #textAt = 0;
  #bodyAt: number;
  readonly #bodyEnd: number;

  constructor(memory: Memory, ledger: number) {
    const words = memory.words;
    const at = ledger / 4;
    this.#words = words;
    this.#bytes = memory.bytes;
    this.#at = words[at]! / 4;
    this.#end = this.#at + words[at + 1]!;
    this.#textStart = words[at + 2]!;
    this.#textEnd = this.#textStart + words[at + 3]!;
    this.#bodyAt = words[at + 4]!;
    this.#bodyEnd = this.#bodyAt + words[at + 5]!;
  }

  word(): number {
    if (this.#at >= this.#end) throw new Error("a message of the core ends early");
    return this.#words[this.#at++]!;
  }
  u64(): bigint {
    cellWords[0] = this.word();
    cellWords[1] = this.word();
    return cellBig[0]!;
  }
  f64(): number {
    cellWords[0] = this.word();
    cellWords[1] = this.word();
    return cellFloat[0]!;
  }
  text(): string {
    const from = this.#textAt;
    this.#textAt += this.word();
    if (this.#textStart + this.#textAt > this.#textEnd) throw new Error("a message of the core has too little text");
    this.#text ??= decoder.decode(this.#bytes.subarray(this.#textStart, this.#textEnd));
    // Plain ASCII, nearly always: byte lengths are string lengths. Otherwise each string is decoded.
    return this.#text.length === this.#textEnd - this.#textStart
      ? this.#text.slice(from, this.#textAt)
      : decoder.decode(this.#bytes.subarray(this.#textStart + from, this.#textStart + this.#textAt));
  }
  texts(): string[] {
    const list: string[] = [];
    for (let count = this.word(); count > 0; count--) list.push(this.text());
    return list;
  }
  headers(): HeaderList {
    const list: HeaderList = [];
    for (let count = this.word(); count > 0; count--) list.push([this.text(), this.text()]);
    return list;
  }
  body(): Uint8Array<ArrayBuffer> {
    const from = this.#bodyAt;
    this.#bodyAt += this.word();
    if (this.#bodyAt > this.#bodyEnd) throw new Error("a message of the core has too short a body");
    return this.#bodyAt === from ? nothing : this.#bytes.slice(from, this.#bodyAt);
  }
  fetch(stepId: bigint): Fetch {
    const fetchId = this.u64();
    const purpose = (["keys", "discovery", "upstreamObject", "introspection"] as const)[this.word()];
    if (purpose === undefined) throw new Error("the core asks for a fetch of unknown purpose");
    const bytesMax = this.word();
    const timeLimitMs = this.f64();
    return { kind: "fetch", stepId, fetchId, purpose, bytesMax, timeLimitMs, request: { method: this.text(), url: this.text(), headers: this.headers(), body: this.text() } };
  }
}

const nothing = new Uint8Array(0);

/** Plain data, parsed at once: a user that is kept has one hidden class with all others, and reading a claim runs nothing. */
function makeUser(
  identity: string, displayName: string, permissions: readonly string[], claimsJson: string, fieldsJson: string,
): User {
  return Object.freeze({
    identity,
    displayName,
    permissions: Object.freeze(permissions),
    claims: parsed(claimsJson),
    fields: fieldsJson === "{}" ? noFields : parsed(fieldsJson),
  });
}

const noFields: User["fields"] = Object.freeze({});

function parsed(json: string): Readonly<Record<string, unknown>> {
  return frozen(JSON.parse(json) as Record<string, unknown>);
}

function frozen<T extends object>(value: T): T {
  // By number: the names of a list's items would be made as strings first.
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i];
      if (typeof item === "object" && item !== null) frozen(item);
    }
    return Object.freeze(value);
  }
  for (const name in value) {
    const item: unknown = value[name];
    // A prototype that somebody has written to has names here as well.
    if (typeof item === "object" && item !== null && Object.hasOwn(value, name)) frozen(item);
  }
  return Object.freeze(value);
}

export function readStep(memory: Memory, ledger: number): Step {
  const reader = new Reader(memory, ledger);
  const kind = reader.word();
  const stepId = reader.u64();
  switch (kind) {
    case 1:
      return { kind: "readBody", stepId, bytesMax: reader.word() };
    case 2:
      return reader.fetch(stepId);
    case 3:
      return { kind: "wait", stepId, fetchId: reader.u64(), untilMs: reader.f64() };
    case 4: {
      const mode = reader.word();
      // Anything but a plain 0 is read whole and judged: the stricter of the two.
      const reply = mode === 0 ? "pass" : "inspect";
      const bytesMax = reader.word();
      const timeLimitMs = reader.f64();
      const request = { method: reader.text(), url: reader.text(), headers: reader.headers(), body: reader.body() };
      return {
        kind: "forward", stepId, reply, bytesMax, timeLimitMs, request, dropReplyHeaders: reader.texts(),
        addReplyHeaders: reader.headers(), credential: reader.text(),
      };
    }
    case 5: {
      const status = reader.word();
      const error = reader.word();
      return {
        kind: "respond", stepId, status,
        error: error === errorNone ? undefined : error,
        headers: reader.headers(),
        body: reader.body(),
      };
    }
    case 6:
      return {
        kind: "authenticated", stepId,
        cacheSlot: reader.word(),
        cacheSerial: reader.word(),
        user: makeUser(reader.text(), reader.text(), reader.texts(), reader.text(), reader.text()),
      };
    case 7:
      return {
        kind: "verifySignature", stepId,
        keyHandle: reader.u64(),
        alg: reader.text(),
        input: reader.body(),
        signature: reader.body(),
      };
    case 8:
      return {
        kind: "callHandler", stepId,
        handler: reader.word() === 0 ? "authenticate" : "on",
        resource: reader.text(),
        action: reader.text(),
        user: reader.text(),
        value: reader.text(),
      };
    default:
      throw new Error(`the core asks for a step of unknown kind ${kind}`);
  }
}

export function readDue(memory: Memory, ledger: number): Due {
  const reader = new Reader(memory, ledger);
  const nextAtMs = reader.f64();
  const fetches: Fetch[] = [];
  for (let count = reader.word(); count > 0; count--) fetches.push(reader.fetch(0n));
  return { nextAtMs, fetches };
}

/** The row of the error list that says why there is no exchange; nothing where there is a first step. */
export function readNotOpened(memory: Memory, ledger: number): number | undefined {
  const reader = new Reader(memory, ledger);
  return reader.word() === notOpened ? reader.word() : undefined;
}

/** The row of the error list that says why something does not verify. */
export function readRefusal(memory: Memory, ledger: number): number {
  return new Reader(memory, ledger).word();
}

/** The sizes a call has to name. */
export interface Written { words: number; textBytes: number; bodyBytes: number }

const measuredFrom = 1024 * 1024;
const bytesOf = (strings: readonly string[]): number => strings.reduce((sum, string) => sum + encoder.encode(string).length, 0);
// Room is taken in whole pages, so that one message after another gets the same view.
const pageBytes = 4096;

/** `lengthAt`: which of the words is the length of a string, by its number. */
function write(
  memory: Memory, words: number[], lengthAt: (index: number) => number, strings: readonly string[], body?: Uint8Array,
): Written {
  // Joined at once: a text that was added up piece by piece is put together a second time when it is encoded.
  const text = strings.join("");
  const bodyBytes = body?.length ?? 0;
  const wordBytes = words.length * 4;
  // A UTF-16 unit is at most three bytes of UTF-8. A long text is measured: of a denylist three times its size may be more than
  // the core takes at once.
  const textMost = text.length > measuredFrom ? bytesOf(strings) : Math.ceil(text.length * 3 / pageBytes) * pageBytes;
  const address = memory.input(wordBytes + textMost + bodyBytes);
  const view = memory.room(address + wordBytes, textMost);
  let textBytes = encoder.encodeInto(text, view).written;
  if (textBytes !== text.length) {
    textBytes = 0;
    strings.forEach((string, index) => {
      const { written } = encoder.encodeInto(string, view.subarray(textBytes));
      words[lengthAt(index)] = written;
      textBytes += written;
    });
  }
  const cells = memory.words;
  for (let i = 0, at = address / 4; i < words.length; i++) cells[at + i] = words[i]!;
  if (body !== undefined) memory.bytes.set(body, address + wordBytes + textBytes);
  return { words: words.length, textBytes, bodyBytes };
}

function putHeaders(headers: Iterable<[string, string]>, words: number[], strings: string[]): void {
  const countAt = words.push(0) - 1;
  let count = 0;
  for (const [name, value] of headers) {
    words.push(name.length, value.length);
    strings.push(name, value);
    count++;
  }
  words[countAt] = count;
}

export function writeHead(memory: Memory, method: string, target: string, headers: Iterable<[string, string]>): Written {
  const words = [method.length, target.length];
  const strings = [method, target];
  putHeaders(headers, words, strings);
  return write(memory, words, (i) => (i < 2 ? i : i + 1), strings);
}

/** Texts: a count, then each. */
export function writeTexts(memory: Memory, texts: readonly string[]): Written {
  return write(memory, [texts.length, ...texts.map((text) => text.length)], (i) => i + 1, texts);
}

/** Texts without a count, and bytes. */
export function writeQuestion(memory: Memory, texts: readonly string[], body?: Uint8Array): Written {
  return write(memory, texts.map((text) => text.length), (i) => i, texts, body);
}

export function writeResponse(memory: Memory, response: IncomingResponse): Written {
  const flags = (response.timedOut ? replyTimedOut : 0) | (response.bodyOverLimit ? replyBodyOverLimit : 0);
  const words = [response.status, flags];
  const strings: string[] = [];
  putHeaders(response.headers, words, strings);
  return write(memory, words, (i) => i + 3, strings, response.body);
}

export function writeHandled(memory: Memory, result: HandlerResult): Written {
  const strings = [result.answer ?? "", result.changes ?? "", result.message ?? ""];
  const words = [handlerStates[result.state], result.status ?? 0, ...strings.map((text) => text.length)];
  putHeaders(result.headers ?? [], words, strings);
  return write(memory, words, (i) => (i < 3 ? i + 2 : i + 3), strings);
}

/** A short text and nothing else; how many bytes it has, or 0 where it is too long to be a credential. */
export function writeText(memory: Memory, bytesMax: number, text: string): number {
  const { read, written } = encoder.encodeInto(text, memory.room(memory.input(bytesMax), bytesMax));
  return read === text.length ? written : 0;
}

/** The serial that goes with a slot that was recalled. */
export function readRecalledSerial(memory: Memory, ledger: number): number {
  return memory.words[ledger / 4 + 6]!;
}

export function writeBody(memory: Memory, body: Uint8Array): Written {
  const address = memory.input(body.length);
  memory.bytes.set(body, address);
  return { words: 0, textBytes: 0, bodyBytes: body.length };
}
