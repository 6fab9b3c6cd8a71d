import { useModule } from "./core.js";
import { load } from "./load-bun.js";

useModule(load);
export * from "./api.js";
