// The measurement: every contestant in every runtime, in alternating rounds of one run. scripts/bench builds and calls this.
//
//   node bench/run.mjs [--quick] [--json] [--only PATTERN] [--rounds N]
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { runtimes, versionOf } from "./runtimes.mjs";
import { suites } from "./suites.mjs";
import { coldStarts, sizes } from "./once.mjs";
import { printRatios } from "./ratios.mjs";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    rounds: { type: "string" },
  },
});
// Many short slices rather than few long ones: what else the machine does then falls on everybody alike.
const rounds = Number(options.rounds ?? (options.quick ? 25 : 45));
const sliceUs = options.quick ? 10_000 : 25_000;
// V8 counts what a wasm function has run in bytes of code before it compiles it well: one of a line takes tens of thousands of calls.
// All rows of a runtime call the same instance.
const warm = options.quick ? { us: 100_000, calls: 40_000, usMost: 300_000 } : { us: 400_000, calls: 80_000, usMost: 500_000 };
const sliceMost = 4096;
const pattern = new RegExp(options.only);
/** Whether a key of the results could be wanted: `verify.ES256` asks for all below it, `verify.ES256.node20.jose` for a runtime's. */
const wanted = (suite, runtime) => pattern.test(`${suite}.${runtime}.`) || options.only.startsWith(`${suite}.${runtime}.`);

