// Signatures apart from tokens, and why one is refused when it is the first thing that an instance is asked.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { JwsError, verifyJws, verifySignature } from "../dist/index.node.js";
import { Core, CoreRefused, currentCore } from "../dist/core.js";
import { config, token } from "./support.mjs";

const module = new WebAssembly.Module(readFileSync(new URL("../dist/core.wasm", import.meta.url)));
const fresh = () => new Core(module, 1);

// The list of errors is read at the first refusal: one that reads it too early finds it in the refusal's place.
test("the first refusal of an instance has its code, and the instance lives on", async () => {
  const before = await currentCore();
  await assert.rejects(verifyJws("x.y.z", { keys: [] }), (error) => error instanceof JwsError && error.code === "keys_unavailable");
  assert.equal(await currentCore(), before);
  assert.equal(before.dead, false);

  const jws = fresh();
  assert.deepEqual(jws.verifyJws("x.y.z", '{"keys":[]}', false), { code: "keys_unavailable" });
  assert.deepEqual(jws.verifyJws("x.y.z", '{"keys":[]}', false), { code: "keys_unavailable" });

  const signature = fresh();
  const code = signature.verifySignature('{"kty":"oct","k":"AAAA"}', "HS256", new Uint8Array(1), new Uint8Array(32));
  assert.equal(code, "keys_unavailable");
  assert.equal(signature.dead, false);

  const full = fresh();
  const { handle } = full.createGate(JSON.stringify(config()), []);
  const bearer = [["authorization", `Bearer ${token()}`]];  // whose issuer's keys are not there yet
  const open = () => full.open(handle, "authenticate", "GET", "/threads", bearer, 1_800_000_000_000);
  for (let count = 0; count < 4096; count++) open();
  assert.throws(open, (error) => error instanceof CoreRefused && error.code === "gate_overloaded");
  assert.equal(full.dead, false);
});

test("a signature that does not verify is false; a key that cannot be used is an error", async () => {
  const key = { kty: "OKP", crv: "Ed25519", alg: "EdDSA", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" };  // RFC 8037 appendix A.2
  assert.equal(await verifySignature(key, "EdDSA", new Uint8Array(1), new Uint8Array(64)), false);
  await assert.rejects(verifySignature({ kty: "none" }, "EdDSA", new Uint8Array(1), new Uint8Array(64)), JwsError);
});
