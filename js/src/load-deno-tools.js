// Compiled when it is imported, and so imported when it is needed.
import source module from "./tools.wasm";

export { module };
