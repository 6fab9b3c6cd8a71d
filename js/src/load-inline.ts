// Anywhere else: the wasm travels as text inside the JavaScript.
import { base64 } from "./core-inline.js";

function compiled(base64: string): Promise<WebAssembly.Module> {
  // A plain loop: Uint8Array.from with a callback takes ten times as long.
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return WebAssembly.compile(bytes);
}

export const load = (): Promise<WebAssembly.Module> => compiled(base64);

export const loadTools = async () => ({
  module: await compiled((await import("./tools-inline.js")).base64), createGlue: (await import("./tools-glue.js")).default,
});
