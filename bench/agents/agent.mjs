// The same in every JavaScript runtime: takes orders from run.mjs, one at a time.
//
//   load     a suite's keys and tokens; answers with the contestants' names
//   prepare  makes fresh inputs of some of the tokens: no string or Request is seen twice
//   run      works them off, on the clock: `us`, where this runtime has a clock that goes on while it works
//   check    whether every result was right, off the clock
import { signals } from "./contestants.mjs";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const wrong = Symbol("refused");

/** @param {((kind: string, suite: import("../workload.mjs").Suite) => Promise<Record<string, import("./contestants.mjs").Contestant>>)[]} families */
export function makeAgent(families) {
  const suites = new Map();
  let batch;

  const isUser = (user, token) => user.identity === token.subject && user.claims.email === `${token.subject}@users.example`;

  // The claims are looked at inside the clock: a user whose claims are only read when asked for would not be one yet.
  async function sequential({ work, sync }, inputs, keys, results) {
    // Those that give no promise are not made to wait for one.
    if (sync) {
      for (let i = 0; i < inputs.length; i++) {
        try {
          const result = work(inputs[i], keys[i]);
          results[i] = result instanceof Promise ? await result : result;
          results[i].claims?.role;
        } catch {
          results[i] = wrong;
        }
      }
      return;
    }
    for (let i = 0; i < inputs.length; i++) {
      try {
        results[i] = await work(inputs[i], keys[i]);
        results[i].claims?.role;
      } catch {
        results[i] = wrong;
      }
    }
  }

  async function inFlight({ work }, inputs, keys, results, width) {
    const one = async (i) => {
      try {
        results[i] = await work(inputs[i], keys[i]);
        results[i].claims?.role;
      } catch {
        results[i] = wrong;
      }
    };
    for (let from = 0; from < inputs.length; from += width) {
      const flight = [];
      for (let i = from; i < Math.min(from + width, inputs.length); i++) flight.push(one(i));
      await Promise.all(flight);
    }
  }

  return {
    async load({ name, kind, suite }) {
      const all = {};
      for (const family of families) Object.assign(all, await family(kind, suite));
      suites.set(name, { contestants: all, tokens: suite.tokens, bytes: suite.tokens.map(({ text }) => encoder.encode(text)) });
      return { contestants: Object.entries(all).map(([peer, { sequential = false }]) => ({ peer, sequential })) };
    },
    /** `indices` into the suite's tokens. */
    prepare({ name, peer, indices }) {
      const { contestants, tokens, bytes } = suites.get(name);
      const contestant = contestants[peer];
      batch = {
        contestant,
        tokens: indices.map((index) => tokens[index]),
        inputs: indices.map((index) => contestant.input(decoder.decode(bytes[index]), tokens[index])),
        keys: indices.map((index) => tokens[index].key),
        results: new Array(indices.length),
      };
      return {};
    },
    async run({ width }) {
      signals.current = new AbortController().signal;
      for (const input of batch.inputs) if (input?.signal && !(input instanceof Request)) input.signal = signals.current;
      const { contestant, inputs, keys, results } = batch;
      const begun = performance.now();
      await (width === 1 ? sequential(contestant, inputs, keys, results) : inFlight(contestant, inputs, keys, results, width));
      return { us: (performance.now() - begun) * 1000 };
    },
    check() {
      const { contestant, tokens, results } = batch;
      const fits = contestant.fits ?? isUser;
      const faults = { goodRefused: 0, wrongAccepted: 0, mixedUp: 0 };
      tokens.forEach((token, i) => {
        if (results[i] === wrong) faults.goodRefused += Number(token.good);
        else if (!token.good) faults.wrongAccepted++;
        else if (!fits(results[i], token)) faults.mixedUp++;
      });
      batch = undefined;
      return faults;
    },
  };
}
