// Signing in and out, and the account that calls are made for.

import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type CallOptions, Calls, pages } from "./calls.js";
import { SluiceError, required } from "./errors.js";
import {
  type Account,
  type ApiKey,
  Scope,
  type Session as SessionRecord,
  type Usage,
} from "./gen/sluice/v1/account_pb.js";
import { Session, type SessionTokens, sessionTokens } from "./session.js";

const PAGE_SIZE = 1000;

/** Somebody who has signed in. */
export interface SignedIn {
  readonly account: Account;
  /** Secrets: give them, or a store that has them, to a new client as its `session`. */
  readonly tokens: SessionTokens;
  /** Shows at the next sign-in that this device is known. */
  readonly deviceToken: string;
}

/** What a new API key may be used for, as the contract names it. */
export type ScopeName =
  | "uploads:read"
  | "uploads:write"
  | "files:read"
  | "files:write"
  | "account:read"
  | "account:write"
  | "admin";

const SCOPES: Record<ScopeName, Scope> = {
  "uploads:read": Scope.UPLOADS_READ,
  "uploads:write": Scope.UPLOADS_WRITE,
  "files:read": Scope.FILES_READ,
  "files:write": Scope.FILES_WRITE,
  "account:read": Scope.ACCOUNT_READ,
  "account:write": Scope.ACCOUNT_WRITE,
  admin: Scope.ADMIN,
};

/** The verbs about accounts. */
export class AccountCalls<S> extends Calls<S> {
  /** Makes an account and signs in. */
  async register(
    request: { email: string; password: string; displayName?: string; setupToken?: string },
    options?: CallOptions,
  ): Promise<SignedIn> {
    return signedIn(await this.unaryOnce((call) => this.auth.register(request, call), options));
  }

  /** Signs in. */
  async login(
    request: { email: string; password: string; deviceToken?: string },
    options?: CallOptions,
  ): Promise<SignedIn> {
    return signedIn(await this.unary((call) => this.auth.login(request, call), options));
  }

  /** Ends the session of this client, on the server and in its store. */
  async logout(options?: CallOptions): Promise<void> {
    if (!(this.credential instanceof Session))
      throw new SluiceError("usage", "nobody has signed in");
    await this.credential.end((refreshToken) =>
      this.unary((call) => this.auth.logout({ refreshToken }, call), options),
    );
  }

  /**
   * Gets the next tokens of this client's session now. There is no need to: calls do it by
   * themselves when the access token has expired.
   */
  async refreshSession(options?: CallOptions): Promise<void> {
    const { credential } = this;
    if (!(credential instanceof Session)) throw new SluiceError("usage", "nobody has signed in");
    options?.signal?.throwIfAborted();
    await credential.renew(await credential.authorization());
  }

  /** The account that calls are made for. */
  async account(options?: CallOptions): Promise<Account> {
    const answer = await this.unary((call) => this.raw.accounts.getAccount({}, call), options);
    return required(answer.account, "account");
  }

  /** What the account uses, and its quota. */
  async usage(options?: CallOptions): Promise<Usage> {
    const answer = await this.unary((call) => this.raw.accounts.getUsage({}, call), options);
    return required(answer.usage, "usage");
  }

  /** Changes the password; other sessions end. */
  async changePassword(
    currentPassword: string,
    newPassword: string,
    options?: CallOptions,
  ): Promise<void> {
    const request = { currentPassword, newPassword };
    await this.unaryOnce((call) => this.raw.accounts.changePassword(request, call), options);
  }

  /** The sessions of the account. */
  sessions(options?: CallOptions): AsyncGenerator<SessionRecord, void, undefined> {
    return pages(async (pageToken) => {
      const request = { pageSize: PAGE_SIZE, pageToken };
      const page = await this.unary(
        (call) => this.raw.accounts.listSessions(request, call),
        options,
      );
      return { entries: page.sessions, nextPageToken: page.nextPageToken };
    });
  }

  /** Ends a session of the account. */
  async revokeSession(sessionId: string, options?: CallOptions): Promise<void> {
    const request = { target: { case: "sessionId" as const, value: sessionId } };
    await this.unary((call) => this.raw.accounts.revokeSession(request, call), options);
  }

  /** Ends all sessions of the account but that of this client; answers how many. */
  async revokeOtherSessions(options?: CallOptions): Promise<number> {
    const request = { target: { case: "allOthers" as const, value: true } };
    const call = this.unary((call) => this.raw.accounts.revokeSession(request, call), options);
    return (await call).revoked;
  }

  /** Makes an API key. Its secret is shown this once. */
  async createApiKey(
    request: { name: string; scopes: ScopeName[]; ttlMs?: number },
    options?: CallOptions,
  ): Promise<{ apiKey: ApiKey; secret: string }> {
    const { name, ttlMs } = request;
    const scopes = request.scopes.map((scope) => {
      if (!(scope in SCOPES)) throw new SluiceError("usage", `there is no scope ${scope}`);
      return SCOPES[scope];
    });
    const ttl = ttlMs === undefined ? {} : { ttl: durationFromMs(ttlMs) };
    const answer = await this.unaryOnce(
      (call) => this.raw.accounts.createApiKey({ name, scopes, ...ttl }, call),
      options,
    );
    return { apiKey: required(answer.apiKey, "API key"), secret: answer.secret };
  }

  /** The API keys of the account, without their secrets. */
  apiKeys(options?: CallOptions): AsyncGenerator<ApiKey, void, undefined> {
    return pages(async (pageToken) => {
      const request = { pageSize: PAGE_SIZE, pageToken };
      const page = await this.unary(
        (call) => this.raw.accounts.listApiKeys(request, call),
        options,
      );
      return { entries: page.apiKeys, nextPageToken: page.nextPageToken };
    });
  }

  /** Ends an API key. */
  async revokeApiKey(apiKeyId: string, options?: CallOptions): Promise<void> {
    await this.unary((call) => this.raw.accounts.revokeApiKey({ apiKeyId }, call), options);
  }
}

function signedIn(answer: {
  account?: Account | undefined;
  tokens?: Parameters<typeof sessionTokens>[0] | undefined;
  deviceToken: string;
}): SignedIn {
  return {
    account: required(answer.account, "account"),
    tokens: sessionTokens(required(answer.tokens, "tokens")),
    deviceToken: answer.deviceToken,
  };
}
