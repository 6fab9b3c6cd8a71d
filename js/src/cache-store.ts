// A key store over the Cache API: at the edge, one copy of the issuer's keys for each data centre.
import { type GateConfig, type IssuerRules } from "./config.js";
import { type KeyStore } from "./gate.js";

export interface CacheStoreOptions {
  /**
   * The origin of the entry's URL. Nothing is ever sent there. Cloudflare advises the worker's own, which saves a look-up
   * of the name: `https://gate.example`. Default: a name that cannot exist.
   */
  origin?: string;
}

// The core's own defaults, for a configuration given as text: it is not parsed here.
const maxAgeSecondsDefault = 600;
const staleSecondsDefault = 3600;
// What keys are trusted for. Secrets and rules may change without making the kept keys another's.
const namedBy = ["preset", "url", "issuer", "jwks_uri", "jwks_origins"];

/**
 * Keeps fetched keys in the Cache API's cache `postern-keys`, under a URL made from what the configuration says about
 * issuers. It is never the address the keys were fetched from: what an ordinary `fetch` leaves in a cache carries no
 * time and no configuration that could be checked.
 *
 * @example
 * ```ts
 * const gate = await Gate.create(config, { env, keyStore: cacheApiStore(config) });
 * ```
 */
export function cacheApiStore(config: GateConfig | string, options: CacheStoreOptions = {}): KeyStore {
  const origin = options.origin ?? "https://postern.invalid";
  // Opened at each call: in workerd nothing of one request's may serve another, and nothing at all outside of one.
  const open = async (): Promise<[Cache, string]> => {
    const name = typeof config === "string" ? config : JSON.stringify(config.issuers, namedBy);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(name)));
    const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return [await caches.open("postern-keys"), `${origin}/keys/${hex}`];
  };
  return {
    async get() {
      const [cache, url] = await open();
      return (await cache.match(url))?.text();
    },
    async put(text) {
      const [cache, url] = await open();
      const headers = { "content-type": "application/json", "cache-control": `max-age=${secondsMax(config)}` };
      await cache.put(url, new Response(text, { headers }));
    },
  };
}

/** How long kept keys can be of use: past that the core refuses them anyway. */
function secondsMax(config: GateConfig | string): number {
  const issuers = typeof config === "string" ? [{}] : config.issuers ?? [{}];
  return Math.max(...issuers.map(
    ({ max_age_seconds = maxAgeSecondsDefault, stale_seconds_max = staleSecondsDefault }: IssuerRules) =>
      max_age_seconds + stale_seconds_max,
  ));
}
