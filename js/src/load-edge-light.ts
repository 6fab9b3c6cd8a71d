// Vercel and Next.js: the `?module` suffix asks the bundler for a compiled module.
import module from "./core.wasm?module";

export const load = (): WebAssembly.Module => module;
