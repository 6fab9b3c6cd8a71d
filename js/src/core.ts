// One wasm instance, and its replacement when it traps.
//
// A trap leaves an instance in a state nobody has thought about. It is never called again: a new one is
// made, with the next epoch, and every exchange of the old one ends in 500 (invariant handles).
import {
  abiVersion, answers, bodyStates, Memory, outcomes, purposes, readDue, Reader, readNotOpened, readRecalledSerial, readRefusal, readStep, writeBody,
  writeHandled, writeHead, writeQuestion, writeResponse, writeText, writeTexts,
  verdicts, type BodyState, type Due, type HandlerResult, type IncomingResponse, type Purpose, type Step, type User, type Verdict, type Written,
} from "./abi.js";
import type { Exports } from "./exports.js";
import { webCryptoVerifier, type HostVerifier } from "./verifier.js";

/** Each entry of the package names its own way to the compiled wasm. */
export type ModuleSource = () => WebAssembly.Module | Promise<WebAssembly.Module>;

let runtimeVerifier: HostVerifier | undefined;
let moduleSource: ModuleSource | undefined;
let compiled: WebAssembly.Module | undefined;
let current: Core | undefined;
let epochs = 0;

/** Called by each entry of the package: its wasm, and the verifier that was measured to be the fastest there. */
export function useModule(source: ModuleSource, verifier: HostVerifier = webCryptoVerifier): void {
  moduleSource ??= source;
  runtimeVerifier ??= verifier;
}

/** What `verifier: "host"` stands for. */
export function verifierOfRuntime(): HostVerifier {
  return runtimeVerifier ?? webCryptoVerifier;
}

/** The instance in use. Nobody waits for an instance that another request is making. */
export async function currentCore(): Promise<Core> {
  if (current !== undefined && !current.dead) return current;
  if (moduleSource === undefined) {
    throw new Error('postern: import the package by its name, "postern" or "postern/inline"');
  }
  compiled ??= await moduleSource();
  if (current === undefined || current.dead) current = new Core(compiled, ++epochs);
  return current;
}

/** The instance is gone, by its own trap or by another request's. */
export class CoreTrapped extends Error {
  override name = "CoreTrapped";
}

/** The core did not do what it was asked, and is well: the instance stays in use. */
export class CoreRefused extends Error {
  override name = "CoreRefused";
  /** `code` is from the error list where the core said why. */
  constructor(message: string, readonly code?: string) {
    super(message);
  }
}

/** What a program was given for a token, by the core's slots: the next request with the token gets the same object. */
export class UserTable {
  // Beside each other and not in pairs: a look is one place less in memory, and those are what a look costs.
  readonly #serials: number[] = [];
  readonly #users: (User | undefined)[] = [];

  set(slot: number, serial: number, user: User): void {
    // Slots whose user no program was given. Without holes, looks stay quick.
    while (this.#serials.length < slot) {
      this.#serials.push(0);
      this.#users.push(undefined);
    }
    this.#serials[slot] = serial;
    this.#users[slot] = user;
  }
  get(slot: number, serial: number): User | undefined {
    return this.#serials[slot] === serial ? this.#users[slot] : undefined;
  }
}

// jws_bytes_max of core/src/jws.h, and the scheme before it. What is longer is for the core to refuse.
const authorizationBytesMax = 8 * 1024 + 64;

export interface ErrorRow { code: string; status: number; sentence: string }

/** Where and what is wrong in what the host gave. */
export interface ArgumentFault { line: number; column: number; path: string; message: string }

/** What a call gives, or why it cannot. */
export type Made<T> = (T & { error?: undefined }) | { error: ArgumentFault };

/** Which functions the program brings. */
export interface HandlerKinds { readonly authenticate?: boolean; readonly on?: boolean }

export class Core {
  /** True from the first throw out of the instance on. */
  dead = false;
  // Of its own, so that tests can break one.
  readonly #exports: Exports;
  readonly #memory: Memory;
  readonly #ledger: number;
  #errors: ErrorRow[] | undefined;

