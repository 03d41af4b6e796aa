// What is the same on every platform. `@sluice/sdk/node` and `@sluice/sdk/web` have a `Client`.

export { Client as BaseClient } from "./client.js";
export type { CallOptions, ClientOptions, RawClients } from "./calls.js";
export { SluiceError } from "./errors.js";
export type { ErrorFacts, ErrorKind, FieldViolation, Reason } from "./errors.js";
export { MemoryStore } from "./session.js";
export type { SessionStore, SessionTokens } from "./session.js";
export type { ScopeName, SignedIn } from "./accounts.js";
export type { FileChange, FolderEntry, ListQuery, SignedUrl } from "./files.js";
export type { ReadOptions } from "./read.js";
export type { WatchEvent, WatchQuery } from "./watch.js";
export type {
  ExpectedChecksums,
  Progress,
  UploadOptions,
  UploadStore,
  Uploaded,
} from "./upload/options.js";
export type {
  Connection,
  Content,
  EncodedMessage,
  Frame,
  KnownSource,
  OnceSource,
  Platform,
  Sender,
  Source,
  WriteCall,
} from "./platform.js";
export { VERSION } from "./version.js";

export { Code } from "@connectrpc/connect";
export { Scope } from "./gen/sluice/v1/account_pb.js";
export type { Account, ApiKey, Quota, Session, Usage } from "./gen/sluice/v1/account_pb.js";
export type { Capabilities } from "./gen/sluice/v1/capabilities_pb.js";
export { File_State as FileState } from "./gen/sluice/v1/file_pb.js";
export type { File } from "./gen/sluice/v1/file_pb.js";
export { Upload_State as UploadState } from "./gen/sluice/v1/upload_pb.js";
export type { Upload } from "./gen/sluice/v1/upload_pb.js";
