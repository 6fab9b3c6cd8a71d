// src/ and build/wasm/ -> dist/: the TypeScript compiled, the wasm and its glue beside it.
//
//   node build.mjs [--wasm FOLDER]     FOLDER holds postern.mjs and postern.wasm (default: ../build/wasm)
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");
const flag = process.argv.indexOf("--wasm");
const wasmFolder = flag === -1 ? resolve(here, "../build/wasm") : resolve(process.argv[flag + 1]);
const wasmFile = join(wasmFolder, "postern.wasm");
const glueFile = join(wasmFolder, "postern.mjs");
for (const file of [wasmFile, glueFile]) {
  if (!existsSync(file)) {
    console.error(`${file} is missing: run  cmake --preset wasm && cmake --build --preset wasm`);
    process.exit(1);
  }
}

const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
const compiled = spawnSync(process.execPath, [tsc, "-p", join(here, "tsconfig.json")], { stdio: "inherit" });
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

const glue = readFileSync(glueFile, "utf8");
for (const word of ["eval(", "new Function", "import.meta"]) {
  // The first two are refused by edge runtimes; the third makes bundlers look for a second wasm file.
  if (glue.includes(word)) {
    console.error(`${glueFile} contains "${word}": the wasm target's link flags have changed`);
    process.exit(1);
  }
}
writeFileSync(join(dist, "glue.js"), glue);
copyFileSync(wasmFile, join(dist, "core.wasm"));
copyFileSync(join(here, "../docs/postern.schema.json"), join(dist, "postern.schema.json"));
copyFileSync(join(here, "src/load-deno.js"), join(dist, "load-deno.js"));
writeFileSync(join(dist, "core-inline.js"), `export const base64 = "${readFileSync(wasmFile).toString("base64")}";\n`);
writeFileSync(join(dist, "core.wasm.d.ts"), "declare const module: WebAssembly.Module;\nexport default module;\n");