  /** Synchronous: workerd compiles no bytes at run time, but instantiates a module that it has. */
  constructor(module: WebAssembly.Module, readonly epoch: number) {
    const { exports } = new WebAssembly.Instance(module, {
      // Views are made anew when memory has grown, so nobody has to be told.
      env: { emscripten_notify_memory_growth() {} },
    });
    this.#exports = { ...exports } as unknown as Exports;
    if (this.#exports.postern_abi_version?.() !== abiVersion) {
      throw new Error("postern: the wasm file and the JavaScript are from different builds");
    }
    this.#exports._initialize();
    this.#memory = new Memory(this.#exports.memory, (bytes) => {
      const address = this.#exports.postern_input(bytes);
      if (address === 0) throw new CoreRefused("the message is larger than the core takes");
      return address;
    });
    this.#ledger = this.#exports.postern_ledger();
  }

  /** Rows in the order of their numbers. */
  get errors(): readonly ErrorRow[] {
    return (this.#errors ??= this.#call(() => this.#textOf(this.#exports.postern_errors())).trimEnd().split("\n").map((line) => {
      const [code = "", status, sentence = ""] = line.split("\t");
      return { code, status: Number(status), sentence };
    }));
  }

  /** The number of bytes the instance holds, for tests and metrics. */
  get memoryBytes(): number {
    return this.#memory.size;
  }

  /** `environment`: names and values in turn. `handlers`: which the program brings. */
  createGate(
    config: string, environment: string[], handlers: HandlerKinds = {},
  ): Made<{ handle: number; upstreamUrl: string; warnings: string[] }> {
    return this.#call(() => {
      const { words, textBytes } = writeTexts(this.#memory, [config, ...environment]);
      const flags = (handlers.authenticate === true ? 1 : 0) | (handlers.on === true ? 2 : 0);
      return this.#made(this.#exports.postern_create_gate(words, textBytes, flags), (reader) => ({
        handle: reader.word(), upstreamUrl: reader.text(), warnings: reader.texts(),
      }));
    });
  }

  /** From now on the gate's exchanges ask about signatures of these algorithms. */
  useHostVerifier(gate: number, algorithms: readonly string[]): void {
    this.#call(() => {
      const { words, textBytes } = writeTexts(this.#memory, algorithms);
      this.#exports.postern_use_host_verifier(gate, words, textBytes);
    });
  }

  /** The public key of a handle, as the text of a JWK. */
  keyJwk(gate: number, keyHandle: bigint): string {
    return this.#call(() => this.#textOf(this.#exports.postern_key_jwk(gate, keyHandle)));
  }

  /** The configuration that an environment makes, by its well-known names alone. */
  environmentConfig(env: Readonly<Record<string, unknown>>): Made<{ text: string }> {
    return this.#call(() => {
      this.#exports.postern_environment_names();
      const pairs = new Reader(this.#memory, this.#ledger).texts().flatMap((name) => {
        const value = env[name];
        return typeof value === "string" ? [name, value] : [];
      });
      const { words, textBytes } = writeTexts(this.#memory, pairs);
      return this.#made(this.#exports.postern_environment_config(words, textBytes), (reader) => ({ text: reader.text() }));
    });
  }

  closeGate(gate: number): void {
    if (!this.dead) this.#call(() => this.#exports.postern_close_gate(gate));
  }

  verifyJws(jws: string, jwkSet: string, symmetric: boolean): { payload: Uint8Array } | { code: string } {
    return this.#call(() => {
      const { words, textBytes } = writeQuestion(this.#memory, [jws, jwkSet]);
      const answer = this.#exports.postern_verify_jws(words, textBytes, symmetric ? 1 : 0);
      return answer === answers.given ? { payload: new Reader(this.#memory, this.#ledger).body() } : { code: this.#refusal(answer) };
    });
  }

  /** Why it does not verify. */
  verifySignature(jwk: string, alg: string, input: Uint8Array, signature: Uint8Array): string | undefined {
    return this.#call(() => {
      const body = new Uint8Array(input.length + signature.length);
      body.set(input);
      body.set(signature, input.length);
      const { words, textBytes, bodyBytes } = writeQuestion(this.#memory, [jwk, alg], body);
      const answer = this.#exports.postern_verify_signature(words, textBytes, bodyBytes, input.length);
      return answer === answers.given ? undefined : this.#refusal(answer);
    });
  }

  /** The fetched keys as text; empty when there are none. */
  exportKeys(gate: number): string {
    return this.#call(() => this.#textOf(this.#exports.postern_export_keys(gate)));
  }

  /** How many issuers' keys were taken up from what exportKeys gave. */
  importKeys(gate: number, text: string, now: number): number {
    return this.#call(() => {
      const { words, textBytes } = writeTexts(this.#memory, [text]);
      return this.#exports.postern_import_keys(gate, words, textBytes, now);
    });
  }

  /** Grows with every key fetch that was of use. */
  keysVersion(gate: number): number {
    return this.#call(() => this.#exports.postern_keys_version(gate));
  }

  keyFaults(gate: number): string[] {
    return this.#call(() =>
      this.#exports.postern_key_faults(gate) === answers.given ? new Reader(this.#memory, this.#ledger).texts() : []);
  }

  /** Replaces the host's denylist. */
  setDenylist(gate: number, text: string): Made<{ entries: number }> {
    return this.#call(() => {
      const { words, textBytes } = writeTexts(this.#memory, [text]);
      return this.#made(this.#exports.postern_set_denylist(gate, words, textBytes), (reader) => ({ entries: reader.word() }));
    });
  }

  /** Whether whoever opened a stream has been denied since. */
  isDenied(gate: number, credential: string): boolean {
    return this.#call(() => {
      const { words, textBytes } = writeTexts(this.#memory, [credential]);
      return this.#exports.postern_is_denied(gate, words, textBytes) !== 0;
    });
  }

  /** The first step of a request, and the exchange that it belongs to; 0: that is its last step as well, and there is nothing to close. */
  open(
    gate: number, purpose: Purpose, method: string, target: string, headers: Iterable<[string, string]>, now: number,
  ): { exchange: number; step: Step } {
    // This, `next`, `giveVerdict` and `close` are in every request: #call without its closure.
    this.#checkAlive();
    try {
      const { words, textBytes } = writeHead(this.#memory, method, target, headers);
      const exchange = this.#exports.postern_open(gate, purposes[purpose], now, words, textBytes);
      const refused = exchange === 0 ? readNotOpened(this.#memory, this.#ledger) : undefined;  // before the list, as below
      if (refused !== undefined) throw new CoreRefused("no exchange was opened", this.errors[refused]!.code);
      return { exchange, step: readStep(this.#memory, this.#ledger) };
    } catch (fault) {
      throw this.#faultOf(fault);
    }
  }

  /** Switches the gate's cache of verified tokens on; 16 random bytes. False: the configuration wants none. */
  seed(gate: number, random: Uint8Array): boolean {
    const view = new DataView(random.buffer, random.byteOffset, 16);
    return this.#call(() => this.#exports.postern_seed(gate, view.getBigUint64(0, true), view.getBigUint64(8, true)) !== 0);
  }

  /** The user that `authenticated` said to be kept for this Authorization header, while it is good. */
  recall(gate: number, authorization: string, now: number, users: UserTable): User | undefined {
    if (this.dead) return undefined;
    try {
      const bytes = writeText(this.#memory, authorizationBytesMax, authorization);
      const slot = this.#exports.postern_recall(gate, bytes, now) - 1;
      return slot < 0 ? undefined : users.get(slot, readRecalledSerial(this.#memory, this.#ledger));
    } catch {
      // A trap. Whoever asks on finds a new instance.
      this.dead = true;
      return undefined;
    }
  }

  /** The step after the one that was carried out. */
  next(exchange: number, now: number): Step {
    this.#checkAlive();
    try {
      if (this.#exports.postern_next(exchange, now) === 0) throw new CoreRefused("no such exchange");
      return readStep(this.#memory, this.#ledger);
    } catch (fault) {
      throw this.#faultOf(fault);
    }
  }

  giveBody(exchange: number, stepId: bigint, state: BodyState, body: Uint8Array, now: number): void {
    this.#call(() => {
      const { bodyBytes } = writeBody(this.#memory, body);
      this.#check(this.#exports.postern_give_body(exchange, stepId, bodyStates[state], bodyBytes, now));
    });
  }

  giveReply(exchange: number, stepId: bigint, reply: IncomingResponse, now: number): void {
    this.#call(() => {
      const { words, textBytes, bodyBytes } = this.#response(reply);
      this.#check(this.#exports.postern_give_reply(exchange, stepId, words, textBytes, bodyBytes, now));
    });
  }

  giveFetch(gate: number, fetchId: bigint, response: IncomingResponse, now: number): void {
    this.#call(() => {
      const { words, textBytes, bodyBytes } = this.#response(response);
      this.#check(this.#exports.postern_give_fetch(gate, fetchId, words, textBytes, bodyBytes, now));
    });
  }

  giveVerdict(exchange: number, stepId: bigint, verdict: Verdict, now: number): void {
    this.#checkAlive();
    try {
      this.#check(this.#exports.postern_give_verdict(exchange, stepId, verdicts[verdict], now));
    } catch (fault) {
      throw this.#faultOf(fault);
    }
  }

  giveHandled(exchange: number, stepId: bigint, result: HandlerResult, now: number): void {
    this.#call(() => {
      const { words, textBytes } = writeHandled(this.#memory, result);
      this.#check(this.#exports.postern_give_handled(exchange, stepId, words, textBytes, now));
    });
  }

  fail(exchange: number, stepId: bigint): void {
    this.#call(() => this.#check(this.#exports.postern_fail(exchange, stepId)));
  }

  due(gate: number, now: number): Due {
    return this.#call(() => {
      if (this.#exports.postern_due(gate, now) === 0) throw new CoreRefused("no such gate");
      return readDue(this.#memory, this.#ledger);
    });
  }

  /** Ends an exchange; harmless when the instance is gone or the exchange over. */
  close(exchange: number): void {
    if (this.dead) return;
    try {
      this.#exports.postern_close(exchange);
    } catch (fault) {
      throw this.#faultOf(fault);
    }
  }

  /** The calls themselves, for tests that must break one. */
  get exportsForTests(): Exports {
    return this.#exports;
  }

  #response(response: IncomingResponse): Written {
    return writeResponse(this.#memory, response);
  }

  /** The one text that a call gives; empty where it gives none. */
  #textOf(answer: number): string {
    return answer === answers.given ? new Reader(this.#memory, this.#ledger).text() : "";
  }

  #made<T extends object>(answer: number, read: (reader: Reader) => T): Made<T> {
    if (answer === answers.unknown) throw new CoreRefused("no such gate");
    const reader = new Reader(this.#memory, this.#ledger);
    if (answer === answers.given) return read(reader);
    return { error: { line: reader.word(), column: reader.word(), path: reader.text(), message: reader.text() } };
  }

  /** Of verifyJws and verifySignature. */
  #refusal(answer: number): string {
    if (answer !== answers.fault) throw new Error("the core could not read a message");
    // Read before the list: the first look at the list is a call of its own, whose answer takes the message's place.
    const row = readRefusal(this.#memory, this.#ledger);
    return this.errors[row]!.code;
  }

  #check(outcome: number): void {
    // A gate that was closed meanwhile. Anything else means that the two sides disagree about the layout.
    if (outcome === outcomes.handleUnknown) throw new CoreRefused("no such exchange or gate");
    if (outcome !== outcomes.done) throw new Error("the core could not read a message");
  }

  #call<T>(call: () => T): T {
    this.#checkAlive();
    try {
      return call();
    } catch (fault) {
      throw this.#faultOf(fault);
    }
  }

  #checkAlive(): void {
    if (this.dead) throw new CoreTrapped("the wasm instance trapped while this request was open");
  }

  #faultOf(fault: unknown): Error {
    if (fault instanceof CoreRefused) return fault;
    // A trap, a stack overflow, a message that makes no sense: whatever it is, nothing more is asked of it.
    this.dead = true;
    return new CoreTrapped("the wasm instance trapped", { cause: fault });
  }
}
