// Bun: the import gives a path, which `bun build` rewrites when it copies the file.
import { readFileSync } from "node:fs";
import file from "./core.wasm" with { type: "file" };

export const load = (): WebAssembly.Module =>
  new WebAssembly.Module(readFileSync(new URL(file as unknown as string, import.meta.url)));
