// src/ and build/wasm/ -> dist/: the TypeScript compiled, the two wasm files and the tools' glue beside it.
//
//   node build.mjs [--wasm FOLDER]     FOLDER holds postern.wasm, postern-tools.wasm and postern-tools.mjs (default: ../build/wasm)
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
const toolsFile = join(wasmFolder, "postern-tools.wasm");
const glueFile = join(wasmFolder, "postern-tools.mjs");
for (const file of [wasmFile, toolsFile, glueFile]) {
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
    console.error(`${glueFile} contains "${word}": the tools target's link flags have changed`);
    process.exit(1);
  }
}
writeFileSync(join(dist, "tools-glue.js"), glue);
copyFileSync(wasmFile, join(dist, "core.wasm"));
copyFileSync(toolsFile, join(dist, "tools.wasm"));
copyFileSync(join(here, "../docs/postern.schema.json"), join(dist, "postern.schema.json"));
for (const name of ["load-deno.js", "load-deno-tools.js"]) copyFileSync(join(here, "src", name), join(dist, name));
for (const [name, file] of [["core", wasmFile], ["tools", toolsFile]]) {
  writeFileSync(join(dist, `${name}-inline.js`), `export const base64 = "${readFileSync(file).toString("base64")}";\n`);
}
writeFileSync(join(dist, "core.wasm.d.ts"), "declare const module: WebAssembly.Module;\nexport default module;\n");
