// ES256 in Node: the own P-256 as wasm against jose, WebCrypto and node:crypto, in alternating rounds of the same 64 tokens of 8 keys,
// one in 16 of them bad.
//
//   node bench/p256.mjs WASM [ROUNDS]     WASM: bench/p256_wasm.cpp and p256.cpp, linked with -sSTANDALONE_WASM --no-entry
import crypto from "node:crypto";
import fs from "node:fs";

const [wasmFile, roundsText = "101"] = process.argv.slice(2);
const rounds = Number(roundsText);
const jose = await import("jose").catch(() => undefined);

const keys = Array.from({ length: 8 }, () => crypto.generateKeyPairSync("ec", { namedCurve: "P-256" }));
const jwks = keys.map((key) => key.publicKey.export({ format: "jwk" }));
const claims = { iss: "https://login.example.com", aud: "https://api.example.com", iat: 1, exp: 9e9, padding: "x".repeat(400) };
const tokens = Array.from({ length: 64 }, (_, i) => {
  const part = (object) => Buffer.from(JSON.stringify(object)).toString("base64url");
  const input = `${part({ alg: "ES256", typ: "JWT", kid: String(i % 8) })}.${part({ ...claims, sub: `user-${i}` })}`;
  const signature = crypto.sign("sha256", input, { key: keys[i % 8].privateKey, dsaEncoding: "ieee-p1363" });
  const good = i % 16 !== 7;
  if (!good) signature[40] ^= 1;
  return { key: i % 8, input: Buffer.from(input), signature, text: `${input}.${signature.toString("base64url")}`, good };
});

const module = new WebAssembly.Module(fs.readFileSync(wasmFile));
const imports = {};
for (const { module: name, name: field } of WebAssembly.Module.imports(module)) (imports[name] ??= {})[field] = () => 0;
const wasm = new WebAssembly.Instance(module, imports).exports;
wasm._initialize?.();
const at = wasm.bench_buffer();
const write = (offset, bytes) => new Uint8Array(wasm.memory.buffer, at + offset, bytes.length).set(bytes);
const own = (size) => {
  const handles = jwks.map(({ x, y }) => {
    write(0, Buffer.concat([Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]));
    return wasm.bench_key(size);
  });
  const slices = [];
  for (let more = 1; more; ) {
    const start = performance.now();
    more = wasm.bench_build_step();
    slices.push((performance.now() - start) * 1e3);
  }
  if (size) console.log(`${["", "small", "large"][size]} tables of 8 keys: ${slices.length} slices, median ${median(slices).toFixed(0)} us, greatest ${Math.max(...slices).toFixed(0)} us`);
  return ({ key, input, signature }) => {
    write(0, signature);
    write(64, input);
    return wasm.bench_verify(handles[key], input.length) === 0;
  };
};

const webKeys = await Promise.all(jwks.map((jwk) => crypto.subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"])));
const contestants = [
  {
    name: "jose jwtVerify",
    verify:
      jose &&
      (({ key, text }) =>
        jose.jwtVerify(text, webKeys[key], { algorithms: ["ES256"] }).then(
          () => true,
          () => false,
        )),
  },
  { name: "WebCrypto", verify: ({ key, input, signature }) => crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, webKeys[key], signature, input) },
  { name: "node:crypto", verify: ({ key, input, signature }) => crypto.verify("sha256", input, { key: keys[key].publicKey, dsaEncoding: "ieee-p1363" }, signature) },
  { name: "own, no table", verify: own(0) },
  { name: "own, small table", verify: own(1) },
  { name: "own, large table", verify: own(2) },
].filter(({ verify }) => verify);

const passes = 1;
for (let round = -20; round < rounds; round++) {
  for (const contestant of contestants) {
    const start = performance.now();
    for (let i = 0; i < passes * tokens.length; i++) {
      const token = tokens[i % tokens.length];
      const answer = contestant.verify(token);
      if ((answer instanceof Promise ? await answer : answer) !== token.good) throw new Error(`${contestant.name} is wrong about token ${i % tokens.length}`);
    }
    const time = ((performance.now() - start) * 1e3) / (passes * tokens.length);
    if (round >= 0) (contestant.times ??= []).push(time);
  }
}
function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
console.log(`node ${process.version}, ${rounds} rounds`);
for (const { name, times } of contestants) {
  console.log(
    `${name.padEnd(18)} ${median(times).toFixed(1).padStart(7)} us  (${Math.min(...times).toFixed(1)} to ${Math.max(...times).toFixed(1)})  ${(median(times) / median(contestants[0].times)).toFixed(2)} of ${contestants[0].name}`,
  );
}
