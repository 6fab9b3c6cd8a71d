import { useModule } from "./core.js";
import { load } from "./load-edge-light.js";

useModule(load);
export * from "./api.js";
