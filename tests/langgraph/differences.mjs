// Where the gate answers otherwise than LangGraph's own auth. docs/langgraph.md has a sentence for each id.

/** @typedef {{ who: string, what: string, kind: string, own: string, gate: string }} About */

/** @type {{ id: string, is: (about: About) => boolean }[]} */
export const differences = [];
