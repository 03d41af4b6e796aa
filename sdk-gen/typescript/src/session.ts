// Who calls: an API key, or a session whose tokens follow each other.

import { Code } from "@connectrpc/connect";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { required, refusal, SluiceError } from "./errors.js";
import type { Tokens } from "./gen/sluice/v1/auth_pb.js";

/** The tokens of a session: secrets. Plain data, to be kept as JSON for example. */
export interface SessionTokens {
  /** Goes with every call, for some minutes. */
  readonly accessToken: string;
  /** When that ends, in milliseconds since 1970. */
  readonly accessExpiresAt?: number | undefined;
  /** Gets the next tokens, once. Whoever uses it again later ends the session. */
  readonly refreshToken: string;
  /** When that ends, and the session with it. */
  readonly refreshExpiresAt?: number | undefined;
  /** Id of the session. */
  readonly sessionId?: string | undefined;
}

/**
 * Where the tokens of a session are kept. New tokens are saved before they are used: a refresh
 * token is good for one use, so tokens that are lost end the session.
 */
export interface SessionStore {
  /** The tokens that were saved last; `undefined` if the session has ended. */
  load(): Promise<SessionTokens | undefined> | SessionTokens | undefined;
  /** Keeps these tokens instead of those before; `undefined` once the session has ended. */
  save(tokens: SessionTokens | undefined): Promise<void> | void;
  /**
   * Runs the work while nobody else does, in other processes or tabs as well. Needed where
   * several share one session.
   */
  lock?<T>(work: () => Promise<T>): Promise<T>;
}

/** A session that ends with the process. */
export class MemoryStore implements SessionStore {
  #tokens: SessionTokens | undefined;

  /** A store with these tokens. */
  constructor(tokens?: SessionTokens) {
    this.#tokens = tokens;
  }

  load(): SessionTokens | undefined {
    return this.#tokens;
  }

  save(tokens: SessionTokens | undefined): void {
    this.#tokens = tokens;
  }
}

/** What goes with calls. */
export interface Credential {
  /** The value of the `authorization` header. */
  authorization(): Promise<string | undefined> | string | undefined;
  /** The server says that this one has expired. Answers whether there is another now. */
  renew?(used: string): Promise<boolean>;
}

/** An API key or the token of an upload; an empty one is none. */
export function fixedCredential(token: string): Credential {
  const trimmed = token.trim();
  if (!/^[\x21-\x7e]*$/.test(trimmed)) {
    throw new SluiceError(
      "usage",
      "the API key has characters that no key has; was it copied whole?",
    );
  }
  return { authorization: () => (trimmed ? `Bearer ${trimmed}` : undefined) };
}

/** Calls with a credential, and once more with the next one if it has expired. */
export async function withCredential<T>(
  credential: Credential,
  call: (authorization: string | undefined) => Promise<T>,
): Promise<T> {
  const used = await credential.authorization();
  try {
    return await call(used);
  } catch (thrown) {
    const expired = SluiceError.from(thrown).reason === "TOKEN_EXPIRED";
    if (!expired || used === undefined || !(await credential.renew?.(used))) throw thrown;
    return call(await credential.authorization());
  }
}

/** A session in use. */
export class Session implements Credential {
  readonly #store: SessionStore;
  readonly #refresh: (refreshToken: string) => Promise<Tokens | undefined>;
  #tokens: SessionTokens | undefined;
  /** The refresh under way: many calls at once make one. */
  #renewal: Promise<void> | undefined;
  /** A refresh token that the server has refused for good; it is not sent again. */
  #refused: { refreshToken: string; error: SluiceError } | undefined;

  constructor(store: SessionStore, refresh: (refreshToken: string) => Promise<Tokens | undefined>) {
    this.#store = store;
    this.#refresh = refresh;
  }

  async authorization(): Promise<string> {
    this.#tokens ??= await this.#kept();
    return bearer(this.#tokens);
  }

  async renew(used: string): Promise<boolean> {
    // Another call may have renewed it meanwhile.
    if (this.#tokens && bearer(this.#tokens) !== used) return true;
    this.#renewal ??= this.#locked(() => this.#next()).finally(() => {
      this.#renewal = undefined;
    });
    await this.#renewal;
    return true;
  }

  /** Ends the session, on the server by `logout` and here. */
  async end(logout: (refreshToken: string) => Promise<unknown>): Promise<void> {
    await this.#renewal?.catch(() => undefined);
    await this.#locked(async () => {
      const tokens = await this.#store.load();
      if (tokens) await logout(tokens.refreshToken);
      this.#tokens = undefined;
      await this.#store.save(undefined);
    });
  }

  async #next(): Promise<void> {
    const kept = await this.#kept();
    if (kept.accessToken !== this.#tokens?.accessToken) {
      // Another process was here before.
      this.#tokens = kept;
      return;
    }
    const { refreshToken } = kept;
    if (this.#refused?.refreshToken === refreshToken) throw this.#refused.error;
    try {
      const next = sessionTokens(required(await this.#refresh(refreshToken), "tokens"));
      await this.#store.save(next);
      this.#tokens = next;
    } catch (thrown) {
      const error = SluiceError.from(thrown);
      const final = error.code === Code.Unauthenticated || error.code === Code.PermissionDenied;
      if (final) this.#refused = { refreshToken, error };
      throw error;
    }
  }

  async #kept(): Promise<SessionTokens> {
    const tokens = await this.#store.load();
    if (tokens) return tokens;
    throw refusal("CREDENTIALS_INVALID", Code.Unauthenticated, "the session has ended: sign in");
  }

  #locked<T>(work: () => Promise<T>): Promise<T> {
    return this.#store.lock ? this.#store.lock(work) : work();
  }
}

/** Tokens as they are kept. */
export function sessionTokens(tokens: Tokens): SessionTokens {
  const { accessToken, refreshToken, sessionId } = tokens;
  return {
    accessToken,
    accessExpiresAt: tokens.accessExpireTime && timestampMs(tokens.accessExpireTime),
    refreshToken,
    refreshExpiresAt: tokens.refreshExpireTime && timestampMs(tokens.refreshExpireTime),
    sessionId,
  };
}

function bearer(tokens: SessionTokens): string {
  return `Bearer ${tokens.accessToken}`;
}
