// Emscripten's JavaScript beside the tools' wasm, with the bindings of wasm/tools.cpp; the build copies it to dist/tools-glue.js.

/** Where and what is wrong in what the host gave. */
export interface ArgumentFault { line: number; column: number; path: string; message: string }

export interface ToolsGlue {
  createGate(config: string, environment: string[], authenticate: boolean, on: boolean): { handle: number } | { error: ArgumentFault };
  closeGate(gate: number): void;
  importKeys(gate: number, text: string, now: number): number;
  setDenylist(gate: number, text: string): { entries: number } | { error: ArgumentFault };
  explain(gate: number, method: string, target: string, headers: string[], body: string, now: number): string;
  filterFor(
    gate: number, user: string, resource: string, action: string, sqlite: boolean, column: string, placeholder: string,
  ): { text: string } | { error: ArgumentFault };
  filterMatches(
    gate: number, user: string, resource: string, action: string, metadata: string,
  ): { matches: boolean } | { error: ArgumentFault };
  testPolicy(tests: string, config: string): { results: string[] } | { error: ArgumentFault };
  /** The route table as JSON text; postern/route_list.h has its form. */
  routeList(): string;
}

export default function createGlue(options: {
  instantiateWasm(
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ): WebAssembly.Exports;
  printErr?: (text: string) => void;
}): Promise<ToolsGlue>;
