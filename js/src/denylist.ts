// The host's denylist: read from its source every few seconds, and told to the core.
import { CoreRefused, CoreTrapped, type Core } from "./core.js";
import { ConfigError, nameOf } from "./errors.js";
import { withinTime } from "./fetching.js";

const secondsDefault = 5;
const secondsMost = 3_600;
const readLimitMs = 1_000;

/**
 * Where what is no longer good stands: a KV, Redis, a file. The text is JSON, a list as the configuration's `denylist`, which counts
 * as well.
 */
export interface DenylistSource {
  /** The list as it is now; nothing for an empty one. */
  get(): Promise<string | null | undefined>;
  /** How old what was read may get before it is read again: 1 to 3600. Default 5. */
  intervalSeconds?: number;
}

/** The core that is told, and what it was told last. */
export interface Told {
  readonly core: Core;
  readonly handle: number;
  denylistText: string | undefined;
}

/** Kept outside the core, because a new instance starts without. */
export class Denylist {
  readonly intervalMs: number;
  #source: DenylistSource;
  #now: () => number;
  #tell: { failed(warning: string): void; mended(warning: string): void };
  #last: { text: string; readAtMs: number } | undefined;
  // What was told of it last; nothing once it could be read again.
  #warning: string | undefined;

  /** @param tell is told once of each way in which the list cannot be read, and when it can again */
  constructor(source: DenylistSource, now: () => number, tell: { failed(warning: string): void; mended(warning: string): void }) {
    const seconds = source.intervalSeconds ?? secondsDefault;
    // As for the native server. What is no number, or 0, would be a read without a pause; what a timer cannot hold, no read at all.
    if (!(typeof seconds === "number" && seconds >= 1 && seconds <= secondsMost)) {
      throw new ConfigError({ line: 0, column: 0, path: "denylist.intervalSeconds", message: `must be a number of seconds from 1 to ${secondsMost}` });
    }
    this.intervalMs = seconds * 1000;
    this.#source = source;
    this.#now = now;
    this.#tell = tell;
  }

  /** Whether the core has the list, and it is young enough. */
  isFresh(told: Told, nowMs: number): boolean {
    return this.#last !== undefined && nowMs - this.#last.readAtMs < this.intervalMs && told.denylistText === this.#last.text;
  }

  /** True when the core has the list, young enough or the last that could be had; false before there was any. */
  async read(told: Told): Promise<boolean> {
    if (this.#last !== undefined && this.#now() - this.#last.readAtMs < this.intervalMs) {
      // A new instance has not been told yet.
      set(told, this.#last.text);
      return true;
    }
    const askedAtMs = this.#now();
    try {
      // Each request reads for itself: in workerd one may not await another's promise.
      const text = (await withinTime(readLimitMs, this.#source.get())) ?? "[]";
      if (typeof text !== "string") throw new TypeError("the denylist gave no text");
      // A slow read does not put an older list in the place of a newer.
      if (this.#last !== undefined && this.#last.readAtMs > askedAtMs) return true;
      set(told, text);
      this.#last = { text, readAtMs: askedAtMs };
      if (this.#warning !== undefined) this.#tell.mended(this.#warning);
      this.#warning = undefined;
      return true;
    } catch (fault) {
      if (fault instanceof CoreTrapped) throw fault;
      // Words of the source's could quote a URL or a key; these are the core's.
      const why = fault instanceof ConfigError || fault instanceof CoreRefused ? fault.message : nameOf(fault);
      const warning = `the denylist could not be read: ${why}`;
      if (this.#warning !== warning) {
        this.#warning = warning;
        this.#tell.failed(warning);
      }
      if (this.#last === undefined) return false;
      this.#last.readAtMs = Math.max(this.#last.readAtMs, askedAtMs);  // not every request waits for a source that is down
      set(told, this.#last.text);
      return true;
    }
  }
}

function set(told: Told, text: string): void {
  if (told.denylistText === text) return;
  const { error } = told.core.setDenylist(told.handle, text);
  if (error !== undefined) throw new ConfigError(error);
  told.denylistText = text;
}