const say = (text) => process.stderr.write(`${text}\n`);
const median = (list) => {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** One contestant in one runtime, one width. */
class Entry {
  samples = [];
  at = 0;
  constructor(suite, runtime, agent, peer, width) {
    Object.assign(this, { suite, runtime, agent, peer, width });
  }
  get key() {
    return `${this.suite.name}.${this.runtime}.${this.peer}${this.width === 1 ? "" : `.x${this.width}`}`;
  }
  async ask(order) {
    const answer = await this.agent.ask({ name: this.suite.name, peer: this.peer, ...order }).catch((fault) => {
      throw new Error(`${this.key}: ${fault.message}`);
    });
    if (answer.fault) throw new Error(`${this.key}: ${answer.fault}`);
    return answer;
  }
  /** Microseconds for these tokens; throws when a result is not right. */
  async work(indices) {
    await this.ask({ order: "prepare", indices });
    const { us } = await this.ask({ order: "run", width: this.width });
    const { goodRefused, wrongAccepted, mixedUp } = await this.ask({ order: "check" });
    if (goodRefused + wrongAccepted + mixedUp > 0) {
      throw new Error(`${this.key} is wrong: ${goodRefused} good refused, ${wrongAccepted} wrong accepted, ${mixedUp} mixed up, of ${indices.length}`);
    }
    return us;
  }
  async warmUp() {
    for (const indices of this.suite.warm()) await this.work(indices);
    let count = 32;
    let calls = 0;
    let spent = 0;
    for (;;) {
      const us = Math.max(await this.work(this.suite.draw(this, count)), 1);
      calls += count;
      spent += us;
      if (spent >= warm.us && (calls >= warm.calls || spent >= warm.usMost)) {
        // Whole groups of 32: two wrong tokens in each, and one flight.
        const slice = sliceUs * (runtimes[this.runtime].slices ?? 1);
        this.count = Math.min(Math.max(Math.round((slice / us) * (count / 32)), 1) * 32, sliceMost);
        return;
      }
      count = Math.min(count * 2, sliceMost);
    }
  }
  async sample() {
    // First an eighth off the clock: what the others left in caches and predictors is not what this one costs.
    await this.work(this.suite.draw(this, Math.max(Math.round(this.count / 256), 1) * 32));
    this.samples.push((await this.work(this.suite.draw(this, this.count))) / this.count);
    const wrong = this.suite.wrong?.();
    if (wrong) await this.work(wrong);
  }
}

/** A row that is sampled as a whole, a cold start. */
class Once {
  samples = [];
  constructor({ key, sample }) {
    Object.assign(this, { key, measure: sample });
  }
  warmUp() {
    return this.measure();  // the files are in the system's cache then, for everybody
  }
  async sample() {
    this.samples.push(await this.measure());
  }
}

const load = loadavg()[0].toFixed(1);
const started = new Map();
const versions = {};
const entries = [];
const endings = [];
try {
  for (const suite of suites) {
    if (suite.long && options.quick) continue;
    for (const runtime of suite.runtimes ?? Object.keys(runtimes)) {
      if (!wanted(suite.name, runtime)) continue;
      if (!(runtime in versions)) versions[runtime] = versionOf(runtime);
      if (versions[runtime] === undefined) {
        say(`${suite.name}.${runtime}: not installed (scripts/setup bench; scripts/bench builds the native ones)`);
        continue;
      }
      if (!started.has(runtime)) started.set(runtime, await runtimes[runtime].start());
      const agent = started.get(runtime);
      const answer = await agent.ask({ order: "load", name: suite.name, kind: suite.kind, suite: suite.tokensAndKeys() });
      if (answer.fault) throw new Error(`${suite.name}.${runtime}: ${answer.fault}`);
      for (const { peer, sequential } of answer.contestants) {
        for (const width of sequential || runtimes[runtime].sequential ? [1] : suite.widths) entries.push(new Entry(suite, runtime, agent, peer, width));
      }
    }
  }
  const cold = await coldStarts();
  endings.push(cold.stop);
  for (const row of cold.rows) {
    const known = row.runtime in versions ? versions[row.runtime] : versionOf(row.runtime);
    if (pattern.test(`${row.key}.`) && known !== undefined) entries.push(new Once(row));
  }
  if (entries.length === 0 && !pattern.test("size.")) throw new Error(`nothing is named like "${options.only}"`);
  say(`${entries.length} rows, ${rounds} rounds; warming up`);
  for (const entry of entries) await entry.warmUp();
  for (let round = 0; round < rounds; round++) {
    // There and back again, so that nobody always comes after the same one.
    for (const entry of round % 2 ? [...entries].reverse() : entries) await entry.sample();
    if ((round + 1) % 5 === 0) say(`round ${round + 1} of ${rounds}`);
  }
} finally {
  for (const agent of started.values()) await agent.stop();
  for (const end of endings) end();
}

const results = {};
const tidy = (us) => Number(us.toPrecision(4));
for (const { key, samples } of entries) {
  results[key] = { median_us: tidy(median(samples)), min_us: tidy(Math.min(...samples)), max_us: tidy(Math.max(...samples)) };
}
if (pattern.test("size.")) Object.assign(results, await sizes());
const longest = Math.max(...Object.keys(results).map((key) => key.length));
const shown = [
  [["median_us", "min_us", "max_us"], "microseconds"],
  [["raw_bytes", "gzip_bytes", "brotli_bytes"], "bytes"],
];
for (const [members, unit] of shown) {
  const rows = Object.entries(results).filter(([, row]) => members[0] in row);
  if (rows.length === 0) continue;
  console.log(`\n${unit.padEnd(longest)} ${members.map((member) => member.split("_")[0].padStart(9)).join("")}`);
  for (const [key, row] of rows) console.log(`${key.padEnd(longest)} ${members.map((member) => String(row[member]).padStart(9)).join("")}`);
}
printRatios(results);
if (options.json) {
  const put = (name, what) => writeFileSync(new URL(name, import.meta.url), `${JSON.stringify(what, undefined, 1)}\n`);
  put("results.json", results);
  const commit = execFileSync("git", ["rev-parse", "--short=12", "HEAD"], { encoding: "utf8" }).trim();
  put("run.json", { commit, quick: options.quick, rounds, cores: availableParallelism(), cpu: cpus()[0]?.model ?? "unknown", load, versions });
}
