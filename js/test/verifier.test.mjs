// Signatures that the host verifies: only the literal `true` counts, and everything else about a token stays the core's.
import assert from "node:assert/strict";
import { constants, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { Gate } from "../dist/index.node.js";
import { CoreRefused, currentCore } from "../dist/core.js";
import { nodeVerifier } from "../dist/verifier-node.js";
import { webCryptoVerifier } from "../dist/verifier.js";
import { testInput, testKey, testSignatures } from "../dist/verifier-test.js";

const issuer = "https://idp.example";
const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
const other = generateKeyPairSync("rsa", { modulusLength: 2048 });
const jwkOf = (key, kid) => ({ ...key.publicKey.export({ format: "jwk" }), kid });
const jwks = { keys: [jwkOf(pair, "one")] };

function token(alg = "RS256", { key = pair, kid = "one", subject = "alice" } = {}) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const input = `${encode({ alg, kid })}.${encode({ iss: issuer, aud: "agents", sub: subject, iat: now, exp: now + 600 })}`;
  const padding = alg.startsWith("PS")
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : { padding: constants.RSA_PKCS1_PADDING };
  return `${input}.${sign(`sha${alg.slice(2)}`, Buffer.from(input), { key: key.privateKey, ...padding }).toString("base64url")}`;
}
const flipped = (text, at = -20) => {
  const where = text.length + at;
  return text.slice(0, where) + (text[where] === "A" ? "B" : "A") + text.slice(where + 1);
};
const request = (credential) => new Request("https://gate.example/", { headers: { authorization: `Bearer ${credential}` } });
const config = (more = {}) => ({
  issuers: [{ issuer, audience: "agents", keys: jwks, algorithms, ...more }],
  upstream: { url: "http://127.0.0.1:2024" },
  token_cache: { bytes_max: 0 },
});
const gateWith = (verifier, more = {}, options = {}) => Gate.create(config(more), { verifier, onWarning() {}, ...options });
const code = async (gate, credential) => {
  try {
    return (await gate.authenticate(request(credential))).identity;
  } catch (fault) {
    return fault.code;
  }
};
/** Says what `answer` makes of the true answer, once its test is over; counts what it was asked. */
function verifierThat(answer) {
  const asked = [];
  return {
    asked,
    algorithms,
    importKey: (jwk, alg) => ({ jwk, key: nodeVerifier.importKey(jwk, alg) }),
    verify({ jwk, key }, alg, input, signature) {
      const right = nodeVerifier.verify(key, alg, input, signature);
      if (jwk.n === testKey.n) return right;
      asked.push(alg);
      return answer(right);
    },
  };
}

for (const [name, verifier] of [["node:crypto", nodeVerifier], ["crypto.subtle", webCryptoVerifier], ["the core", "portable"]]) {
  test(`${name}: good tokens are good under every algorithm, and wrong ones are not`, async () => {
    const gate = await gateWith(verifier);
    for (const alg of algorithms) {
      const good = token(alg);
      assert.equal(await code(gate, good), "alice", alg);
      for (let bit = 0; bit < 8; bit++) assert.equal(await code(gate, flipped(good, -2 - 43 * bit)), "signature_invalid", alg);
      assert.equal(await code(gate, token(alg, { key: other })), "signature_invalid", alg);
      const [head, payload, signature] = good.split(".");
      const [, another] = token(alg, { subject: "mallory" }).split(".");
      assert.equal(await code(gate, `${head}.${another}.${signature}`), "signature_invalid", `${alg}, another's payload`);
      assert.equal(await code(gate, `${head}.${payload}.${signature.slice(0, 340)}`), "signature_malformed", alg);
    }
    gate.close();
  });
}

test("the test's signatures are good under node:crypto, each under its own algorithm alone", () => {
  for (const alg of algorithms) {
    const key = nodeVerifier.importKey(testKey, alg);
    for (const one of algorithms) {
      const signature = Buffer.from(testSignatures[one], "base64url");
      assert.equal(nodeVerifier.verify(key, alg, Buffer.from(testInput), signature), one === alg);
    }
  }
});

test("a host that says yes is believed, and one that says no", async () => {
  const yes = verifierThat((right) => right);
  const gate = await gateWith(yes);
  assert.equal(await code(gate, token()), "alice");
  assert.deepEqual(yes.asked, ["RS256"]);
  const no = verifierThat(() => false);
  assert.equal(await code(await gateWith(no), token()), "signature_invalid");
  assert.deepEqual(no.asked, ["RS256"]);
});

