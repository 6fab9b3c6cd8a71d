// Browsers: fetched beside this file. Bundlers that know `new URL(..., import.meta.url)` copy it along.
async function compiled(url: URL, name: string): Promise<WebAssembly.Module> {
  const response = await fetch(url);
  if (!response.ok) {
    throw new Error(
      `postern: ${url.pathname} answered ${response.status}. The bundler did not copy ${name}; ` +
        `import "postern/inline" instead, or serve "postern/${name}" there.`,
    );
  }
  // compileStreaming insists on the right content type, which some servers do not send.
  const streamed = response.headers.get("content-type")?.startsWith("application/wasm") ?? false;
  return streamed ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
}

export const load = (): Promise<WebAssembly.Module> => compiled(new URL("./core.wasm", import.meta.url), "core.wasm");

export const loadTools = async () => ({
  module: await compiled(new URL("./tools.wasm", import.meta.url), "tools.wasm"),
  createGlue: (await import("./tools-glue.js")).default,
});
