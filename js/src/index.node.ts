import { useModule } from "./core.js";
import { nodeVerifier } from "./verifier-node.js";
import { load } from "./load-node.js";

useModule(load, nodeVerifier);
export * from "./api.js";
