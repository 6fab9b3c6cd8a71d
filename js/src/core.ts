// One wasm instance, and its replacement when it traps.
//
// A trap leaves an instance in a state nobody has thought about. It is never called again: a new one is
// made, with the next epoch, and every exchange of the old one ends in 500 (invariant handles).
import createGlue, { type Glue } from "./glue.js";
import {
  abiVersion, bodyStates, Memory, outcomes, purposes, readDue, readRecalledSerial, readRefusal, readStep, writeBody, writeHead,
  writeResponse, writeText,
  verdicts, type BodyState, type Due, type IncomingResponse, type Purpose, type Room, type Step, type User, type Verdict, type Written,
} from "./abi.js";
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
  const fresh = await Core.create(compiled, ++epochs);
  if (current === undefined || current.dead) current = fresh;
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
export type UserTable = ({ serial: number; user: User } | undefined)[];

// jws_bytes_max of core/src/jws.h, and the scheme before it. What is longer is for the core to refuse.
const authorizationBytesMax = 8 * 1024 + 64;

export interface ErrorRow { code: string; status: number; sentence: string }

export class Core {
  /** True from the first throw out of the instance on. */
  dead = false;
  #glue: Glue;
  #memory: Memory;
  #ledger: number;
  #errors: ErrorRow[];

