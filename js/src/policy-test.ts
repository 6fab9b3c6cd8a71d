// Tests of a policy, as a table. The core plays them; see docs/policy-tests.md.
import type { GateConfig } from "./config.js";
import { ConfigError, type ErrorCode } from "./errors.js";
import type { HostUser } from "./filter.js";
import { currentTools } from "./tools.js";

/** One row: who asks for what, and what must come of it. */
export interface PolicyCase {
  name: string;
  /** Keys as in a file: `display_name`. */
  user: "anonymous" | (Omit<HostUser, "displayName"> & { display_name?: string });
  request: { method?: string; target: string; headers?: Readonly<Record<string, string>>; body?: unknown };
  /** What the upstream holds before the request. */
  objects?: {
    threads?: readonly PolicyObject[];
    assistants?: readonly PolicyObject[];
    crons?: readonly PolicyObject[];
    store?: readonly { namespace: readonly string[]; key: string; value?: unknown }[];
  };
  /** What the upstream answers on routes of the configuration: `{"GET /notes/1": {...}}`. */
  replies?: Readonly<Record<string, unknown>>;
  expect: {
    outcome: PolicyOutcome;
    status?: number;
    code?: ErrorCode;
    rule?: string;
    filter?: unknown;
    stamped?: Readonly<Record<string, unknown>>;
    forwarded?: { method?: string; target?: string; body?: unknown };
    ids?: readonly string[];
  };
}

export interface PolicyObject {
  id: string;
  metadata?: Readonly<Record<string, unknown>>;
  readonly [member: string]: unknown;
}

export type PolicyOutcome = "allow" | "deny" | "not_found";

export interface PolicyTests {
  /** The configuration, or the path of its file: its text must then be given beside the tests. */
  config: GateConfig | string;
  cases: readonly PolicyCase[];
}

export interface PolicyTestResult {
  name: string;
  passed: boolean;
  outcome: PolicyOutcome;
  /** Of the final reply. */
  status: number;
  /** Of the refusal; missing when the reply is the upstream's. */
  code?: ErrorCode;
  /** The key of the policy's row; missing when the request did not get to the policy. */
  rule?: string;
  /** The expectations that were not met; empty when it passed. */
  differences: { what: string; expected: unknown; got: unknown }[];
}

export interface PolicyTestReport {
  failed: number;
  results: PolicyTestResult[];
}

/**
 * Plays a table of policy tests: an object, or the text of a file (JSON with comments). Sends nothing and needs no secret.
 *
 * `config` replaces the configuration of the tests, and is needed where they name a file.
 *
 * @throws {ConfigError} when the tests or the configuration cannot be used; it says where and how to mend it.
 */
export async function testPolicy(tests: PolicyTests | string, options: { config?: GateConfig | string } = {}): Promise<PolicyTestReport> {
  const text = typeof tests === "string" ? tests : JSON.stringify(tests);
  const { config = "" } = options;
  let made: { results: string[] };
  try {
    made = (await currentTools()).call((glue) => glue.testPolicy(text, typeof config === "string" ? config : JSON.stringify(config)));
  } catch (fault) {
    // A place in a text the caller has never seen would mislead.
    if (fault instanceof ConfigError && typeof tests !== "string") {
      throw new ConfigError({ line: 0, column: 0, path: fault.path, message: fault.detail });
    }
    throw fault;
  }
  const results = made.results.map((line) => JSON.parse(line) as PolicyTestResult);
  return { failed: results.filter(({ passed }) => !passed).length, results };
}
