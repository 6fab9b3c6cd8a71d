// What this package throws at the program that uses it, and the answers a host makes by itself.

/** Every way a request can be refused; the list is core/include/postern/error.h, and a test compares. */
export type ErrorCode =
  | "credential_missing" | "credential_malformed" | "credential_duplicated" | "credential_unknown"
  | "credential_refused" | "credential_revoked" | "origin_not_allowed" | "authority_unavailable"
  | "token_too_large" | "jws_malformed" | "header_malformed" | "header_unsupported" | "type_not_allowed"
  | "algorithm_not_allowed" | "payload_malformed" | "issuer_unknown" | "key_unknown" | "key_ambiguous"
  | "keys_unavailable" | "signature_malformed" | "signature_invalid" | "claim_malformed" | "claim_missing"
  | "issuer_mismatch" | "audience_mismatch" | "token_expired" | "token_not_yet_valid"
  | "token_issued_in_future" | "token_kind_not_allowed" | "claim_mismatch" | "identity_malformed"
  | "method_not_allowed" | "target_malformed" | "route_unknown" | "route_denied" | "policy_denied"
  | "handler_denied" | "scope_insufficient" | "query_not_accepted" | "body_malformed" | "body_too_large"
  | "body_encoding_unsupported" | "field_not_accepted" | "field_malformed" | "assistant_not_allowed"
  | "filter_not_enforceable" | "search_not_enforceable" | "namespace_denied" | "object_unknown"
  | "object_exists" | "copy_source_unknown" | "upstream_failed" | "upstream_timeout" | "reply_too_large"
  | "gate_overloaded" | "handler_failed" | "handler_timeout" | "step_mismatch" | "host_failed";

/** The answers a host gives without the core: the upstream is gone, or the instance is. */
export const hostErrors = {
  credential_revoked: [401, "the token or key has been revoked"],
  body_malformed: [400, "the body is not strict JSON of the expected shape"],
  body_too_large: [413, "the body is larger than the limit"],
  upstream_failed: [502, "the upstream did not give a usable answer"],
  upstream_timeout: [504, "the upstream did not answer in time"],
  authority_unavailable: [503, "the authority that knows the token cannot be asked"],
  gate_overloaded: [503, "too many requests are open"],
  host_failed: [500, "the host could not carry out a step"],
} as const satisfies Partial<Record<ErrorCode, readonly [number, string]>>;

/** An answer in the core's shape: `{"detail": ..., "code": ...}`. */
export function errorResponse(code: keyof typeof hostErrors): Response {
  const [status, detail] = hostErrors[code];
  const headers: Record<string, string> = { "content-type": "application/json", "cache-control": "no-store" };
  if (status === 503) headers["retry-after"] = "1";
  if (status === 401) headers["www-authenticate"] = `Bearer error="invalid_token", error_description="${detail}"`;  // RFC 6750 section 3
  return new Response(JSON.stringify({ detail, code }), { status, headers });
}

/**
 * The configuration cannot be used. Says where the fault is and how to mend it; holds names of keys,
 * never their values.
 */
export class ConfigError extends Error {
  override name = "ConfigError";
  /** 1-based; 0 when the fault has no place in a text, as when the configuration was an object. */
  readonly line: number;
  /** 1-based; 0 when the fault has no place in a text. */
  readonly column: number;
  /** For example `issuers[0].audience`. */
  readonly path: string;
  /** The sentence alone; `message` has line, column and path in front of it. */
  readonly detail: string;

  constructor(fault: { line: number; column: number; path: string; message: string }) {
    const place = fault.line === 0 ? "" : `${fault.line}:${fault.column}: `;
    super(place + (fault.path === "" ? "" : `${fault.path}: `) + fault.message);
    this.line = fault.line;
    this.column = fault.column;
    this.path = fault.path;
    this.detail = fault.message;
  }
}

/** The credential is not good, or cannot be judged at the moment (status 503). */
export class AuthError extends Error {
  override name = "AuthError";
  /** The HTTP status for the client: 401, 400, 503 or 500. */
  readonly status: number;
  readonly code: ErrorCode;
  #headers: Headers | [name: string, value: string][];
  readonly #body: Uint8Array<ArrayBuffer>;

  constructor(
    code: ErrorCode, detail: string, status: number, headers: Headers | [name: string, value: string][], body: Uint8Array<ArrayBuffer>,
    options?: ErrorOptions,
  ) {
    super(detail, options);
    this.code = code;
    this.status = status;
    this.#headers = headers;
    this.#body = body;
  }

  /** With `www-authenticate` where the status asks for it. */
  get headers(): Headers {
    // Made when they are asked for: in Node they cost more than refusing did.
    if (!(this.#headers instanceof Headers)) this.#headers = new Headers(this.#headers);
    return this.#headers;
  }

  /** The answer the gate itself would give, as often as it is asked for. */
  toResponse(): Response {
    return new Response(this.#body, { status: this.status, headers: this.headers });
  }
}

/** What may be printed of an unexpected fault: its kind. A message could quote a URL or a header. */
export function nameOf(fault: unknown): string {
  if (!(fault instanceof Error)) return typeof fault;
  return fault.cause instanceof Error ? `${fault.name} (${fault.cause.name})` : fault.name;
}
