// The gate: the loop over the core's steps, with fetch.
//
// The loop decides nothing. It carries out what the core asks for and gives back what came of it; where it
// cannot, the answer is 500 and nothing is forwarded (invariant fail-closed).
import {
  bodyBytesMax, type CallHandler, type Fetch, type Forward, type IncomingResponse, type Respond, type Step, type User, type Verdict, type VerifySignature, type Wait,
} from "./abi.js";
import { type GateConfig } from "./config.js";
import { Core, CoreRefused, CoreTrapped, currentCore, UserTable, verifierOfRuntime } from "./core.js";
import { AuthError, ConfigError, errorResponse, hostErrors, nameOf, type ErrorCode } from "./errors.js";
import { userText, type FilterAction, type FilterFor, type FilterForm, type FilterResource, type HostUser } from "./filter.js";
import { HandlerSet, type Handlers } from "./handlers.js";
import { ToolsGate } from "./tools.js";
import { HostVerification, type HostVerifier } from "./verifier.js";
import { Denylist, type DenylistSource } from "./denylist.js";
import { Attempt, fetchWhole, readWhole, withinTime, type Budget, type FetchFunction, type Whole } from "./fetching.js";

export type { User };

/** What became of a request, for logs and metrics. Holds no credential, no claim and no body. */
export interface GateDecision {
  /**
   * `forwarded`: the upstream's reply went to the client, unread. `answered`: the gate gave the answer, with
   * `code` when it is a refusal. `failed`: the host or the upstream failed. `left`: the client did.
   */
  outcome: "forwarded" | "answered" | "failed" | "left";
  status: number;
  code?: ErrorCode;
  durationMs: number;
}

/**
 * Where fetched keys outlive the instance: a second-level cache, read before the issuer is asked.
 *
 * Whoever can write there decides who gets in, so it must be this gate's own. Text of another configuration, past the
 * stale bound or from the future is refused.
 */
export interface KeyStore {
  /** What `put` was given last; nothing when there is none. */
  get(): Promise<string | null | undefined>;
  /** Public keys, when each set was fetched, and a digest of the configuration they were fetched under. */
  put(text: string): Promise<unknown>;
}

export interface GateOptions extends Handlers {
  /** What `"$NAME"` in a secret field stands for. Only names the configuration mentions are read. */
  env?: Readonly<Record<string, unknown>>;
  /** How requests are sent. Default: the global `fetch`. */
  fetch?: FetchFunction;
  /** The time in milliseconds since 1970. Default: `Date.now`. */
  now?: () => number;
  /** Keeps background work alive after the answer, where the runtime needs telling. */
  waitUntil?: (work: Promise<unknown>) => void;
  /** Told of every request that was handled. */
  onDecision?: (decision: GateDecision) => void;
  /**
   * Keeps fetched keys for other instances, so that a cold start need not ask the issuer. Called inside a request alone.
   * What it throws is told to `onWarning`, once, and changes no answer.
   */
  keyStore?: KeyStore;
  /**
   * Who verifies RSA signatures. `"host"`, the default: the runtime's own, which is faster (`node:crypto` or `crypto.subtle`).
   * `"portable"`: the core. Or a verifier of the program's. Everything else about a token is always the core's.
   */
  verifier?: "host" | "portable" | HostVerifier;
  /**
   * Read inside requests: one that finds the list older than its interval waits for it, at most a second, and open streams look as
   * often, from before the upstream's first byte on. When it cannot be read the last list stays, and `onWarning` is told, again after each
   * time that it could; before there was any, requests are answered 503.
   */
  denylist?: DenylistSource;
  /** Told of every warning about the configuration, and when the key store fails. Default: `console.warn`, each once. */
  onWarning?: (warning: string) => void;
}

/** Settings of one request. A Cloudflare `ctx` fits. */
export interface HandleOptions {
  waitUntil?(work: Promise<unknown>): void;
}

/** A request a person asks about, rather than one that came in. */
export interface ExplainRequest {
  method: string;
  /** Path and query, for example `/threads/search`. */
  target: string;
  headers?: Readonly<Record<string, string>> | readonly (readonly [string, string])[];
  body?: string;
  /** The time to judge at. Default: now. */
  now?: number;
}

/** What would happen to a request. What is not known or does not apply is missing. */
export interface Explanation {
  user?: { identity: string; display_name: string; permissions: string[] };
  route?: { method: string; path: string; resource: string; action: string };
  /** The key of the policy's row that decided. */
  rule?: string;
  filter?: unknown;
  stamp?: Record<string, unknown>;
  /** The body as it came in, parsed. */
  body_received?: unknown;
  /** What the gate would ask the upstream first; taken as passed here. */
  checks: { method: string; url: string; body: string }[];
  outcome:
    | { kind: "forward"; method: string; url: string; body: string; reply: string }
    | { kind: "refuse"; status: number; code?: ErrorCode; detail?: string }
    | { kind: "keys_needed" | "handler_asked"; detail?: string };
}

// A quarter of the smallest host (128 MB): bodies are held as bytes and, while judged, as a tree.
const heldBytesMax = 32 * 1024 * 1024;
// What of them may be of callers whom no handler has admitted yet: the rest is for the others. More than one body's 10 MiB.
const unknownBytesMax = heldBytesMax / 2;
// And of an instance's 4096 exchanges, those in which `authenticate` is being asked.
const unknownMax = 2048;
// Slices of table building that follow one request: the generator's table and a key's small one are 16.
const tableSlicesMax = 32;
// Before another request goes on with building that did not come to its end.
const tablePauseMs = 1000;
// How often a waiting request looks whether its keys have come.
const waitPollMs = { first: 2, most: 50 };

