// Emscripten's JavaScript beside the wasm file; the build copies it to dist/glue.js.

/** The request path: plain numbers in, plain numbers out. The layout is in wasm/abi.h. */
export interface RawExports {
  _postern_abi_version(): number;
  _postern_ledger(): number;
  _postern_input(bytes: number): number;
  _postern_seed(gate: number, low: bigint, high: bigint): void;
  _postern_recall(gate: number, bytes: number, now: number): number;
  _postern_open(gate: number, purpose: number, now: number, words: number, textBytes: number): number;
  _postern_next(exchange: number, now: number): number;
  _postern_give_body(exchange: number, stepId: bigint, state: number, bodyBytes: number, now: number): number;
  _postern_give_reply(
    exchange: number, stepId: bigint, words: number, textBytes: number, bodyBytes: number, now: number,
  ): number;
  _postern_give_verdict(exchange: number, stepId: bigint, verdict: number, now: number): number;
  _postern_fail(exchange: number, stepId: bigint): number;
  _postern_give_fetch(
    gate: number, fetchId: bigint, words: number, textBytes: number, bodyBytes: number, now: number,
  ): number;
  _postern_due(gate: number, now: number): number;
  _postern_close(exchange: number): void;
}

/** Where and what is wrong in what the host gave. */
export interface ArgumentFault { line: number; column: number; path: string; message: string }

/** The cold path, by Embind. */
export interface Bindings {
  createGate(
    config: string, environment: string[],
  ):
    | { handle: number; upstreamUrl: string; warnings: string[]; error?: undefined }
    | { error: { line: number; column: number; path: string; message: string } };
  environmentConfig(environment: string[]): { text: string; error?: undefined } | { error: ArgumentFault };
  environmentNames(): string[];
  closeGate(gate: number): void;
  useHostVerifier(gate: number, algorithms: readonly string[]): void;
  keyJwk(gate: number, keyHandle: bigint): string;
  exportKeys(gate: number): string;
  importKeys(gate: number, text: string, now: number): number;
  keysVersion(gate: number): number;
  keyFaults(gate: number): string[];
  setDenylist(gate: number, text: string): { entries: number; error?: undefined } | { error: ArgumentFault };
  isDenied(gate: number, credential: string): boolean;
  explain(
    gate: number, method: string, target: string, headers: string[], body: string, now: number,
  ): string;
  verifyJws(jws: string, jwkSet: string, symmetric: boolean): { payload: Uint8Array } | { code: string };
  verifySignature(jwk: string, alg: string, input: Uint8Array, signature: Uint8Array): { code?: string };
  filterFor(
    gate: number, user: string, resource: string, action: string, sqlite: boolean, column: string, placeholder: string,
  ): { text: string; error?: undefined } | { error: ArgumentFault };
  filterMatches(
    gate: number, user: string, resource: string, action: string, metadata: string,
  ): { matches: boolean; error?: undefined } | { error: ArgumentFault };
  testPolicy(tests: string, config: string): { results: string[]; error?: undefined } | { error: ArgumentFault };
  /** The error list: a line each, code, status and sentence with tabs between. */
  errors(): string;
  /** The route table as JSON text; postern/route_list.h has its form. */
  routeList(): string;
}

export type Glue = RawExports & Bindings;

export default function createGlue(options: {
  instantiateWasm(
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ): WebAssembly.Exports;
  print?: (text: string) => void;
  printErr?: (text: string) => void;
}): Promise<Glue>;
