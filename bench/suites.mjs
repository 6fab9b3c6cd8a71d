// What is measured: names, the tokens of each, and which of them one slice of work takes.
import { algorithms, makeKeys, makeOwners, makeSuite } from "./workload.mjs";

const lazily = (make) => {
  let made;
  return () => (made ??= make());
};

/**
 * 256 tokens, one in 16 wrong, worked off in turn; no cache of verified tokens.
 *
 * @param {string} name
 */
const ofAll = (name, kind, alg, more) => ({
  name, kind, widths: [1, 32],
  tokensAndKeys: lazily(() => makeSuite(alg, 256)),
  warm: () => [],
  draw(entry, count) {
    const indices = Array.from({ length: count }, (_, i) => (entry.at + i) % 256);
    entry.at = (entry.at + count) % 256;
    return indices;
  },
  ...more,
});

const seenCount = 10_000;
/** Draws from 10,000 good tokens that were all seen before; wrong ones are tried off the clock after each slice. */
const seenBefore = (name, kind, { tokensAndKeys = sharedTokens, ...more } = {}) => {
  const pick = (good) => lazily(() => tokensAndKeys().tokens.flatMap((token, i) => (token.good === good ? [i] : [])));
  const [good, bad] = [pick(true), pick(false)];
  return {
    name, kind, widths: [1, 32], tokensAndKeys,
    *warm() {
      for (let from = 0; from < good().length; from += 1024) yield good().slice(from, from + 1024);
    },
    draw: (_, count) => Array.from({ length: count }, () => good()[Math.floor(Math.random() * good().length)]),
    wrong: () => Array.from({ length: 16 }, () => bad()[Math.floor(Math.random() * bad().length)]),
    ...more,
  };
};
// 10,000 good ones, and their share of wrong ones.
const sharedTokens = lazily(() => makeSuite("ES256", Math.ceil((seenCount * 16) / 15 / 16) * 16));

// One JWK Set has at most 64 keys, so that many keys are those of many issuers.
const jwkSetKeysMost = 64;
const issuersOf = (keys) => Array.from({ length: Math.ceil(keys / jwkSetKeysMost) }, (_, i) => Math.min(jwkSetKeysMost, keys - i * jwkSetKeysMost));
const growing = { widths: [1], runtimes: ["native", "node20"] };
const growth = [
  ...[1, 10, 100, 1000].map((count) =>
    ofAll(`growth.issuers-${count}`, "growth", "ES256", { ...growing, tokensAndKeys: lazily(() => makeKeys(Array(count).fill(1), 256)) })),
  ...[1, 10, 100, 1000, 10_000].map((count) =>
    ofAll(`growth.keys-${count}`, "growth", "ES256", { ...growing, tokensAndKeys: lazily(() => makeKeys(issuersOf(count), 256)) })),
  ...[1, 100, 10_000, 100_000, 1_000_000].map((count) =>
    seenBefore(`growth.tokens-${count}`, "growth-cached", {
      // Making a million tokens takes longer than all else of a quick run.
      widths: [1], long: count > 100_000, runtimes: count > 100_000 ? ["native"] : growing.runtimes,
      // HS256 is the quickest to make; the algorithm has no part in a token that was seen.
      tokensAndKeys: lazily(() => ({ ...makeSuite("HS256", Math.ceil((count * 16) / 15 / 16) * 16), more: { token_cache: { bytes_max: Math.max(count, 10_000) * 2048 } } })),
    })),
];

export const suites = [
  ...algorithms.map((alg) => ofAll(`verify.${alg}`, "verify", alg)),
  ofAll("authenticate.ES256", "authenticate", "ES256"),
  seenBefore("verify-cached.ES256", "verify-cached"),
  ofAll("filter.owner", "filter.owner", "ES256", { widths: [1], runtimes: ["node20", "node24"], tokensAndKeys: lazily(() => makeOwners(256)) }),
  seenBefore("gate.thread-get", "gate.thread-get", { widths: [1] }),
  seenBefore("gate.thread-handle", "gate.thread-handle"),
  ...growth,
];
