// Node: read beside this file, synchronously, so that `require("postern")` works where Node allows it.
import { readFileSync } from "node:fs";

const compiled = (url: URL): WebAssembly.Module => new WebAssembly.Module(readFileSync(url));

export const load = (): WebAssembly.Module => compiled(new URL("./core.wasm", import.meta.url));

export const loadTools = async () => ({
  module: compiled(new URL("./tools.wasm", import.meta.url)), createGlue: (await import("./tools-glue.js")).default,
});
