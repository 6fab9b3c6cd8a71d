// wasm/bytes.cpp copies, fills and compares as the C library would.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

test("short copies and comparisons", async () => {
  const bytes = readFileSync(new URL("../../build/wasm/bytes_test.wasm", import.meta.url));
  const { instance } = await WebAssembly.instantiate(bytes, {
    env: { emscripten_notify_memory_growth() {} },
    wasi_snapshot_preview1: new Proxy({}, { get: () => () => 0 }),
  });
  instance.exports._initialize?.();
  for (let i = 0; i < 10; ++i) {
    const seed = randomInt(2 ** 31);
    assert.equal(instance.exports.differences(seed, 20_000), 0, `seed ${seed}`);
  }
});
