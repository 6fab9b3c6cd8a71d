// What a user may touch, in the words of other backends. The core renders; these are the shapes. See docs/filters.md.

/** The resources whose objects have metadata. The store's rules are about namespaces instead. */
export type FilterResource = "threads" | "assistants" | "crons";
export type FilterAction = "create" | "read" | "update" | "delete" | "search" | "create_run";

/** Somebody whom the program has authenticated; what `gate.authenticate` gives fits. */
export interface HostUser {
  /** 1 to 256 bytes, no control characters. */
  identity: string;
  /** Default: the identity. */
  displayName?: string;
  permissions?: readonly string[];
  /** For `$user.claims.NAME` in the policy. */
  claims?: Readonly<Record<string, unknown>>;
}

/** How the SQL is to be written. */
export interface FilterForm {
  /** `postgres` (the default): the column is `jsonb`. `sqlite`: it holds JSON text; SQLite 3.38 or newer. */
  dialect?: "postgres" | "sqlite";
  /** `NAME` or `TABLE.NAME`, spelled as the database stores it. Default: `metadata`. */
  column?: string;
  /** `"?"`, or `"$N"` with the number of the first parameter. Default: `"$1"` for postgres, `"?"` for sqlite. */
  placeholder?: string;
}

/** A condition for `WHERE`, and its parameters in order. All of them are text. */
export interface SqlCondition {
  where: string;
  parameters: string[];
}

/** What a handler of LangGraph's `Auth.on` returns. */
export type LangGraphFilter = boolean | Record<string, unknown>;

/** A node of Cerbos' query plan. */
export type CerbosOperand =
  | { value: string | number | boolean }
  | { variable: string }
  | { expression: { operator: "and" | "or" | "eq" | "in" | "index"; operands: CerbosOperand[] } };

/** The `filter` of Cerbos' PlanResources. */
export type CerbosPlan =
  | { kind: "KIND_ALWAYS_ALLOWED" | "KIND_ALWAYS_DENIED" }
  | { kind: "KIND_CONDITIONAL"; condition: CerbosOperand };

/** One answer of the policy in every form. */
export interface FilterFor {
  kind: "always_allowed" | "always_denied" | "conditional";
  /** The key of the policy's row that decided; missing when it is denied. */
  rule?: string;
  /** Null when the filter nests deeper than LangGraph's two levels of `$and` and `$or`. */
  langgraph: LangGraphFilter | null;
  sql: SqlCondition;
  /** The same by containment of the whole column, which a GIN index answers. Null for sqlite. */
  jsonb: SqlCondition | null;
  cerbos: CerbosPlan;
}

/** The user as the core reads it. */
export function userText(user: HostUser): string {
  const { identity, displayName, permissions, claims } = user;
  return JSON.stringify({ identity, display_name: displayName, permissions, claims });
}
