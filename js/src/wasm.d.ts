// What bundlers and workerd make of an imported .wasm file. Bun's `type: "file"` gives a path instead,
// and says so with a cast where it is used.
declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
declare module "*.wasm?module" {
  const module: WebAssembly.Module;
  export default module;
}
