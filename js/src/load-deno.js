// Deno: `import source` gives a compiled module and needs no permission to read files.
import source module from "./core.wasm";

export const load = () => module;

export const loadTools = async () => ({
  module: (await import("./load-deno-tools.js")).module, createGlue: (await import("./tools-glue.js")).default,
});
