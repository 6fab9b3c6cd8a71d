// load-deno.js is copied as it is: TypeScript 5 does not know `import source`.
export function load(): WebAssembly.Module;
