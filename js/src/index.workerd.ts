import { useModule } from "./core.js";
import { load } from "./load-workerd.js";

useModule(load);
export * from "./api.js";
