// Handlers of the program, in LangGraph's shapes: which one is asked, what it is shown, and what its answer says to the core.
//
// The core enforces. Here LangGraph's meanings become its words; whatever is not one of them ends the exchange.
import { type CallHandler, type HandlerResult } from "./abi.js";
import { type HandlerKinds } from "./core.js";
import { ConfigError } from "./errors.js";
import { Stalled, withinTime } from "./fetching.js";

type MaybePromise<T> = T | Promise<T>;

/** What an `authenticate` handler may return: the identity, or a user. Fields of its own go to the agent with the user. */
export type AuthenticatedAs = string | {
  identity: string;
  display_name?: string;
  permissions?: readonly string[];
  /** `false` is a refusal: 401. */
  is_authenticated?: boolean;
  [field: string]: unknown;
};

/** The user as `on` handlers see it. */
export interface HandlerUser {
  identity: string;
  display_name: string;
  is_authenticated: true;
  permissions: string[];
  /** The validated claims of a token; empty for a user that a handler named. */
  claims: Record<string, unknown>;
  [field: string]: unknown;
}

/** One question to an `on` handler. */
export interface HandlerQuestion {
  /** `RESOURCE:ACTION` */
  event: string;
  resource: string;
  action: string;
  /**
   * What the client asks for, in the shape of LangGraph's server. `value.metadata` may be changed, and `value.namespace` in the
   * store; the rest is frozen.
   */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  value: any;
  user: HandlerUser;
  permissions: string[];
}

/** `true`, or a filter on metadata in LangGraph's words, allows; `false` denies. */
export type HandlerVerdict = boolean | Readonly<Record<string, unknown>> | null | undefined | void;

type Resource = "threads" | "assistants" | "crons" | "store";
type Action = "create" | "read" | "update" | "delete" | "search" | "create_run" | "put" | "get" | "list_namespaces";
/** The most specific key decides, alone: `RESOURCE:ACTION`, `RESOURCE`, `*:ACTION`, `*`. */
export type HandlerKey = Resource | "*" | `${Resource | "*"}:${Action}`;

/** An `Auth` object of `@langchain/langgraph-sdk/auth`, as it is. */
export interface LangGraphAuth {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  "~handlerCache": any;
}

/** Functions of the program that take part in decisions: docs/handlers.md. */
export interface Handlers {
  /**
   * Says who is calling. Gets a copy of the request's head. Stands alone, or where `credentials` names it:
   * `{ "kind": "handler" }`, at the end. To refuse, throw an {@link HTTPException}.
   */
  authenticate?: (request: Request) => MaybePromise<AuthenticatedAs>;
  /**
   * Decide, beside the policy where there is one: both must allow. What no key covers, and a handler that returns nothing, denies.
   * Routes of the configuration are asked about under `*` and `*:ACTION`.
   */
  on?: { readonly [key in HandlerKey]?: (question: HandlerQuestion) => MaybePromise<HandlerVerdict> };
  /**
   * Both of these from an existing LangGraph project. What its server means holds: nothing, `null`, `{}` and an event without a
   * handler allow.
   */
  auth?: LangGraphAuth;
  /** With `auth`: nothing, `null`, `{}` and an event without a handler deny. */
  strict?: boolean;
  handlers?: {
    /** How long a handler may take, then 503, and before it the body that it is to get, then 400. Default 5000. */
    timeLimitMs?: number;
    /** `authenticate` gets the request's body, of at most so many bytes; a longer one is 413. Default 0: no body. */
    bodyBytesMax?: number;
  };
}

/** What a handler throws to refuse: the client gets this status, from 400 to 599, message and headers. LangGraph's own fits as well. */
export class HTTPException extends Error {
  override name = "HTTPException";
  readonly headers: HeadersInit;
  constructor(readonly status: number, options: { message?: string; headers?: HeadersInit; cause?: unknown } = {}) {
    super(options.message ?? "refused", { cause: options.cause });
    this.headers = options.headers ?? {};
  }
}

