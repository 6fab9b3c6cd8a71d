// "postern/tools" in workerd, where every wasm is part of the deployment: a worker that asks for the tools carries them.
import module from "./tools.wasm";
import createGlue from "./tools-glue.js";
import { useTools } from "./tools.js";

useTools(async () => ({ module, createGlue }));
