import { useModule } from "./core.js";
import { load, loadTools } from "./load-browser.js";
import { useTools } from "./tools.js";

useModule(load);
useTools(loadTools);
export * from "./api.js";
