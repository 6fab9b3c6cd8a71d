// The lanes of core/src/ec_lanes.h against one number at a time, as wasm: what the native tests see of them is another compiler's.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

test("P-256 in two lanes as in one", async () => {
  const bytes = readFileSync(new URL("../../build/wasm/ec_lanes_test.wasm", import.meta.url));
  const { instance } = await WebAssembly.instantiate(bytes, {});
  for (let i = 0; i < 10; ++i) {
    const seed = randomInt(2 ** 47);
    assert.equal(instance.exports.differences(seed, 10_000), 0, `seed ${seed}`);
  }
});
