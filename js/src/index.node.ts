import { useModule } from "./core.js";
import { load } from "./load-node.js";

useModule(load);
export * from "./api.js";
