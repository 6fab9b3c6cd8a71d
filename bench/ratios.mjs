// The ratios that are promised, each with its bar. Of medians of one run; no time is promised by itself.
const v = (alg, runtime, peer) => `verify.${alg}.${runtime}.${peer}`;

/** @type {{ what: string, ours: string, theirs: string, bar: number }[]} */
export const bars = [
  { what: "ES256, wasm in Node 20, against jose", ours: v("ES256", "node20", "postern"), theirs: v("ES256", "node20", "jose"), bar: 0.3 },
  { what: "ES256, wasm in Node 24, against jose", ours: v("ES256", "node24", "postern"), theirs: v("ES256", "node24", "jose"), bar: 0.3 },
  { what: "ES256, wasm in workerd, against jose", ours: v("ES256", "workerd", "postern"), theirs: v("ES256", "workerd", "jose"), bar: 0.5 },
  { what: "ES256, native, against OpenSSL's EVP verify alone", ours: v("ES256", "native", "postern"), theirs: v("ES256", "native", "openssl"), bar: 0.4 },
  ...["EdDSA", "ES384"].flatMap((alg) => [
    { what: `${alg} in Node 20, against jose`, ours: v(alg, "node20", "postern"), theirs: v(alg, "node20", "jose"), bar: 0.5 },
    { what: `${alg} in Node 24, against jose`, ours: v(alg, "node24", "postern"), theirs: v(alg, "node24", "jose"), bar: 0.5 },
    { what: `${alg} in workerd, against jose`, ours: v(alg, "workerd", "postern"), theirs: v(alg, "workerd", "jose"), bar: 0.8 },
  ]),
  { what: "HS256 in Node 20, against jose", ours: v("HS256", "node20", "postern"), theirs: v("HS256", "node20", "jose"), bar: 0.2 },
  { what: "HS256 in Node 24, against jose", ours: v("HS256", "node24", "postern"), theirs: v("HS256", "node24", "jose"), bar: 0.3 },
  ...["RS256", "PS256"].flatMap((alg) =>
    ["node20", "node24", "workerd", "deno", "bun", "chromium"].map((runtime) => ({
      what: `${alg} in ${runtime}, against jose`, ours: v(alg, runtime, "postern"), theirs: v(alg, runtime, "jose"), bar: runtime.startsWith("node") ? 0.7 : 1.1,
    })),
  ),
  ...["node20", "node24"].map((runtime) => ({
    what: `a token seen before, in ${runtime}, against fast-jwt's cached verify`,
    ours: `verify-cached.ES256.${runtime}.postern`, theirs: `verify-cached.ES256.${runtime}.fast-jwt`, bar: 0.4,
  })),
  { what: "a token seen before, native, against OpenSSL's ES256 verify", ours: "verify-cached.ES256.native.postern", theirs: v("ES256", "native", "openssl"), bar: 0.1 },
  ...["node20", "node24"].map((runtime) => ({
    what: `decision on GET /threads/{id}, in ${runtime}, against fast-jwt's cached verify`,
    ours: `gate.thread-get.${runtime}.postern`, theirs: `gate.thread-get.${runtime}.fast-jwt`, bar: 1.5,
  })),
  { what: "cold start of a worker, against an empty one", ours: "cold.workerd.postern", theirs: "cold.workerd.empty", bar: 1.25 },
];

const workerBytesMost = 150_000;

/** Those of the bars that these results have both sides of. */
export function ratiosOf(results) {
  const size = results["size.worker"]?.brotli_bytes / workerBytesMost;
  const worker = Number.isNaN(size) ? [] : [{ what: "the worker's bundle, brotli, against 150 KB", ratio: size, least: size, bar: 1, met: size <= 1 }];
  return worker.concat(barsOf(results));
}

const barsOf = (results) =>
  bars.flatMap(({ what, ours, theirs, bar }) => {
    if (!results[ours] || !results[theirs]) return [];
    const ratio = results[ours].median_us / results[theirs].median_us;
    // The least of each say what a quiet machine would: those who use other threads suffer most from a busy one.
    const least = results[ours].min_us / results[theirs].min_us;
    return [{ what, ratio, least, bar, met: ratio <= bar }];
  });

export function printRatios(results) {
  const rows = ratiosOf(results);
  if (rows.length === 0) return;
  const widest = Math.max(...rows.map(({ what }) => what.length));
  console.log(`\n${"ratios".padEnd(widest)}  medians    least  at most (medians)`);
  for (const { what, ratio, least, bar, met } of rows) {
    console.log(`${what.padEnd(widest)} ${ratio.toFixed(3).padStart(8)} ${least.toFixed(3).padStart(8)} ${String(bar).padStart(8)}  ${met ? "" : "NOT MET"}`);
  }
}
