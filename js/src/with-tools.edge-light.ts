// "postern/tools" for Vercel and Next.js, as in workerd.
import module from "./tools.wasm?module";
import createGlue from "./tools-glue.js";
import { useTools } from "./tools.js";

useTools(async () => ({ module, createGlue }));
