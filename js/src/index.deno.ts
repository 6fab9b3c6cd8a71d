import { useModule } from "./core.js";
import { load } from "./load-deno.js";

useModule(load);
export * from "./api.js";
