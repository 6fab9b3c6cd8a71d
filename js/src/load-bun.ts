// Bun: the import gives a path, which `bun build` rewrites when it copies the file.
import { readFileSync } from "node:fs";
import core from "./core.wasm" with { type: "file" };
import tools from "./tools.wasm" with { type: "file" };

const compiled = (file: unknown): WebAssembly.Module =>
  new WebAssembly.Module(readFileSync(new URL(file as string, import.meta.url)));

export const load = (): WebAssembly.Module => compiled(core);

export const loadTools = async () => ({
  module: compiled(tools), createGlue: (await import("./tools-glue.js")).default,
});
