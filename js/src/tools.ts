// The tools: what developers, tests and backends ask, in a wasm of their own, which is loaded when it is first asked.
//
// Their gates are made of the same configuration as the one that judges requests, and judge nothing.
import { type HandlerKinds } from "./core.js";
import { ConfigError } from "./errors.js";
import type createGlue from "./tools-glue.js";
import type { ArgumentFault, ToolsGlue } from "./tools-glue.js";

/** Each entry of the package names its own way to the wasm and to Emscripten's JavaScript beside it. */
export type ToolsSource = () => Promise<{ module: WebAssembly.Module; createGlue: typeof createGlue }>;

let toolsSource: ToolsSource | undefined;
let loaded: Awaited<ReturnType<ToolsSource>> | undefined;
let current: Tools | undefined;

/** Called by each entry of the package that can load them by itself, and by "postern/tools". */
export function useTools(source: ToolsSource): void {
  toolsSource ??= source;
}

/** One instance. It is dropped when it traps, as that of the gates is. */
export class Tools {
  dead = false;
  constructor(readonly glue: ToolsGlue) {}

  call<T extends object>(call: (glue: ToolsGlue) => T | { error: ArgumentFault }): T {
    let made: T | { error: ArgumentFault };
    try {
      made = call(this.glue);
    } catch (fault) {
      this.dead = true;
      throw fault;
    }
    if ("error" in made) throw new ConfigError(made.error);
    return made;
  }
}

/** Nobody waits for an instance that another request is making: in workerd it might never come. */
export async function currentTools(): Promise<Tools> {
  if (current !== undefined && !current.dead) return current;
  if (toolsSource === undefined) {
    throw new Error('postern: a worker carries the tools (explain, filterFor, testPolicy, ...) only with  import "postern/tools"');
  }
  loaded ??= await toolsSource();
  const { module, createGlue } = loaded;
  const glue = await createGlue({
    instantiateWasm(imports, done) {
      const instance = new WebAssembly.Instance(module, imports);
      done(instance, module);
      return instance.exports;
    },
    printErr() {},  // "Aborted(...)" is told by the throw
  });
  if (current === undefined || current.dead) current = new Tools(glue);
  return current;
}

/** A gate's double among the tools: made when it is first asked, and again after a trap. */
export class ToolsGate {
  #seat: { tools: Tools; handle: number } | undefined;
  #closed = false;
  constructor(readonly config: string, readonly environment: string[], readonly handlers: HandlerKinds = {}) {}

  /** What `question` gives; it gets the handle of this gate in the tools' instance. */
  async ask<T extends object>(question: (glue: ToolsGlue, handle: number) => T | { error: ArgumentFault }): Promise<T> {
    const tools = await currentTools();
    if (this.#closed) throw new Error("the gate is closed");
    if (this.#seat?.tools !== tools) {
      const { authenticate = false, on = false } = this.handlers;
      const { handle } = tools.call((glue) => glue.createGate(this.config, this.environment, authenticate, on));
      this.#seat = { tools, handle };
    }
    const { handle } = this.#seat;
    return tools.call((glue) => question(glue, handle));
  }

  close(): void {
    this.#closed = true;
    const seat = this.#seat;
    if (seat !== undefined && !seat.tools.dead) seat.tools.glue.closeGate(seat.handle);
  }
}
