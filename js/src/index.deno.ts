import { useModule } from "./core.js";
import { nodeVerifier } from "./verifier-node.js";
import { load, loadTools } from "./load-deno.js";
import { useTools } from "./tools.js";

useModule(load, nodeVerifier);
useTools(loadTools);
export * from "./api.js";
