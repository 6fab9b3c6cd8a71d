// The gate's route table, for people, documentation and tests.
import { currentTools } from "./tools.js";

/** One row: a method and a path, and what the gate does there. */
export interface LangGraphRoute {
  /** A `GET` row answers `HEAD` too. */
  method: string;
  /** Segments in braces stand for an id, a graph's name or a word: `/threads/{thread_id}/runs`. */
  path: string;
  resource: "threads" | "assistants" | "crons" | "store";
  action: "create" | "read" | "update" | "delete" | "search" | "create_run" | "put" | "get" | "list_namespaces";
  /**
   * How the decision is enforced. `open`: no credential is needed. `operators`: refused, unless the configuration opens it.
   * `denied`: always refused. The others are the flows of core/src/enforcement.cpp.
   */
  treatment: string;
  /** The body fields that a client may send; `upstream.allow_fields` admits more. */
  body: string[];
  /** The query parameters that a client may send. */
  query: string[];
  /** The reply waits for the graph: no time limit to its first byte. */
  streams: boolean;
  /** Why a denied row is denied. */
  why?: string;
}

/** Every method and path of the LangGraph servers that the gate knows. What has no row is refused. */
export async function langgraphRoutes(): Promise<LangGraphRoute[]> {
  return JSON.parse((await currentTools()).glue.routeList()) as LangGraphRoute[];
}
