import { useModule } from "./core.js";
import { load } from "./load-inline.js";

useModule(load);
export * from "./api.js";