// A store that takes longer saves nothing: the issuer itself answers in about this time.
const storeReadLimitMs = 500;
// In the background; bounded so that it does not hold the worker's background time for good.
const storeWriteLimitMs = 5_000;
// A store that failed this often is left alone until there is a new instance.
const storeReadsMax = 3;
// A JWK Set has at most 256 KiB: room for those of a dozen issuers. More would only grow the instance's memory.
const storeTextMax = 4 * 1024 * 1024;

// A read of a KV is some milliseconds; a revoked token that works for five more seconds is bearable.

const nullBodyStatuses = new Set([101, 103, 204, 205, 304]);
const hopByHopHeaders = [
  "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
  "transfer-encoding", "upgrade",
];

const warned = new Set<string>();
let unknownCallers = 0;

/** A gate in its instance: both change together, when the instance traps. */
interface Seat {
  core: Core;
  handle: number;
  /** Whether the core has its random key. */
  seeded: boolean;
  /** Whether it has, and so keeps verified tokens. */
  remembers: boolean;
  users: UserTable;
  /** Where the program or the runtime verifies RSA signatures in place of the core. */
  verification: HostVerification | undefined;
  /** How often the key store may still be read; 0 once it answered, or keys were fetched without it. */
  storeReadsLeft: number;
  /** Of the keys that the store was last given. */
  keysVersion: number;
  /** The host's denylist that the core was given. */
  denylistText: string | undefined;
}

const newSeat = (core: Core, handle: number): Seat => ({ core, handle, seeded: false, remembers: false, users: new UserTable(), verification: undefined, storeReadsLeft: storeReadsMax, keysVersion: 0, denylistText: undefined });

/** Inside a request: workerd has no randomness at global scope. */
function seedOnce(seat: Seat): void {
  if (seat.seeded) return;
  seat.remembers = seat.core.seed(seat.handle, crypto.getRandomValues(new Uint8Array(16)));
  seat.seeded = true;
}

/** The client went away: nobody reads the answer. */
class ClientLeft extends Error {
  override name = "ClientLeft";
}

/** There is no denylist yet, and who is named in it must not get in. */
class DenylistUnread extends Error {
  override name = "DenylistUnread";
}

/** The body could not be had for an authenticate handler: broken off, too slow, or read before. */
class BodyUnread extends Error {
  override name = "BodyUnread";
}

/** The body is longer than an authenticate handler is to get. */
class BodyTooLarge extends Error {
  override name = "BodyTooLarge";
}

/** More bytes are held than the gate may hold. */
class Overloaded extends Error {
  override name = "Overloaded";
}

/**
 * The gate in front of one agent server.
 *
 * @example
 * ```ts
 * const gate = await Gate.create({
 *   issuers: [{ preset: "supabase", url: "https://PROJECT.supabase.co" }],
 *   upstream: { url: "http://127.0.0.1:2024" },
 * });
 * export default { fetch: (request, env, ctx) => gate.handle(request, ctx) };
 * ```
 */
export class Gate {
  /** Warnings about the configuration: one line each, to be shown at start. */
  readonly warnings: readonly string[];
  /** Where requests go that pass. */
  readonly upstreamUrl: string;

  readonly #config: string;
  readonly #environment: string[];
  readonly #tools: ToolsGate;
  readonly #fetch: FetchFunction;
  readonly #now: () => number;
  readonly #options: GateOptions;
  readonly #handlers: HandlerSet;
  #keyStore: KeyStore | undefined;
  #seat: Seat;
  #closed = false;
  // Grows with every key fetch that was answered: what a waiting request looks at.
  #answers = 0;
  #dueAtMs = 0;
  #heldBytes = 0;
  #unknownBytes = 0;
  #keyStoreWarned = false;
  #denylist: Denylist | undefined;

