// Browsers: fetched beside this file. Bundlers that know `new URL(..., import.meta.url)` copy it along.
export async function load(): Promise<WebAssembly.Module> {
  const url = new URL("./core.wasm", import.meta.url);
  const response = await fetch(url);
  if (!response.ok) {
    throw new Error(
      `postern: ${url.pathname} answered ${response.status}. The bundler did not copy core.wasm; ` +
        'import "postern/inline" instead, or serve "postern/core.wasm" there.',
    );
  }
  // compileStreaming insists on the right content type, which some servers do not send.
  const streamed = response.headers.get("content-type")?.startsWith("application/wasm") ?? false;
  return streamed ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
}
