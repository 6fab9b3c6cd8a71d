import { useModule } from "./core.js";
import { load } from "./load-browser.js";

useModule(load);
export * from "./api.js";