const timeLimitMsDefault = 5_000;
const actionsOf: Readonly<Record<Resource, readonly string[]>> = {
  threads: ["create", "read", "update", "delete", "search", "create_run"],
  assistants: ["create", "read", "update", "delete", "search"],
  crons: ["create", "read", "update", "delete", "search"],
  store: ["put", "get", "search", "delete", "list_namespaces"],
};
const resources = Object.keys(actionsOf) as Resource[];
const events = resources.flatMap((resource) => actionsOf[resource].map((action) => `${resource}:${action}`));
const keys = new Set(["*", ...resources, ...events, ...events.map((event) => event.replace(/^.*:/, "*:"))]);

const fault = (path: string, message: string): ConfigError => new ConfigError({ line: 0, column: 0, path, message });

type Authenticate = NonNullable<Handlers["authenticate"]>;
type On = (question: HandlerQuestion) => MaybePromise<HandlerVerdict>;

/** The handlers of one gate. */
export class HandlerSet {
  readonly authenticate: Authenticate | undefined;
  readonly bodyBytesMax: number;
  readonly warnings: readonly string[];
  readonly #on: ReadonlyMap<string, On> | undefined;
  /** Whether what LangGraph takes for a yes is one. */
  readonly #lenient: boolean;
  /** Whether they are an Auth object's. */
  readonly #ofAuth: boolean;
  /** For an answer, and for the body that `authenticate` gets. */
  readonly timeLimitMs: number;
  /** Told of a handler that failed: its name and the kind of fault. */
  readonly #told: (warning: string) => void;

