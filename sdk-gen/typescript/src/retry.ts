// When to try again, and when to give up.

import { SluiceError } from "./errors.js";

/** The first delay; doubled after each failure. */
const SHORTEST_DELAY_MS = 100;
/** The longest delay, unless the server asks for a longer one. */
const LONGEST_DELAY_MS = 5000;
/** What a server may ask for at most, whatever it says. */
const LONGEST_ASKED_MS = 60_000;

/**
 * One run of attempts at the same thing. The time that it fails without progress decides when
 * it gives up, not the number of attempts.
 */
export class Attempts {
  readonly #giveUpAfterMs: number;
  readonly #signal: AbortSignal | undefined;
  #delayMs = SHORTEST_DELAY_MS;
  #failingSince: number | undefined;

  constructor(giveUpAfterMs: number, signal?: AbortSignal) {
    this.#giveUpAfterMs = giveUpAfterMs;
    this.#signal = signal;
  }

  /** Something got better: delays are short again and the time starts anew. */
  progressed(): void {
    this.#delayMs = SHORTEST_DELAY_MS;
    this.#failingSince = undefined;
  }

  /** Waits before the next attempt, or throws the error if there is no point in one. */
  async waitAfter(error: SluiceError): Promise<void> {
    if (!error.transient) throw error;
    // Half of it is left to chance, so that those who failed together do not come back together.
    const own = this.#delayMs * (0.5 + Math.random() / 2);
    this.#delayMs = Math.min(2 * this.#delayMs, LONGEST_DELAY_MS);
    const asked = Math.min(error.retryAfterMs ?? 0, LONGEST_ASKED_MS) * (1 + Math.random() / 4);
    const delay = Math.max(own, asked);

    const now = performance.now();
    this.#failingSince ??= now;
    const waited = now - this.#failingSince;
    if (waited + delay > this.#giveUpAfterMs) {
      if (waited < 1000) throw error;
      const seconds = Math.round(waited / 1000);
      throw error.withMessage(`${error.message} (gave up after ${seconds} s without progress)`);
    }
    await sleep(delay, this.#signal);
  }
}

/** Calls until it works, or until an error lasts. */
export async function untilDone<T>(attempts: Attempts, call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (thrown) {
      await attempts.waitAfter(SluiceError.from(thrown));
    }
  }
}

/** Waits, unless the signal is aborted before. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = () => {
      clearTimeout(timer);
      reject(SluiceError.from(signal?.reason, signal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }, ms);
    if (signal?.aborted) aborted();
    else signal?.addEventListener("abort", aborted, { once: true });
  });
}
