// Where the gate answers otherwise than LangGraph's own auth. docs/langgraph.md has a sentence for each id.

/** @typedef {{ who: string, what: string, kind: string, own: string, gate: string }} About */

/** @param {RegExp} what @param {(about: About) => boolean} [more] */
const on = (what, more = () => true) => (/** @type {About} */ about) => what.test(about.what) && more(about);

/** @type {{ id: string, is: (about: About) => boolean }[]} */
export const differences = [
  { id: "foreign-assistant", is: on(/^runs\.wait with the assistant$/, ({ who, gate }) => who === "bob" && gate === "404") },
  { id: "run-without-thread", is: on(/^GET \/runs\/\{run_id\}\/stream$/, ({ gate }) => gate === "403") },
  { id: "internal", is: on(/^POST \/internal\/truncate$/, ({ own, gate }) => own.startsWith("200") && ["401", "403"].includes(gate)) },
  { id: "open-session", is: on(/commands, state\.get$/, ({ who, gate }) => who === "bob" && gate === "404") },
  { id: "studio", is: on(/x-auth-scheme/, ({ gate, who }) => gate === (who === "alice" || who === "bob" ? "200" : "401")) },
  { id: "reserved-keys", is: on(/langgraph_auth_user$/, ({ gate }) => gate === "400") },
  { id: "system-assistants", is: on(/^assistants\.(get of the server's own|search|count)$/, ({ gate }) => gate === "200") },
  { id: "stateless-runs", is: on(/^runs\.(wait|stream) (without a thread|with the assistant)$/, ({ kind, gate }) => kind === "python" && gate === "200") },
  { id: "join-of-a-foreign-run", is: on(/^runs\.joinStream$/, ({ own, gate }) => own.endsWith("error event") && gate === "404") },
  { id: "own-namespaces", is: on(/^store\.listNamespaces without a prefix$/, ({ gate }) => gate.startsWith("200")) },
  { id: "method-not-there", is: on(/^threads\.patchState$/, ({ kind, gate }) => kind === "js" && gate === "405") },
  { id: "first-whose-it-is", is: on(/^crons\./, ({ kind, gate }) => kind === "js" && gate === "404") },
  { id: "cron-without-metadata", is: on(/^crons\.(search|count)$/, ({ own, gate }) => own === "200 none" && gate === "200") },
];
