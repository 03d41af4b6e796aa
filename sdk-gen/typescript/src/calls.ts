// One server, who calls it, and how long to keep trying.

import {
  type CallOptions as ConnectOptions,
  type Client as RawClient,
  type Interceptor,
  type StreamRequest,
  type Transport,
  createClient,
} from "@connectrpc/connect";
import type { Message } from "@bufbuild/protobuf";
import { SluiceError } from "./errors.js";
import { AccountService } from "./gen/sluice/v1/account_pb.js";
import { AdminService } from "./gen/sluice/v1/admin_pb.js";
import { AuthService } from "./gen/sluice/v1/auth_pb.js";
import { CapabilitiesService } from "./gen/sluice/v1/capabilities_pb.js";
import { EventService } from "./gen/sluice/v1/event_pb.js";
import { FileService } from "./gen/sluice/v1/file_pb.js";
import { UploadService } from "./gen/sluice/v1/upload_pb.js";
import type { Connection, Platform, Sender } from "./platform.js";
import { Attempts } from "./retry.js";
import {
  type Credential,
  MemoryStore,
  Session,
  type SessionStore,
  type SessionTokens,
  fixedCredential,
  withCredential,
} from "./session.js";
import type { UploadStore } from "./upload/options.js";
import { USER_AGENT } from "./version.js";

/** A call that has no answer by then is made again. */
const CALL_TIMEOUT_MS = 60_000;
/**
 * A refresh has its answer by then. Less than half of the 15 seconds in which servers take the
 * same refresh token again, so that a lost answer leaves time for another try.
 */
const REFRESH_TIMEOUT_MS = 6000;
/** Connections that small files share. */
const SHARED_SENDERS = 4;

/** Which server, who calls, and how patiently. */
export interface ClientOptions {
  /** Address of the server, such as `https://files.example.com`. */
  server: string;
  /** The API key to call with. */
  apiKey?: string | undefined;
  /** The session to call with: its tokens, or where they are kept. */
  session?: SessionTokens | SessionStore | undefined;
  /** How long a call keeps trying without any progress: 2 minutes unless set. */
  giveUpAfterMs?: number | undefined;
  /**
   * Where to remember which file is being uploaded as which upload. With it, `upload` goes on
   * with what an earlier process or page has begun and not ended.
   */
  uploadStore?: UploadStore | undefined;
  /** Who the caller is, where several people share one `uploadStore`: any name. */
  account?: string | undefined;
}

/** Choices about one call. */
export interface CallOptions {
  /** Cancels the call. */
  signal?: AbortSignal | undefined;
}

/** The generated clients, on the SDK's connection and with its credential. */
export interface RawClients {
  readonly uploads: RawClient<typeof UploadService>;
  readonly files: RawClient<typeof FileService>;
  readonly events: RawClient<typeof EventService>;
  readonly auth: RawClient<typeof AuthService>;
  readonly accounts: RawClient<typeof AccountService>;
  readonly admin: RawClient<typeof AdminService>;
  readonly capabilities: RawClient<typeof CapabilitiesService>;
}

/** What all verbs have in common. */
export class Calls<S> {
  readonly options: Readonly<ClientOptions>;
  /**
   * The generated clients, for what has no verb. They make one attempt (and another with a new
   * access token, if need be) and throw `ConnectError`, which `SluiceError.from` reads.
   */
  readonly raw: RawClients;
  /** The server, without a slash at its end. */
  readonly server: string;
  readonly platform: Platform<S>;
  readonly credential: Credential;
  /** Signs in and out, without a credential. */
  protected readonly auth: RawClient<typeof AuthService>;
  readonly #connection: Connection;
  readonly #senders: Sender[] = [];
  #turn = 0;

