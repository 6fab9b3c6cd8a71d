// workerd: an imported .wasm file is a compiled module. It compiles no bytes at run time.
import module from "./core.wasm";

export const load = (): WebAssembly.Module => module;
