// What the wasm exports: plain numbers in, plain numbers out. The layout of the messages is in wasm/abi.h.

export interface Exports {
  readonly memory: WebAssembly.Memory;
  postern_abi_version(): number;
  postern_ledger(): number;
  postern_input(bytes: number): number;
  postern_seed(gate: number, low: bigint, high: bigint): number;
  postern_recall(gate: number, bytes: number, now: number): number;
  postern_open(gate: number, purpose: number, now: number, words: number, textBytes: number): number;
  postern_next(exchange: number, now: number): number;
  postern_give_body(exchange: number, stepId: bigint, state: number, bodyBytes: number, now: number): number;
  postern_give_reply(
    exchange: number, stepId: bigint, words: number, textBytes: number, bodyBytes: number, now: number,
  ): number;
  postern_give_handled(exchange: number, stepId: bigint, words: number, textBytes: number, now: number): number;
  postern_give_verdict(exchange: number, stepId: bigint, verdict: number, now: number): number;
  postern_fail(exchange: number, stepId: bigint): number;
  postern_give_fetch(
    gate: number, fetchId: bigint, words: number, textBytes: number, bodyBytes: number, now: number,
  ): number;
  postern_due(gate: number, now: number): number;
  postern_close(exchange: number): void;

  // wasm/setup.cpp and verify.cpp: an Answer, unless their comments say otherwise.
  postern_errors(): number;
  postern_create_gate(words: number, textBytes: number, handlers: number): number;
  postern_environment_names(): number;
  postern_environment_config(words: number, textBytes: number): number;
  postern_close_gate(gate: number): void;
  postern_use_host_verifier(gate: number, words: number, textBytes: number): number;
  postern_key_jwk(gate: number, keyHandle: bigint): number;
  postern_export_keys(gate: number): number;
  postern_import_keys(gate: number, words: number, textBytes: number, now: number): number;
  postern_keys_version(gate: number): number;
  postern_key_faults(gate: number): number;
  postern_set_denylist(gate: number, words: number, textBytes: number): number;
  postern_is_denied(gate: number, words: number, textBytes: number): number;
  postern_verify_jws(words: number, textBytes: number, symmetric: number): number;
  postern_verify_signature(words: number, textBytes: number, bodyBytes: number, signedBytes: number): number;
  /** The reactor's start; nothing runs in it but what the C library needs. */
  _initialize(): void;
}