test("what is not the literal true or false is not believed: the core verifies", async () => {
  for (const answer of [() => 1, () => "true", () => null, () => undefined, () => ({}), () => new Boolean(true), () => Promise.resolve(1), () => Promise.reject(new Error("no")), () => { throw new Error("no"); }]) {
    const verifier = verifierThat(answer);
    const gate = await gateWith(verifier);
    assert.equal(await code(gate, token()), "alice");
    assert.equal(await code(gate, flipped(token())), "signature_invalid");
    assert.equal(verifier.asked.length, 2);
  }
});

test("a host that never answers is left after two seconds", async () => {
  const gate = await gateWith(verifierThat(() => new Promise(() => {})));
  const begun = performance.now();
  assert.equal(await code(gate, flipped(token())), "signature_invalid");
  const took = performance.now() - begun;
  assert.ok(took > 1_500 && took < 10_000, `${took} ms`);
});

test("a verifier that fails its test is not asked about tokens, and that is told once", async () => {
  for (const broken of [() => true, () => false, (right) => !right, () => 1, () => { throw new Error("no"); }]) {
    let asked = 0;
    const warnings = [];
    const verifier = {
      algorithms,
      importKey: (jwk) => jwk,
      verify(jwk, alg, input, signature) {
        if (jwk.n !== testKey.n) asked++;
        return broken(nodeVerifier.verify(nodeVerifier.importKey(jwk, alg), alg, input, signature));
      },
    };
    const gate = await gateWith(verifier, {}, { onWarning: (line) => warnings.push(line) });
    assert.equal(await code(gate, token()), "alice");
    assert.equal(await code(gate, flipped(token())), "signature_invalid");
    assert.equal(await code(gate, token("PS256")), "alice");
    assert.equal(asked, 0);
    assert.equal(warnings.filter((line) => line.includes("RS256")).length, 1);
    assert.ok(warnings.every((line) => !line.includes(testKey.n)));
  }
});

test("of two tests at the same time one that fails is enough", async () => {
  let tests = 0;
  let lies = () => {};
  const caught = new Promise((resolve) => (lies = resolve));
  let asked = 0;
  const verifier = {
    algorithms,
    importKey: (jwk, alg) => ({ jwk, key: nodeVerifier.importKey(jwk, alg), nth: jwk.n === testKey.n ? ++tests : 0 }),
    async verify({ key, nth }, alg, input, signature) {
      const right = nodeVerifier.verify(key, alg, input, signature);
      if (nth === 0) {
        asked++;
        return true;
      }
      if (nth === 1 || right) return right;
      // The second test is lied to, after the first has gone well and its token was asked about.
      await caught;
      return true;
    },
  };
  const gate = await gateWith(verifier);
  const both = [code(gate, token()), code(gate, token())];
  assert.equal(await Promise.race(both), "alice");
  assert.equal(tests, 2);
  assert.equal(asked, 1);
  lies();
  assert.deepEqual(await Promise.all(both), ["alice", "alice"]);
  for (let i = 0; i < 2; i++) assert.equal(await code(gate, flipped(token())), "signature_invalid");
  assert.equal(asked, 1, "from then on the core verifies");
});

test("the host is asked about nothing that the core refuses first", async () => {
  const verifier = verifierThat(() => true);
  const gate = await gateWith(verifier, { algorithms: ["RS256"] });
  const [head, payload, signature] = token().split(".");
  for (const [credential, wanted] of [
    [token("PS256"), "algorithm_not_allowed"],
    [token("RS256", { kid: "two" }), "key_unknown"],
    [`${head}.${payload}.${signature.slice(0, 100)}`, "signature_malformed"],
    [`${head}.${payload}.`, "signature_malformed"],
    ["a.b.c", "jws_malformed"],
  ]) assert.equal(await code(gate, credential), wanted);
  assert.deepEqual(verifier.asked, []);
});

test("claims are judged after the host has said yes", async () => {
  const gate = await gateWith(verifierThat((right) => right), { audience: "others" });
  assert.equal(await code(gate, token()), "audience_mismatch");
});