  constructor(platform: Platform<S>, options: ClientOptions) {
    this.options = options;
    this.platform = platform;
    this.server = address(options.server);
    const name: Interceptor = (next) => (request) => {
      request.header.set(platform.userAgentHeader, USER_AGENT);
      return next(request);
    };
    this.#connection = platform.connection(this.server);
    this.auth = createClient(AuthService, this.#connection.transport([name]));
    this.credential = credentialOf(options, async (refreshToken) => {
      const request = this.auth.refreshSession({ refreshToken }, { timeoutMs: REFRESH_TIMEOUT_MS });
      return (await request).tokens;
    });
    this.raw = clients(this.#connection.transport([name, signedIn(this.credential)]));
  }

  /** Closes connections; whatever is under way ends with an error. */
  close(): void {
    this.#connection.close();
    for (const sender of this.#senders.splice(0)) sender.close();
  }

  /** Patience for one piece of work. */
  attempts(signal?: AbortSignal): Attempts {
    return new Attempts(this.options.giveUpAfterMs ?? 120_000, signal);
  }

  /** Makes a call that may be repeated, until it works or its error lasts. */
  async unary<T>(
    call: (options: ConnectOptions) => Promise<T>,
    options: CallOptions = {},
  ): Promise<T> {
    return this.#repeat(call, options, () => true);
  }

  /** Makes a call of which two would do more than one: repeats it only if it was refused. */
  async unaryOnce<T>(
    call: (options: ConnectOptions) => Promise<T>,
    options: CallOptions = {},
  ): Promise<T> {
    return this.#repeat(call, options, (error) => error.kind === "server");
  }

  async #repeat<T>(
    call: (options: ConnectOptions) => Promise<T>,
    { signal }: CallOptions,
    mayRepeat: (error: SluiceError) => boolean,
  ): Promise<T> {
    const attempts = this.attempts(signal);
    for (;;) {
      try {
        // A signal for each attempt: listeners of many calls would pile up on that of the caller.
        const own = signal && { signal: AbortSignal.any([signal]) };
        return await call({ timeoutMs: CALL_TIMEOUT_MS, ...own });
      } catch (thrown) {
        const error = SluiceError.from(thrown, signal);
        if (!mayRepeat(error)) throw error;
        await attempts.waitAfter(error);
      }
    }
  }

  /** The way for content of one lane, to the server itself. */
  sender(lane = this.#turn++ % SHARED_SENDERS): Sender {
    return (this.#senders[lane] ??= this.platform.sender(this.server));
  }
}

/** All entries of a list that comes in pages. */
export async function* pages<T>(
  page: (pageToken: string) => Promise<{ entries: T[]; nextPageToken: string }>,
): AsyncGenerator<T, void, undefined> {
  let pageToken = "";
  do {
    const { entries, nextPageToken } = await page(pageToken);
    yield* entries;
    pageToken = nextPageToken;
  } while (pageToken !== "");
}

function address(server: string): string {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    const message = `${JSON.stringify(server)} is no server address; it must be like http://host:7070`;
    throw new SluiceError("usage", message);
  }
  return url.origin;
}

function credentialOf(
  { apiKey, session }: ClientOptions,
  refresh: ConstructorParameters<typeof Session>[1],
): Credential {
  if (session === undefined) return fixedCredential(apiKey ?? "");
  if (apiKey !== undefined) {
    throw new SluiceError("usage", "give an API key or a session, not both");
  }
  return new Session("load" in session ? session : new MemoryStore(session), refresh);
}

/** Adds the credential, and repeats a call with the next one where the first has expired. */
function signedIn(credential: Credential): Interceptor {
  return (next) => async (request) => {
    const again = request.stream ? await repeatable(request) : request;
    return withCredential(credential, (authorization) => {
      if (authorization) request.header.set("authorization", authorization);
      return next(again);
    });
  };
}

/** A call with a stream of answers has one message, which may be needed twice. */
async function repeatable(request: StreamRequest): Promise<StreamRequest> {
  if (request.method.methodKind !== "server_streaming") return request;
  const messages: Message[] = [];
  for await (const message of request.message) messages.push(message);
  const message = {
    async *[Symbol.asyncIterator]() {
      yield* messages;
    },
  };
  return { ...request, message };
}

function clients(transport: Transport): RawClients {
  return {
    uploads: createClient(UploadService, transport),
    files: createClient(FileService, transport),
    events: createClient(EventService, transport),
    auth: createClient(AuthService, transport),
    accounts: createClient(AccountService, transport),
    admin: createClient(AdminService, transport),
    capabilities: createClient(CapabilitiesService, transport),
  };
}