  private constructor(
    seat: Seat, config: string, environment: string[], upstreamUrl: string, warnings: string[], options: GateOptions,
    handlers: HandlerSet, denylist: Denylist | undefined,
  ) {
    this.#handlers = handlers;
    this.#denylist = denylist;
    this.#seat = seat;
    this.#config = config;
    this.#environment = environment;
    this.#tools = new ToolsGate(config, environment, handlers.kinds);
    this.#options = options;
    this.#keyStore = options.keyStore;
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, init));
    this.#now = options.now ?? (() => Date.now());
    this.upstreamUrl = upstreamUrl;
    this.warnings = warnings;
    this.#setUp(seat);
  }

  /**
   * Makes a gate from its configuration: an object, or the text of a file (JSON with comments).
   *
   * Reads no clock and needs no network, so it may run at a worker's global scope. Handlers of the program's own (docs/handlers.md)
   * stand beside the configuration's keys, or among the options.
   *
   * @throws {ConfigError} when the configuration cannot be used; it says where and how to mend it.
   */
  static async create(config: (GateConfig & Handlers) | string, options: GateOptions = {}): Promise<Gate> {
    const named: Handlers = typeof config === "string" ? {} : config;
    const { authenticate = named.authenticate, on = named.on, auth = named.auth, strict = named.strict } = options;
    const denylist = options.denylist && new Denylist(options.denylist, options.now ?? (() => Date.now()), {
      failed: (warning) => warn(warning, options),
      mended: (warning) => warned.delete(warning),
    });
    const text = typeof config === "string" ? config : JSON.stringify(withoutHandlers(config));
    const handlers = new HandlerSet(
      { authenticate, on, auth, strict, handlers: options.handlers ?? named.handlers } as Handlers, (warning) => warn(warning, options),
      mentionedRules(text),
    );
    const environment = mentionedVariables(text, options.env ?? {});
    const core = await currentCore();
    const made = core.createGate(text, environment, handlers.kinds);
    if (made.error !== undefined) {
      // A place in a text the caller has never seen would mislead.
      throw new ConfigError(typeof config === "string" ? made.error : { ...made.error, line: 0, column: 0 });
    }
    const warnings = [...made.warnings, ...handlers.warnings];
    for (const warning of warnings) warn(warning, options);
    return new Gate(newSeat(core, made.handle), text, environment, made.upstreamUrl, warnings, options, handlers, denylist);
  }

  /**
   * Makes a gate from variables alone: `POSTERN_CONFIG` (a whole configuration), or `POSTERN_UPSTREAM`, `SUPABASE_URL` and
   * `SUPABASE_ANON_KEY`, and `LANGSMITH_API_KEY` for an upstream that wants it. In a worker: its vars and secrets.
   *
   * @throws {ConfigError} when one is missing, and as {@link Gate.create} does.
   */
  static async fromEnvironment(env: Readonly<Record<string, unknown>>, options: Omit<GateOptions, "env"> = {}): Promise<Gate> {
    const made = (await currentCore()).environmentConfig(env);
    if (made.error !== undefined) throw new ConfigError(made.error);
    return Gate.create(made.text, { ...options, env });
  }

  /**
   * Judges a request and carries the decision out: the answer is the upstream's, streamed as it comes, or
   * the gate's own refusal. Never rejects.
   */
  async handle(request: Request, options: HandleOptions = {}): Promise<Response> {
    const startedAt = this.#now();
    let decision: Omit<GateDecision, "durationMs"> = { outcome: "failed", status: 500, code: "host_failed" };
    let response: Response;
    try {
      [response, decision] = await this.#carryOut(request, options);
    } catch (fault) {
      if (fault instanceof ClientLeft) {
        decision = { outcome: "left", status: 499 };
        response = new Response(null, { status: 499 });
      } else {
        const code = codeOf(fault);
        response = errorResponse(code);
        decision = { outcome: "failed", status: response.status, code };
        if (code === "host_failed") console.error(`postern: a request failed: ${nameOf(fault)}`);
      }
    }
    this.#startDueWork(options);
    try {
      this.#options.onDecision?.({ ...decision, durationMs: this.#now() - startedAt });
    } catch (fault) {
      // The answer is made; what observes it must not change it.
      console.error(`postern: onDecision failed: ${nameOf(fault)}`);
    }
    return response;
  }

  /**
   * Who is calling. Looks at the credential alone: whether they may do what they ask for is not judged.
   *
   * @throws {AuthError} when the credential is missing, not good, or cannot be judged at the moment.
   */
  async authenticate(request: Request, options: HandleOptions = {}): Promise<User> {
    let seat: Seat | undefined;
    let exchange = 0;
    let step: Step;
    let release: (() => void) | undefined;
    try {
      // Awaits only what is not at hand: a token that was seen before costs no turn of the event loop.
      seat = this.#seatAtHand() ?? await this.#takeSeat();
      if (this.#keyStore !== undefined) await this.#readKeyStore(seat, request, signalOf(request));
      if (this.#denylist !== undefined && !(await this.#denylist.read(seat))) throw new DenylistUnread();
      const authorization = seat.remembers ? request.headers.get("authorization") : null;
      if (typeof authorization === "string") {
        const user = seat.core.recall(seat.handle, authorization, this.#now(), seat.users);
        if (user !== undefined) return user;
        seat = this.#seatAtHand() ?? await this.#takeSeat();
      }
      seedOnce(seat);
      // Nothing of a credential hangs on the target.
      ({ exchange, step } = seat.core.open(seat.handle, "authenticate", request.method, "/", request.headers, this.#now()));
      for (;; step = seat.core.next(exchange, this.#now())) {
        switch (step.kind) {
          case "fetch":
            await this.#carryFetch(seat, step, signalOf(request), options, unlimited);
            break;
          case "wait":
            await this.#wait(step, signalOf(request));
            break;
          case "verifySignature": {
            const verdict = this.#verdict(seat, step);
            seat.core.giveVerdict(exchange, step.stepId, typeof verdict === "string" ? verdict : await verdict, this.#now());
            break;
          }
          case "callHandler":
            await this.#callHandler(seat, exchange, step, request, () => {
              const held = this.#budget();
              ({ release } = held);
              // The program goes on with the request: its body stays whole.
              return this.#handlerBody(request, held.unknown, "copy");
            });
            break;
          case "authenticated":
            if (step.cacheSerial !== 0) seat.users.set(step.cacheSlot, step.cacheSerial, step.user);
            return step.user;
          case "respond":
            throw authError(seat.core, step);
          default:
            throw new Error(`no ${step.kind} belongs to authentication`);
        }
      }
    } catch (fault) {
      if (fault instanceof AuthError) throw fault;
      const code = codeOf(fault);
      const response = errorResponse(code);
      const body = new Uint8Array(await response.clone().arrayBuffer());
      throw new AuthError(code, hostErrors[code][1], response.status, response.headers, body, { cause: fault });
    } finally {
      release?.();
      if (exchange !== 0) seat?.core.close(exchange);
      this.#startDueWork(options);
    }
  }

  /**
   * The user of an Authorization header that was verified before, at once: no promise, nothing is asked. Nothing is given where
   * {@link authenticate} has to look: at a token that is new, over or denied, or at a denylist that is due to be read.
   *
   * @param authorization the header's value: `Bearer ...`
   *
   * @example
   * ```ts
   * const user = gate.recall(request.headers.get("authorization") ?? "") ?? await gate.authenticate(request);
   * ```
   */
  recall(authorization: string, options: HandleOptions = {}): User | undefined {
    const seat = this.#seatAtHand();
    if (seat === undefined || !seat.remembers) return undefined;
    const now = this.#now();
    if (this.#denylist !== undefined && !this.#denylist.isFresh(seat, now)) return undefined;
    if (now >= this.#dueAtMs) this.#doDueWork(options, tableSlicesMax);
    return seat.core.recall(seat.handle, authorization, now, seat.users);
  }

  /**
   * What would happen to a request: user, route, rule, filter, edits and outcome. Sends nothing; needs the
   * issuer's keys in the configuration to get past the signature.
   */
  async explain(request: ExplainRequest): Promise<Explanation> {
    const { core, handle, denylistText } = await this.#takeSeat();
    const list = request.headers ?? [];
    const pairs = Array.isArray(list) ? (list as readonly (readonly [string, string])[]) : Object.entries(list);
    // What this gate has learnt since it was made counts in the explanation too.
    const keys = core.exportKeys(handle);
    const { text } = await this.#tools.ask((glue, double) => {
      if (keys !== "") glue.importKeys(double, keys, this.#now());
      if (denylistText !== undefined) glue.setDenylist(double, denylistText);
      return {
        text: glue.explain(
          double, request.method, request.target, pairs.flat(), request.body ?? "", request.now ?? this.#now(),
        ),
      };
    });
    return JSON.parse(text) as Explanation;
  }

  /**
   * What a user may touch, for a backend of the program's own: the policy's answer before any object is looked at, as a
   * condition that the backend can be asked with. docs/filters.md has each form.
   *
   * @throws {ConfigError} when the user, the resource, the action or the form is none.
   *
   * @example
   * ```ts
   * const user = await gate.authenticate(request);
   * const { sql } = await gate.filterFor(user, "threads", "read", { column: "metadata" });
   * const { rows } = await pool.query(`SELECT * FROM notes WHERE ${sql.where}`, sql.parameters);
   * ```
   */
  async filterFor(user: HostUser, resource: FilterResource, action: FilterAction, form: FilterForm = {}): Promise<FilterFor> {
    const { dialect = "postgres", column = "metadata", placeholder = "" } = form;
    if (dialect !== "postgres" && dialect !== "sqlite") {
      throw new ConfigError({ line: 0, column: 0, path: "form", message: 'dialect: must be "postgres" or "sqlite"' });
    }
    const { text } = await this.#tools.ask((glue, double) => glue.filterFor(
      double, userText(user), String(resource), String(action), dialect === "sqlite", String(column), String(placeholder),
    ));
    return JSON.parse(text) as FilterFor;
  }

  /**
   * Whether a user may touch one object, by its metadata: what `filterFor` says, for a backend that cannot be asked with a
   * condition. `metadata` is a value, or JSON text whose numbers are then compared by all their digits.
   *
   * @throws {ConfigError} when the user, the resource or the action is none.
   */
  async filterMatches(user: HostUser, resource: FilterResource, action: FilterAction, metadata: unknown): Promise<boolean> {
    const text = typeof metadata === "string" ? metadata : JSON.stringify(metadata) ?? "null";
    const { matches } = await this.#tools.ask((glue, double) =>
      glue.filterMatches(double, userText(user), String(resource), String(action), text));
    return matches;
  }

  /**
   * Why keys could not be had at the last try: a line for each issuer that failed. For operators and logs; holds the
   * issuer's name and what was wrong, never a key.
   */
  keyFaults(): string[] {
    const { core, handle } = this.#seat;
    return this.#closed || core.dead ? [] : core.keyFaults(handle);
  }

  /** Gives the gate's memory back. Requests that are open end in 500. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#tools.close();
    this.#seat.core.closeGate(this.#seat.handle);
  }

  /** What is said of a signature outside the core: at once, or when the promise is kept. */
  #verdict({ core, handle, verification }: Seat, step: VerifySignature): Verdict | Promise<Verdict> {
    return verification?.verdict(step, () => core.keyJwk(handle, step.keyHandle)) ?? "unable";
  }

  /** Asks a function of the program's, and tells the core what came of it. */
  async #callHandler(
    seat: Seat, exchange: number, step: CallHandler, request: Request, body: () => Promise<Uint8Array<ArrayBuffer> | undefined>,
  ): Promise<void> {
    const unknown = step.handler === "authenticate" ? 1 : 0;
    // Anybody can be asked about: they must not take every exchange of the process while a handler hangs.
    if (unknownCallers + unknown > unknownMax) throw new Overloaded();
    unknownCallers += unknown;
    try {
      const bytes = unknown === 1 ? await body() : undefined;
      const result = await untilLeft(this.#handlers.call(step, () => new Request(request.url, {
        method: request.method, headers: new Headers(request.headers), ...(bytes !== undefined && { body: bytes }),
      })), signalOf(request));
      if (signalOf(request).aborted) throw new ClientLeft();
      seat.core.giveHandled(exchange, step.stepId, result, this.#now());
    } finally {
      unknownCallers -= unknown;
    }
  }

  /**
   * The body for an authenticate handler, which must come within the handler's own time; nothing where it is not to get any, or
   * there is none.
   */
  async #handlerBody(request: Request, budget: Budget, of: "original" | "copy"): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { bodyBytesMax: most, timeLimitMs } = this.#handlers;
    if (most === 0 || request.body === null) return undefined;
    // Only what is read is copied: whatever the program reads later of a request is kept for its copy as well.
    const copy = of === "copy" && !request.bodyUsed ? request.clone() : undefined;
    const body = await readBody(copy ?? request, most, budget, copy === undefined ? "leave" : "cancel", timeLimitMs);
    if (body.state === "whole") return body.bytes as Uint8Array<ArrayBuffer>;
    copy?.body?.cancel().catch(() => {});  // where reading it had not begun
    if (body.state === "overLimit") throw new BodyTooLarge();
    throw body.state === "overBudget" ? new Overloaded() : new BodyUnread();
  }

  /** A gate that was just made in this instance. */
  #setUp(seat: Seat): void {
    const named = this.#options.verifier ?? "host";
    if (named === "portable") return;
    const verifier = named === "host" ? verifierOfRuntime() : named;
    seat.verification = new HostVerification(verifier, named === "host" ? "runtime" : "program", (fault) => warn(fault, this.#options));
    seat.core.useHostVerifier(seat.handle, verifier.algorithms);
  }

  #seatAtHand(): Seat | undefined {
    return this.#closed || this.#seat.core.dead ? undefined : this.#seat;
  }

  /** This gate in the instance of today. After a trap it is made anew, without its fetched keys. */
  async #takeSeat(): Promise<Seat> {
    if (this.#closed) throw new Error("the gate is closed");
    if (!this.#seat.core.dead) return this.#seat;
    const core = await currentCore();
    if (this.#seat.core.dead) {
      const made = core.createGate(this.#config, this.#environment, this.#handlers.kinds);
      if (made.error !== undefined) throw new ConfigError(made.error);
      this.#seat = newSeat(core, made.handle);
      this.#setUp(this.#seat);
      this.#dueAtMs = 0;
    }
    return this.#seat;
  }

  async #carryOut(request: Request, options: HandleOptions): Promise<[Response, Omit<GateDecision, "durationMs">]> {
    const seat = this.#seatAtHand() ?? await this.#takeSeat();
    const { core } = seat;
    const signal = signalOf(request);
    if (this.#keyStore !== undefined) await this.#readKeyStore(seat, request, signal);
    if (this.#denylist !== undefined && !(await this.#denylist.read(seat))) throw new DenylistUnread();
    const { budget, unknown, known, release } = this.#budget();
    let exchange = 0;
    let step: Step;
    let read: Uint8Array<ArrayBuffer> | undefined;  // the body, where an authenticate handler got it
    try {
      seedOnce(seat);
      ({ exchange, step } = core.open(seat.handle, "handle", request.method, targetOf(request.url), request.headers, this.#now()));
      for (;; step = core.next(exchange, this.#now())) {
        switch (step.kind) {
          case "readBody": {
            const most = Math.min(step.bytesMax, bodyBytesMax);
            const body: Whole = read === undefined ? await readBody(request, most, budget)
              : read.length > most ? { state: "overLimit" } : { state: "whole", bytes: read };
            if (body.state === "overBudget") throw new Overloaded();
            core.giveBody(
              exchange, step.stepId, body.state === "stalled" ? "failed" : body.state,
              body.state === "whole" ? body.bytes : noBytes, this.#now(),
            );
            break;
          }
          case "fetch":
            await this.#carryFetch(seat, step, signal, options, budget);
            break;
          case "wait":
            await this.#wait(step, signal);
            break;
          case "verifySignature": {
            const verdict = this.#verdict(seat, step);
            core.giveVerdict(exchange, step.stepId, typeof verdict === "string" ? verdict : await verdict, this.#now());
            break;
          }
          case "callHandler":
            await this.#callHandler(
              seat, exchange, step, request, async () => (read = await this.#handlerBody(request, unknown, "original")),
            );
            known();
            break;
          case "forward": {
            if (step.reply === "pass") {
              // The exchange is over: its slot is not held for as long as the reply streams.
              if (exchange !== 0) core.close(exchange);
              exchange = 0;
              return await this.#pass(step, request);
            }
            const reply = await fetchWhole(
              this.#fetch, step.request, Math.min(step.bytesMax, bodyBytesMax), step.timeLimitMs, budget, signal, "firstByte",
            );
            if (signal.aborted) throw new ClientLeft();
            // Who was denied meanwhile gets nothing: the core looks at the list once more.
            if (this.#denylist !== undefined && !(await this.#denylist.read(seat))) throw new DenylistUnread();
            core.giveReply(exchange, step.stepId, reply, this.#now());
            break;
          }
          case "respond":
            return answer(core, step, request.method);
          case "authenticated":
            throw new Error("an exchange that was to be handled ended in a user");
        }
      }
    } finally {
      release();
      if (exchange !== 0) core.close(exchange);
    }
  }

  /** Streams the upstream's reply to the client as it arrives. */
  async #pass(step: Forward, request: Request): Promise<[Response, Omit<GateDecision, "durationMs">]> {
    const failed = (code: "upstream_failed" | "upstream_timeout" | "credential_revoked"): [Response, Omit<GateDecision, "durationMs">] => {
      const response = errorResponse(code);
      return [response, { outcome: code === "credential_revoked" ? "answered" : "failed", status: response.status, code }];
    };
    const attempt = new Attempt(step.timeLimitMs, signalOf(request));
    // From before the request goes out: the first byte of some replies (a run that is waited for) takes as long as it likes.
    const watch = this.#denylist !== undefined && step.credential !== "" ? this.#watch(step.credential, attempt) : undefined;
    let streams = false;
    try {
      let upstream: Response;
      try {
        upstream = await attempt.send(this.#fetch, step.request);
        attempt.stopClock();
      } catch {
        if (attempt.revoked) return failed("credential_revoked");
        if (attempt.clientLeft) throw new ClientLeft();
        return failed(attempt.timedOut ? "upstream_timeout" : "upstream_failed");
      }
      const { status } = upstream;
      // A redirect would lead the client, or us, around the gate. The upstream's 401, 403 and 407 are about the gate's own
      // credential there; passed on, they would make clients throw theirs away.
      const aboutTheGate = status === 401 || status === 403 || status === 407;
      if (status < 200 || status > 599 || (status >= 300 && status < 400) || aboutTheGate) {
        upstream.body?.cancel().catch(() => {});
        return failed("upstream_failed");
      }
      const headers = new Headers(upstream.headers);
      for (const name of hopByHopHeaders) headers.delete(name);
      for (const name of step.dropReplyHeaders) headers.delete(name);
      for (const [name, value] of step.addReplyHeaders) headers.append(name, value);
      if (headers.has("content-encoding")) {
        // fetch has decoded the body, so neither of the two is true of what goes out.
        headers.delete("content-encoding");
        headers.delete("content-length");
      }
      let body = nullBodyStatuses.has(status) ? null : upstream.body;
      if (body !== null && watch !== undefined) body = watched(body, attempt, watch);
      if (body !== null) streaming.set(body, [attempt, request]);
      const response = new Response(body, { status, headers });
      streams = body !== null;
      return [response, { outcome: "forwarded", status }];
    } finally {
      if (!streams) {
        watch?.stop();
        attempt.finish();
      }
    }
  }

  /**
   * Sends a fetch of the core's and gives it the answer. What belongs to the gate (keys, discovery) goes on
   * when this client leaves: others wait for it.
   */
  async #carryFetch(
    seat: Seat, step: Fetch, client: AbortSignal, options: HandleOptions, budget: Budget,
  ): Promise<void> {
    const ofTheGate = step.purpose !== "upstreamObject";
    const work = fetchWhole(
      this.#fetch, step.request, Math.min(step.bytesMax, bodyBytesMax), step.timeLimitMs,
      ofTheGate ? unlimited : budget, ofTheGate ? undefined : client,
    ).then((reply) => this.#giveFetch(seat, step, reply));
    if (!ofTheGate) {
      await work;
      if (client.aborted) throw new ClientLeft();
      return;
    }
    this.#keepAlive(this.#storeKeysAfter(work, seat), options);
    await untilLeft(work, client);
  }

  #giveFetch(seat: Seat, step: Fetch, reply: IncomingResponse): void {
    if (seat.core.dead || this.#closed) return;
    seat.core.giveFetch(seat.handle, step.fetchId, reply, this.#now());
    if (step.purpose === "upstreamObject") return;
    this.#answers++;
    this.#dueAtMs = 0;  // fresh keys set a new date
  }

  /**
   * Until a fetch of the gate's was answered or the core's patience ends. On this request's own timer: in
   * workerd a promise of another request may never settle here.
   */
  async #wait(step: Wait, client: AbortSignal): Promise<void> {
    const answers = this.#answers;
    for (let pause = waitPollMs.first; ; pause = Math.min(pause * 2, waitPollMs.most)) {
      if (client.aborted) throw new ClientLeft();
      const left = step.untilMs - this.#now();
      if (left <= 0 || this.#answers !== answers) return;
      await new Promise((resolve) => setTimeout(resolve, Math.min(pause, left)));
    }
  }

  /** Work of the gate's that is due: no request waits for it, so none can fail with it. */
  #startDueWork(options: HandleOptions): void {
    if (this.#now() >= this.#dueAtMs) this.#doDueWork(options, tableSlicesMax);
  }

  #doDueWork(options: HandleOptions, slicesLeft: number): void {
    const seat = this.#seat;
    if (this.#closed || seat.core.dead) return;
    const now = this.#now();
    let fetches: Fetch[];
    try {
      ({ nextAtMs: this.#dueAtMs, fetches } = seat.core.due(seat.handle, now));
    } catch {
      return;  // a trap: the next request finds a new instance
    }
    // Tables for busy keys wait to be built: a slice a turn, after the answers that are ready. Should this request's turns be cut
    // short, as in workerd, another one goes on.
    if (this.#dueAtMs <= now && slicesLeft > 0) {
      this.#dueAtMs = now + tablePauseMs;
      const turn = new Promise((resolve) => setTimeout(resolve, 0));
      this.#keepAlive(turn.then(() => this.#doDueWork(options, slicesLeft - 1)), options);
    }
    for (const step of fetches) {
      const work = fetchWhole(this.#fetch, step.request, step.bytesMax, step.timeLimitMs, unlimited)
        .then((reply) => this.#giveFetch(seat, step, reply));
      this.#keepAlive(this.#storeKeysAfter(work, seat), options);
    }
  }

  /**
   * Takes up keys that another instance fetched, before this one asks the issuer. Only a request that carries a
   * credential can need any. Each reads for itself until one read has succeeded: in workerd a request may not await
   * another's promise.
   */
  async #readKeyStore(seat: Seat, request: Request, client: AbortSignal): Promise<void> {
    const store = this.#keyStore;
    if (store === undefined || seat.storeReadsLeft <= 0 || !request.headers.has("authorization")) return;
    // What comes too late for this request is taken up all the same: it serves the next one.
    const reading = (async () => this.#takeUpKeys(seat, await store.get()))();
    try {
      await untilLeft(withinTime(storeReadLimitMs, reading), client);
    } catch (fault) {
      if (fault instanceof ClientLeft) throw fault;
      seat.storeReadsLeft--;
      this.#warnOfKeyStore("read", fault);
    }
  }

  #takeUpKeys(seat: Seat, text: unknown): void {
    if (seat.core.dead || this.#closed) return;
    if (text !== undefined && text !== null && typeof text !== "string") throw new TypeError("the key store gave no text");
    seat.storeReadsLeft = 0;
    if (typeof text !== "string" || text === "" || text.length > storeTextMax) return;
    try {
      if (seat.core.importKeys(seat.handle, text, this.#now()) === 0) return;
    } catch (fault) {
      // The next instance would trap on the same text.
      if (fault instanceof CoreTrapped) this.#keyStore = undefined;
      throw fault;
    }
    this.#answers++;
    this.#dueAtMs = 0;  // as after a fetch
  }

  /** The fetch under way, and then what it brought put into the key store. Never rejects. */
  async #storeKeysAfter(work: Promise<void>, seat: Seat): Promise<void> {
    try {
      await work;
    } catch {
      return;  // a trap: the request that awaits it is told, and the next one finds a new instance
    }
    const store = this.#keyStore;
    if (store === undefined || seat.core.dead || this.#closed) return;
    try {
      const version = seat.core.keysVersion(seat.handle);
      if (version === seat.keysVersion) return;
      seat.keysVersion = version;
      seat.storeReadsLeft = 0;
      await withinTime(storeWriteLimitMs, Promise.resolve(store.put(seat.core.exportKeys(seat.handle))));
    } catch (fault) {
      this.#warnOfKeyStore("written", fault);
    }
  }

  /** Looks at the denylist again and again until it is stopped, and ends the attempt of a caller who is denied. */
  #watch(credential: string, attempt: Attempt): Watch {
    const denylist = this.#denylist!;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;
    const look = async (): Promise<void> => {
      if (this.#closed) return;
      let denied = true;
      try {
        const seat = this.#seatAtHand() ?? await this.#takeSeat();
        denied = !(await denylist.read(seat)) || seat.core.isDenied(seat.handle, credential);
      } catch {
        // who cannot be looked up cannot be vouched for
      }
      if (stopped) return;
      if (denied) attempt.revoke();
      else timer = setTimeout(look, denylist.intervalMs);
    };
    timer = setTimeout(look, denylist.intervalMs);
    return {
      stop: () => {
        stopped = true;
        clearTimeout(timer);
      },
    };
  }

  #warnOfKeyStore(what: "read" | "written", fault: unknown): void {
    if (this.#keyStoreWarned) return;
    this.#keyStoreWarned = true;
    try {
      warn(`the key store could not be ${what}: ${nameOf(fault)}`, this.#options);
    } catch {
      // what is told of a fault must not become one
    }
  }

  #keepAlive(work: Promise<unknown>, options: HandleOptions): void {
    if (options.waitUntil !== undefined) options.waitUntil(work);
    else this.#options.waitUntil?.(work);
  }

  /** One request's share of the bytes the gate may hold; `unknown` until its caller is known. */
  #budget(): { budget: Budget; unknown: Budget; known: () => void; release: () => void } {
    let taken = 0;
    let takenUnknown = 0;
    const take = (bytes: number): boolean => {
      if (this.#heldBytes + bytes > heldBytesMax) return false;
      this.#heldBytes += bytes;
      taken += bytes;
      return true;
    };
    const known = (): void => {
      this.#unknownBytes -= takenUnknown;
      takenUnknown = 0;
    };
    return {
      budget: { take },
      unknown: {
        take: (bytes) => {
          if (this.#unknownBytes + bytes > unknownBytesMax || !take(bytes)) return false;
          this.#unknownBytes += bytes;
          takenUnknown += bytes;
          return true;
        },
      },
      known,
      release: () => {
        known();
        this.#heldBytes -= taken;
        taken = 0;
      },
    };
  }
}

const noBytes = new Uint8Array(0);
// Node's Request hands its signal's abort on only while the Request itself is alive, and nothing else needs
// it once the reply streams: it lives as long as the stream, so that a client that leaves ends the upstream's work.
const streaming = new WeakMap<ReadableStream, [Attempt, Request]>();
const unlimited: Budget = { take: () => true };

/** What looks after a caller whose reply is under way. */
interface Watch { stop(): void }

/** The stream, until its caller is denied: then it breaks, and the upstream's work ends. */
function watched(
  body: ReadableStream<Uint8Array<ArrayBuffer>>, attempt: Attempt, watch: Watch,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  const end = (): void => {
    watch.stop();
    attempt.finish();
  };
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: (controller) => {
      // Whether or not anybody reads at the moment, and whether or not `fetch` listens to its signal.
      attempt.ended.catch((fault: unknown) => {
        if (!attempt.revoked) return;
        controller.error(fault);
        reader.cancel().catch(() => {});
        end();
      });
    },
    pull: async (controller) => {
      try {
        const { done, value } = await reader.read();
        if (attempt.revoked) return;
        if (!done) {
          controller.enqueue(value);
          return;
        }
        end();
        controller.close();
      } catch (fault) {
        end();
        controller.error(fault);
      }
    },
    cancel: (reason) => {
      end();
      return reader.cancel(reason);
    },
  });
}

/** What tells that the client left; older compatibility dates of workerd have nothing that does. */
function signalOf(request: Request): AbortSignal {
  return (request.signal as AbortSignal | null | undefined) ?? new AbortController().signal;
}

/** Path and query exactly as the URL has them. */
function targetOf(url: string): string {
  const path = url.indexOf("/", url.indexOf("://") + 3);
  const fragment = url.indexOf("#");
  return fragment === -1 ? url.slice(path) : url.slice(path, fragment);
}

/** The configuration alone. */
function withoutHandlers(config: GateConfig & Handlers): GateConfig {
  const { authenticate: _who, on: _on, auth: _auth, strict: _strict, handlers: _handlers, ...rest } = config;
  return rest;
}

/** The variables that the text names as "$NAME", flat: what it does not name does not enter the core. */
function mentionedVariables(text: string, env: Readonly<Record<string, unknown>>): string[] {
  const list: string[] = [];
  for (const [, name] of text.matchAll(/"\$([A-Za-z_][A-Za-z0-9_]*)"/g)) {
    const value = env[name!];
    if (typeof value === "string") list.push(name!, value);
  }
  return list;
}

/** The rules that routes of the configuration name, as the text has them: for what is told at the start. */
function mentionedRules(text: string): string[] {
  return [...new Set([...text.matchAll(/"rule"\s*:\s*"([^"]+)"/g)].map(([, rule]) => rule!))];
}

async function readBody(
  request: Request, bytesMax: number, budget: Budget, rest: "cancel" | "leave" = "leave", timeLimitMs?: number,
): ReturnType<typeof readWhole> {
  if (request.bodyUsed) return { state: "failed" };
  const announced = request.headers.get("content-length");
  if (announced !== null && Number(announced) > bytesMax) return { state: "overLimit" };
  const whole = await readWhole(request.body, bytesMax, budget, rest, timeLimitMs);
  if (signalOf(request).aborted) throw new ClientLeft();
  return whole;
}

/** Settles with the work, or rejects as soon as the client leaves; the work goes on. */
async function untilLeft<T>(work: Promise<T>, client: AbortSignal): Promise<T> {
  work.catch(() => {});  // when the client leaves first, nobody awaits it
  if (client.aborted) throw new ClientLeft();
  let leave: (() => void) | undefined;
  const left = new Promise<never>((_, reject) => {
    leave = () => reject(new ClientLeft());
    client.addEventListener("abort", leave, { once: true });
  });
  try {
    return await Promise.race([work, left]);
  } finally {
    client.removeEventListener("abort", leave!);
  }
}

function answer(core: Core, step: Respond, method: string): [Response, Omit<GateDecision, "durationMs">] {
  const body = method === "HEAD" || nullBodyStatuses.has(step.status) ? null : step.body;
  const response = new Response(body, { status: step.status, headers: step.headers });
  const code = step.error === undefined ? undefined : core.errors[step.error]?.code as ErrorCode | undefined;
  return [response, { outcome: "answered", status: step.status, ...(code !== undefined && { code }) }];
}

function authError(core: Core, step: Respond): AuthError {
  const row = step.error === undefined ? undefined : core.errors[step.error];
  return new AuthError(
    (row?.code ?? "host_failed") as ErrorCode, row?.sentence ?? hostErrors.host_failed[1], step.status,
    step.headers, step.body,
  );
}

function codeOf(fault: unknown): "authority_unavailable" | "body_malformed" | "body_too_large" | "gate_overloaded" | "host_failed" {
  if (fault instanceof BodyUnread) return "body_malformed";
  if (fault instanceof BodyTooLarge) return "body_too_large";
  if (fault instanceof DenylistUnread) return "authority_unavailable";
  const overloaded = fault instanceof Overloaded || (fault instanceof CoreRefused && fault.code === "gate_overloaded");
  return overloaded ? "gate_overloaded" : "host_failed";
}

function warn(warning: string, options: GateOptions): void {
  if (options.onWarning !== undefined) options.onWarning(warning);
  else if (!warned.has(warning)) console.warn(`postern: ${warning}`);
  warned.add(warning);
}