  private constructor(readonly epoch: number, glue: Glue, memory: WebAssembly.Memory) {
    this.#glue = glue;
    this.#memory = new Memory(memory);
    this.#ledger = glue._postern_ledger();
    this.#errors = glue.errors().trimEnd().split("\n").map((line) => {
      const [code = "", status, sentence = ""] = line.split("\t");
      return { code, status: Number(status), sentence };
    });
  }

  static async create(module: WebAssembly.Module, epoch: number): Promise<Core> {
    let memory: WebAssembly.Memory | undefined;
    const glue = await createGlue({
      // Synchronous: workerd compiles no bytes at run time, but instantiates a module that it has.
      instantiateWasm(imports, done) {
        const instance = new WebAssembly.Instance(module, imports);
        memory = Object.values(instance.exports).find((item) => item instanceof WebAssembly.Memory);
        done(instance, module);
        return instance.exports;
      },
      printErr() {},  // "Aborted(...)" is told by the throw
    });
    if (memory === undefined || glue._postern_abi_version() !== abiVersion) {
      throw new Error("postern: the wasm file and the JavaScript are from different builds");
    }
    return new Core(epoch, glue, memory);
  }

  /** Rows in the order of their numbers. */
  get errors(): readonly ErrorRow[] {
    return this.#errors;
  }

  /** The number of bytes the instance holds, for tests and metrics. */
  get memoryBytes(): number {
    return this.#memory.size;
  }

  createGate(config: string, environment: string[]): ReturnType<Glue["createGate"]> {
    return this.#call(() => this.#glue.createGate(config, environment));
  }

  /** From now on the gate's exchanges ask about signatures of these algorithms. */
  useHostVerifier(gate: number, algorithms: readonly string[]): void {
    this.#call(() => this.#glue.useHostVerifier(gate, algorithms));
  }

  /** The public key of a handle, as the text of a JWK. */
  keyJwk(gate: number, keyHandle: bigint): string {
    return this.#call(() => this.#glue.keyJwk(gate, keyHandle));
  }

  /** The configuration that an environment makes, by its well-known names alone. */
  environmentConfig(env: Readonly<Record<string, unknown>>): ReturnType<Glue["environmentConfig"]> {
    return this.#call(() => this.#glue.environmentConfig(this.#glue.environmentNames().flatMap((name) => {
      const value = env[name];
      return typeof value === "string" ? [name, value] : [];
    })));
  }

  closeGate(gate: number): void {
    if (!this.dead) this.#call(() => this.#glue.closeGate(gate));
  }

  verifyJws(jws: string, jwkSet: string, symmetric: boolean): ReturnType<Glue["verifyJws"]> {
    return this.#call(() => this.#glue.verifyJws(jws, jwkSet, symmetric));
  }

  verifySignature(jwk: string, alg: string, input: Uint8Array, signature: Uint8Array): string | undefined {
    return this.#call(() => this.#glue.verifySignature(jwk, alg, input, signature).code);
  }

  /** The fetched keys as text; empty when there are none. */
  exportKeys(gate: number): string {
    return this.#call(() => this.#glue.exportKeys(gate));
  }

  /** How many issuers' keys were taken up from what exportKeys gave. */
  importKeys(gate: number, text: string, now: number): number {
    return this.#call(() => this.#glue.importKeys(gate, text, now));
  }

  /** Grows with every key fetch that was of use. */
  keysVersion(gate: number): number {
    return this.#call(() => this.#glue.keysVersion(gate));
  }

  keyFaults(gate: number): string[] {
    return this.#call(() => this.#glue.keyFaults(gate));
  }

  /** Replaces the host's denylist. */
  setDenylist(gate: number, text: string): ReturnType<Glue["setDenylist"]> {
    return this.#call(() => this.#glue.setDenylist(gate, text));
  }

  /** Whether whoever opened a stream has been denied since. */
  isDenied(gate: number, credential: string): boolean {
    return this.#call(() => this.#glue.isDenied(gate, credential));
  }

  explain(gate: number, method: string, target: string, headers: string[], body: string, now: number): string {
    return this.#call(() => this.#glue.explain(gate, method, target, headers, body, now));
  }

  routeList(): string {
    return this.#call(() => this.#glue.routeList());
  }

  filterFor(...question: Parameters<Glue["filterFor"]>): ReturnType<Glue["filterFor"]> {
    return this.#call(() => this.#glue.filterFor(...question));
  }

  filterMatches(...question: Parameters<Glue["filterMatches"]>): ReturnType<Glue["filterMatches"]> {
    return this.#call(() => this.#glue.filterMatches(...question));
  }

  testPolicy(tests: string, config: string): ReturnType<Glue["testPolicy"]> {
    return this.#call(() => this.#glue.testPolicy(tests, config));
  }

  open(
    gate: number, purpose: Purpose, method: string, target: string, headers: Iterable<[string, string]>, now: number,
  ): number {
    return this.#call(() => {
      const { words, textBytes } = writeHead(this.#room, method, target, headers);
      const exchange = this.#glue._postern_open(gate, purposes[purpose], now, words, textBytes);
      if (exchange === 0) {
        const row = this.#errors[readRefusal(this.#memory, this.#ledger)];
        throw new CoreRefused("no exchange was opened", row?.code);
      }
      return exchange;
    });
  }

  /** Switches the gate's cache of verified tokens on; 16 random bytes. */
  seed(gate: number, random: Uint8Array): void {
    const view = new DataView(random.buffer, random.byteOffset, 16);
    this.#call(() => this.#glue._postern_seed(gate, view.getBigUint64(0, true), view.getBigUint64(8, true)));
  }

  /** The user that `authenticated` said to be kept for this Authorization header, while it is good. */
  recall(gate: number, authorization: string, now: number, users: UserTable): User | undefined {
    return this.#call(() => {
      const address = this.#glue._postern_input(authorizationBytesMax);
      const bytes = writeText(this.#memory, address, authorizationBytesMax, authorization);
      const slot = this.#glue._postern_recall(gate, bytes, now) - 1;
      if (slot < 0) return undefined;
      const kept = users[slot];
      return kept?.serial === readRecalledSerial(this.#memory, this.#ledger) ? kept.user : undefined;
    });
  }

  next(exchange: number, now: number): Step {
    return this.#call(() => {
      if (this.#glue._postern_next(exchange, now) === 0) throw new CoreRefused("no such exchange");
      return readStep(this.#memory, this.#ledger);
    });
  }

  giveBody(exchange: number, stepId: bigint, state: BodyState, body: Uint8Array, now: number): void {
    this.#call(() => {
      const { bodyBytes } = writeBody(this.#room, body);
      this.#check(this.#glue._postern_give_body(exchange, stepId, bodyStates[state], bodyBytes, now));
    });
  }

  giveReply(exchange: number, stepId: bigint, reply: IncomingResponse, now: number): void {
    this.#call(() => {
      const { words, textBytes, bodyBytes } = this.#response(reply);
      this.#check(this.#glue._postern_give_reply(exchange, stepId, words, textBytes, bodyBytes, now));
    });
  }

  giveFetch(gate: number, fetchId: bigint, response: IncomingResponse, now: number): void {
    this.#call(() => {
      const { words, textBytes, bodyBytes } = this.#response(response);
      this.#check(this.#glue._postern_give_fetch(gate, fetchId, words, textBytes, bodyBytes, now));
    });
  }

  giveVerdict(exchange: number, stepId: bigint, verdict: Verdict, now: number): void {
    this.#call(() => this.#check(this.#glue._postern_give_verdict(exchange, stepId, verdicts[verdict], now)));
  }

  fail(exchange: number, stepId: bigint): void {
    this.#call(() => this.#check(this.#glue._postern_fail(exchange, stepId)));
  }

  due(gate: number, now: number): Due {
    return this.#call(() => {
      if (this.#glue._postern_due(gate, now) === 0) throw new CoreRefused("no such gate");
      return readDue(this.#memory, this.#ledger);
    });
  }

  /** Ends an exchange; harmless when the instance is gone or the exchange over. */
  close(exchange: number): void {
    if (!this.dead) this.#call(() => this.#glue._postern_close(exchange));
  }

  /** The glue itself, for tests that must break it. */
  get glueForTests(): Glue {
    return this.#glue;
  }

  #room: Room = (bytes) => {
    const address = this.#glue._postern_input(bytes);
    if (address === 0) throw new CoreRefused("the message is larger than the core takes");
    return this.#memory.bytes.subarray(address, address + bytes);
  };

  #response(response: IncomingResponse): Written {
    return writeResponse(this.#room, response);
  }

  #check(outcome: number): void {
    // A gate that was closed meanwhile. Anything else means that the two sides disagree about the layout.
    if (outcome === outcomes.handleUnknown) throw new CoreRefused("no such exchange or gate");
    if (outcome !== outcomes.done) throw new Error("the core could not read a message");
  }

  #call<T>(call: () => T): T {
    if (this.dead) throw new CoreTrapped("the wasm instance trapped while this request was open");
    try {
      return call();
    } catch (fault) {
      if (fault instanceof CoreRefused) throw fault;
      // A trap, a stack overflow, a message that makes no sense: whatever it is, nothing more is asked of it.
      this.dead = true;
      throw new CoreTrapped("the wasm instance trapped", { cause: fault });
    }
  }
}