  /**
   * @param rules what routes of the configuration ask about, `RESOURCE:ACTION`
   * @throws {ConfigError} when they cannot be used.
   */
  constructor({ authenticate, on, auth, strict, handlers = {} }: Handlers, told: (warning: string) => void, rules: readonly string[] = []) {
    this.#told = told;
    this.timeLimitMs = wholeNumber("handlers.timeLimitMs", handlers.timeLimitMs ?? timeLimitMsDefault, 1, 600_000);
    this.bodyBytesMax = wholeNumber("handlers.bodyBytesMax", handlers.bodyBytesMax ?? 0, 0, 10 * 1024 * 1024);
    let callbacks: Readonly<Record<string, unknown>> | undefined = on;
    if (auth !== undefined) {
      const cache = typeof auth === "object" && auth !== null ? auth["~handlerCache"] as unknown : undefined;
      if (typeof cache !== "object" || cache === null) throw fault("auth", "must be an Auth object of @langchain/langgraph-sdk/auth");
      if (authenticate !== undefined || on !== undefined) {
        throw fault("auth", "brings authenticate and on with it; give it or them, not both");
      }
      ({ authenticate, callbacks = {} } = cache as { authenticate?: Authenticate; callbacks?: Record<string, unknown> });
    } else if (strict !== undefined) {
      throw fault("strict", "is about the meanings of an Auth object (auth); handlers of your own always deny in doubt");
    }
    if (authenticate !== undefined && typeof authenticate !== "function") throw fault("authenticate", "must be a function");
    if (callbacks !== undefined && (typeof callbacks !== "object" || callbacks === null)) throw fault("on", "must be an object of functions");
    this.authenticate = authenticate;
    this.#ofAuth = auth !== undefined;
    this.#lenient = auth !== undefined && strict !== true;
    const warnings: string[] = [];
    if (callbacks !== undefined) {
      const list = Object.entries(callbacks).filter(([, handler]) => handler !== undefined);
      for (const [key, handler] of list) {
        if (typeof handler !== "function") throw fault(`on["${key}"]`, "must be a function");
        if (keys.has(key)) continue;
        const message = "is no event; use RESOURCE:ACTION, RESOURCE, *:ACTION or *";
        if (auth === undefined) throw fault(`on["${key}"]`, message);
        warnings.push(`auth.on("${key}"): ${message}; it is never called`);
      }
      this.#on = new Map((list as [string, On][]).filter(([key]) => keys.has(key)));
      if (this.#lenient) warnings.push(...this.#openings(rules));
    }
    this.warnings = warnings;
  }

  get kinds(): HandlerKinds {
    return { authenticate: this.authenticate !== undefined, on: this.#on !== undefined };
  }

  /** What LangGraph's meanings leave open, in a line. */
  #openings(rules: readonly string[]): string[] {
    const open: string[] = resources.flatMap((resource) => {
      const without = actionsOf[resource].filter((action) => this.#find(resource, action) === undefined);
      return without.length === actionsOf[resource].length ? [resource] : without.map((action) => `${resource}:${action}`);
    });
    for (const rule of rules) {
      const [resource = "", action = ""] = rule.split(":");
      if (!open.includes(resource) && !open.includes(rule) && this.#find(resource, action) === undefined) open.push(rule);
    }
    const handled = open.length === 0 ? "" : `no handler for ${open.join(", ")}: open to every user; `;
    return [`auth: ${handled}a handler that returns nothing, null or {} allows everything, as in LangGraph. \`strict: true\` denies in each case`];
  }

  #find(resource: string, action: string): On | undefined {
    const key = [`${resource}:${action}`, resource, `*:${action}`, "*"].find((one) => this.#on?.has(one));
    return key === undefined ? undefined : this.#on!.get(key);
  }

  /** Never rejects: what a handler throws becomes a refusal or a failure. */
  async call(step: CallHandler, request: () => Request): Promise<HandlerResult> {
    const name = step.handler === "authenticate" ? "authenticate" : `${step.resource}:${step.action}`;
    try {
      const work = step.handler === "authenticate" ? this.#askWho(request) : this.#askWhether(step);
      return await withinTime(this.timeLimitMs, work);
    } catch (thrown) {
      if (thrown instanceof Stalled) return { state: "timedOut" };
      try {
        const refusal = refusalOf(thrown, this.#ofAuth);
        if (refusal !== undefined) return refusal;
      } catch {
        // what it threw cannot be looked at, or its headers are none
      }
      this.#told(`the handler of ${name} failed: ${thrown instanceof Error ? thrown.name : typeof thrown}`);
      return { state: "failed" };
    }
  }

  async #askWho(request: () => Request): Promise<HandlerResult> {
    const answer: unknown = await this.authenticate!(request());
    if (typeof answer === "string") return { state: "answered", answer: JSON.stringify({ identity: answer }) };
    if (typeof answer !== "object" || answer === null) throw new TypeError("no user");
    const { identity, display_name: displayName, permissions, is_authenticated: known, ...fields } = answer as Record<string, unknown>;
    if (known === false) return { state: "refused", status: 401, message: "not authenticated" };
    if (known !== undefined && known !== null && known !== true) throw new TypeError("is_authenticated is no boolean");
    return {
      state: "answered",
      answer: JSON.stringify({
        identity, permissions: permissions ?? [], fields,
        ...(displayName !== undefined && displayName !== null && displayName !== "" && { display_name: displayName }),
      }),
    };
  }

  async #askWhether(step: CallHandler): Promise<HandlerResult> {
    const handler = this.#find(step.resource, step.action);
    if (handler === undefined) return { state: "answered", answer: String(this.#lenient) };
    const shown = JSON.parse(step.value) as Record<string, unknown>;
    for (const [name, member] of Object.entries(shown)) {
      // Not sent: there, and undefined, as in LangGraph's server.
      if (member === null) shown[name] = undefined;
      else if (name !== "metadata" && name !== "namespace") freeze(member);
    }
    const before = { ...shown };
    const metadata = textsOf(shown["metadata"]);
    const namespace = JSON.stringify(shown["namespace"]);
    const user = JSON.parse(step.user) as HandlerUser;
    const verdict = await handler({
      event: `${step.resource}:${step.action}`, resource: step.resource, action: step.action, value: shown, user,
      permissions: user.permissions,
    });
    const answer = verdictText(verdict, this.#lenient);

    const changes: Record<string, unknown> = {};
    for (const [name, was] of Object.entries(before)) {
      const is = shown[name];
      if (name === "metadata") {
        const changed = metadataChanges(metadata, is);
        if (changed !== undefined) changes[name] = changed;
      } else if (name === "namespace") {
        if (JSON.stringify(is) !== namespace) changes[name] = is ?? null;
      } else if (is !== was) {
        changes[name] = null;  // the core says that it may not be
      }
    }
    return { state: "answered", answer, ...(Object.keys(changes).length > 0 && { changes: JSON.stringify(changes) }) };
  }
}

function wholeNumber(path: string, value: unknown, min: number, max: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw fault(path, `must be a whole number from ${min} to ${max}`);
}

/**
 * Whether it is an HTTPException: ours, or LangGraph's, perhaps of another copy of its package. Errors of other packages (a model's
 * API, a fetched Response) have a status and headers as well, and words that are not for the client. LangGraph's class gives its
 * errors no name, and a bundler may take the class's: of an Auth object's, what has its fields and no other is one.
 */
function isHttpException(thrown: object, ofAuth: boolean): boolean {
  if (thrown instanceof HTTPException) return true;
  if (!(thrown instanceof Error)) return false;
  return thrown.name === "HTTPException" || thrown.constructor.name === "HTTPException" ||
    (ofAuth && Object.keys(thrown).sort().join() === "headers,status");
}

function refusalOf(thrown: unknown, ofAuth: boolean): HandlerResult | undefined {
  if (typeof thrown !== "object" || thrown === null || !isHttpException(thrown, ofAuth)) return undefined;
  const { status, headers, message } = thrown as { status: unknown; headers: HeadersInit | undefined; message?: unknown };
  if (typeof status !== "number" || !Number.isInteger(status) || status < 400 || status > 599) return undefined;
  return {
    state: "refused", status, headers: [...new Headers(headers ?? {})],
    ...(typeof message === "string" && { message }),
  };
}

/** The core's word for what a handler returned. */
function verdictText(verdict: unknown, lenient: boolean): string {
  if (verdict === undefined || verdict === null) return String(lenient);
  if (typeof verdict === "boolean") return String(verdict);
  if (typeof verdict !== "object" || Array.isArray(verdict)) throw new TypeError("neither a boolean nor a filter");
  if (Object.keys(verdict).length === 0) {
    const { prototype } = Object;
    const plain = Object.getPrototypeOf(verdict) === prototype || Object.getPrototypeOf(verdict) === null;
    if (!plain) throw new TypeError("neither a boolean nor a filter");
    return String(lenient);
  }
  // An operand without JSON must not make its condition go away, and a toJSON of its own not the filter.
  const text = JSON.stringify(verdict, (_, operand: unknown) => (["undefined", "function", "symbol"].includes(typeof operand) ? null : operand));
  const filter = JSON.parse(text) as unknown;
  if (typeof filter !== "object" || filter === null || Array.isArray(filter) || Object.keys(filter).length === 0) {
    throw new TypeError("neither a boolean nor a filter");
  }
  return text;
}

/** Each member's text; none of what is no object. */
function textsOf(metadata: unknown): Map<string, string> {
  return new Map(Object.entries(metadata ?? {}).map(([name, member]) => [name, JSON.stringify(member)]));
}

/** The members that are others now; null for those that are gone. Only these travel: the others keep the digits that the client sent. */
function metadataChanges(before: Map<string, string>, now: unknown): unknown {
  if (now !== undefined && now !== null && (typeof now !== "object" || Array.isArray(now))) return false;  // the core refuses it
  const changed: [string, unknown][] = [];
  const kept = new Set<string>();
  for (const [name, member] of Object.entries(now ?? {})) {
    const text = JSON.stringify(member) as string | undefined;
    if (text === undefined) continue;
    kept.add(name);
    if (text !== before.get(name)) changed.push([name, member]);
  }
  for (const name of before.keys()) {
    if (!kept.has(name)) changed.push([name, null]);
  }
  return changed.length === 0 ? undefined : Object.fromEntries(changed);
}

function freeze(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  Object.freeze(value);
  for (const member of Object.values(value)) freeze(member);
}