test("a set that is replaced while the host is at work is asked about again", async () => {
  let now = Date.now();
  let set = jwks;
  const imported = [];
  let during = async () => {};
  const verifier = {
    algorithms,
    importKey(jwk, alg) {
      if (jwk.n !== testKey.n) imported.push(jwk.n);
      return { jwk, key: nodeVerifier.importKey(jwk, alg) };
    },
    async verify({ jwk, key }, alg, input, signature) {
      if (jwk.n !== testKey.n) await during();
      return nodeVerifier.verify(key, alg, input, signature);
    },
  };
  const gate = await Gate.create(
    { issuers: [{ issuer, audience: "agents", jwks_uri: `${issuer}/jwks`, max_age_seconds: 60 }], upstream: { url: "http://127.0.0.1:2024" }, token_cache: { bytes_max: 0 } },
    { verifier, now: () => now, fetch: async () => Response.json(set) },
  );
  assert.equal(await code(gate, token()), "alice");
  assert.equal(await code(gate, token()), "alice");
  assert.deepEqual(imported, [jwks.keys[0].n], "a key is imported once");
  // While a token of the old key is looked at, its key leaves the set and another comes under the same name.
  during = async () => {
    during = async () => {};
    set = { keys: [jwkOf(other, "one")] };
    now += 45_000;  // within the age, past the time to refresh
    gate.keyFaults();
    await gate.authenticate(request(token())).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 50));
  };
  assert.equal(await code(gate, token()), "signature_invalid");
  assert.equal(await code(gate, token("RS256", { key: other })), "alice");
  assert.deepEqual(imported, [jwks.keys[0].n, set.keys[0].n]);
});

test("a verdict for another step ends the exchange in 500, and a result of another kind for this one", async () => {
  const core = await currentCore();
  const gate = core.createGate(JSON.stringify(config()), []).handle;
  core.useHostVerifier(gate, algorithms);
  const now = Date.now();
  const none = new Uint8Array(0);
  const start = () => {
    const { exchange, step } = core.open(gate, "handle", "POST", "/threads", [["authorization", `Bearer ${token()}`]], now);
    assert.equal(step.kind, "verifySignature");
    return { exchange, step };
  };
  for (const mislead of [
    ({ exchange, step }) => core.giveVerdict(exchange, step.stepId + 1n, "valid", now),
    ({ exchange, step }) => core.giveBody(exchange, step.stepId, "whole", none, now),
    ({ exchange, step }) => core.giveReply(exchange, step.stepId, { status: 200, headers: [], body: none }, now),
    ({ exchange, step }) => core.fail(exchange, step.stepId),
    ({ exchange, step }) => {  // twice: the second is for no step
      core.giveVerdict(exchange, step.stepId, "valid", now);
      core.giveVerdict(exchange, step.stepId, "valid", now);
    },
    () => {},  // asking on without giving anything
  ]) {
    const started = start();
    mislead(started);
    const step = core.next(started.exchange, now);
    assert.deepEqual([step.kind, step.status], ["respond", 500]);
    core.close(started.exchange);
  }
  // And a verdict where a body is waited for.
  const { exchange, step } = start();
  core.giveVerdict(exchange, step.stepId, "valid", now);
  const body = core.next(exchange, now);
  assert.equal(body.kind, "readBody");
  core.giveVerdict(exchange, body.stepId, "valid", now);
  assert.equal(core.next(exchange, now).status, 500);
  core.close(exchange);
  assert.throws(() => core.giveVerdict(exchange, 1n, "valid", now), CoreRefused);

  assert.equal(core.keyJwk(gate, step.keyHandle), JSON.stringify({ kty: "RSA", n: jwks.keys[0].n, e: jwks.keys[0].e }));
  for (const handle of [step.keyHandle + 1n, step.keyHandle + (1n << 32n), step.keyHandle + (1n << 48n), 0xffff_ffff_ffff_ffffn]) {
    assert.equal(core.keyJwk(gate, handle), "");
  }
  core.closeGate(gate);
});

test("explaining asks no host", async () => {
  const verifier = verifierThat(() => true);
  const gate = await gateWith(verifier);
  const headers = { authorization: `Bearer ${token()}` };
  const explained = await gate.explain({ method: "GET", target: "/threads/11111111-1111-4111-8111-111111111111", headers });
  assert.equal(explained.user.identity, "alice");
  const forged = await gate.explain({ method: "GET", target: "/threads/11111111-1111-4111-8111-111111111111", headers: { authorization: `Bearer ${flipped(token())}` } });
  assert.equal(forged.outcome.code, "signature_invalid");
  assert.deepEqual(verifier.asked, []);
  assert.equal(await code(gate, token()), "alice");
  assert.equal(verifier.asked.length, 1);
});

test("a new instance after a trap asks the host again", async () => {
  const verifier = verifierThat((right) => right);
  const gate = await gateWith(verifier);
  const core = await currentCore();
  assert.equal(await code(gate, token()), "alice");
  core.dead = true;
  assert.equal(await code(gate, token()), "alice");
  assert.equal(verifier.asked.length, 2);
});
