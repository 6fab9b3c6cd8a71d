// load-deno.js is copied as it is: TypeScript 5 does not know `import source`.
import type { ToolsSource } from "./tools.js";

export function load(): WebAssembly.Module;
export const loadTools: ToolsSource;
