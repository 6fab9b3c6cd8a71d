// What is not measured in slices: cold starts, each in a process of its own, and sizes.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { configuration } from "./configuration.mjs";
import { bundle, coreWasm, programs, startWorkerd } from "./runtimes.mjs";
import { root } from "../tests/support/services.mjs";
import { makeSuite } from "./workload.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const startLimitMs = 20_000;

/** Until the worker's first answer, over and over without a pause that would round the time. */
async function firstAnswer(port, token, until) {
  for (;;) {
    const answer = await new Promise((resolve) => {
      const sent = request({ host: "127.0.0.1", port, headers: { authorization: `Bearer ${token}` } }, (reply) => {
        let text = "";
        reply.on("data", (part) => (text += part));
        reply.on("end", () => resolve({ status: reply.statusCode, text }));
        reply.on("error", () => resolve(undefined));
      });
      sent.on("error", () => resolve(undefined));
      sent.end();
    });
    if (answer) return answer;
    if (performance.now() > until) throw new Error("the worker did not answer");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/**
 * Rows of cold starts with a `sample()` each, in microseconds. `cold.node20.*`: from before the import to the first user.
 * `cold.workerd.*`: from the start of workerd to the first answer, whose token was verified but for `empty`.
 */
export async function coldStarts() {
  const scratch = mkdtempSync(join(tmpdir(), "postern-bench-"));
  const suite = makeSuite("ES256", 16);
  const token = suite.tokens.find(({ good }) => good);
  const jwk = suite.jwks[token.key];
  const { text: config } = configuration(suite);
  const file = join(scratch, "cold.json");
  writeFileSync(file, JSON.stringify({ config, jwk, token: token.text, alg: suite.alg }), { mode: 0o600 });
  const right = (key, identity) => {
    if (identity !== token.subject) throw new Error(`${key} is wrong: not the token's user`);
  };
  const rows = [];
  for (const [runtime, program] of [["node20", process.execPath], ["node24", programs.node24]]) {
    for (const peer of ["postern", "jose"]) {
      const key = `cold.${runtime}.${peer}`;
      const sample = async () => {
        const { stdout } = await promisify(execFile)(program, ["--no-warnings", join(here, "cold/node.mjs"), peer, file]);
        const { us, identity } = JSON.parse(stdout);
        right(key, identity);
        return us;
      };
      rows.push({ key, runtime, sample });
    }
  }
  for (const peer of ["postern", "jose", "empty"]) {
    const key = `cold.workerd.${peer}`;
    const script = join(scratch, `${peer}.js`);
    await bundle(join(here, `cold/${peer}-worker.mjs`), ["workerd", "worker", "browser"], script, { minify: true });
    const text = (name, value) => `(name = "${name}", text = ${JSON.stringify(value)})`;
    const bindings = `, bindings = [${text("CONFIG", config)}, ${text("JWK", JSON.stringify(jwk))}, ${text("ALG", suite.alg)}, ${text("SUBJECT", token.subject)}]`;
    const sample = async () => {
      const begun = performance.now();
      const service = await startWorkerd(scratch, script, { wasm: peer === "postern", bindings });
      try {
        const { text } = await firstAnswer(service.port, token.text, begun + startLimitMs);
        const us = (performance.now() - service.begun) * 1000;
        right(key, text);
        return us;
      } finally {
        await service.stop();
      }
    };
    rows.push({ key, runtime: "workerd", sample });
  }
  return { rows, stop: () => rmSync(scratch, { recursive: true, force: true }) };
}

const sizesOf = (bytes) => ({ raw_bytes: bytes.length, gzip_bytes: gzipSync(bytes, { level: 9 }).length, brotli_bytes: brotliCompressSync(bytes).length });
const sum = (a, b) => Object.fromEntries(Object.keys(a).map((key) => [key, a[key] + b[key]]));

/** `size.*`: the wasm, the worker's JavaScript as wrangler bundles and minifies it, and both; jose's bundle beside them. */
export async function sizes() {
  const scratch = mkdtempSync(join(tmpdir(), "postern-bench-"));
  try {
    const bundled = async (entry) => {
      const to = join(scratch, "out.js");
      await bundle(entry, ["workerd", "worker", "browser"], to, { minify: true });
      return sizesOf(readFileSync(to));
    };
    const wasm = sizesOf(readFileSync(coreWasm));
    const js = await bundled(join(root, "edge-worker/src/worker.ts"));
    return {
      "size.core-wasm": wasm, "size.worker-js": js, "size.worker": sum(wasm, js), "size.jose-worker": await bundled(join(here, "cold/jose-worker.mjs")),
    };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
