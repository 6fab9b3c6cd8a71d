// Node: read beside this file, synchronously, so that `require("postern")` works where Node allows it.
import { readFileSync } from "node:fs";

export const load = (): WebAssembly.Module =>
  new WebAssembly.Module(readFileSync(new URL("./core.wasm", import.meta.url)));
