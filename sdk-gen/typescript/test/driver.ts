// Does what one command of the conformance tests says, with the SDK and nothing else: see
// tests/conformance/README.md.

import { createReadStream } from "node:fs";
import {
  Client,
  type ClientOptions,
  Code,
  type File,
  FileState,
  type Progress,
  type ScopeName,
  SluiceError,
  type UploadOptions,
} from "../src/node/index.js";

interface Command {
  verb: string;
  server: string;
  api_key?: string;
  tokens?: { access_token: string; refresh_token: string };
  give_up_after_ms?: number;
  path?: string;
  stream?: boolean;
  name?: string;
  upload_id?: string;
  file_id?: string;
  part_size?: number;
  concurrency?: number;
  content_type?: string;
  metadata?: Record<string, string>;
  on_conflict?: "fail" | "replace";
  request_id?: string;
  expected_sha256?: string;
  cancel_after?: number;
  name_prefix?: string;
  ttl_seconds?: number;
  until?: string;
  scopes?: ScopeName[];
}

const TRANSFER = ["part_size", "concurrency", "path", "cancel_after"];
const KEYS: Record<string, string[]> = {
  upload: [
    ...TRANSFER,
    "stream",
    "name",
    "content_type",
    "metadata",
    "on_conflict",
    "request_id",
    "expected_sha256",
  ],
  resume: [...TRANSFER, "upload_id"],
  download: ["path", "file_id"],
  list: ["name_prefix"],
  get: ["file_id"],
  delete: ["file_id"],
  sign: ["file_id", "ttl_seconds"],
  watch: ["until"],
  account: [],
  create_key: ["name", "scopes"],
};
const EVERYWHERE = ["verb", "server", "api_key", "tokens", "give_up_after_ms"];

function parse(argument: string | undefined): Command {
  const command = JSON.parse(argument ?? "") as Command;
  const known = KEYS[command.verb];
  if (!known) throw new Error(`there is no verb ${command.verb}`);
  for (const key of Object.keys(command)) {
    if (!EVERYWHERE.includes(key) && !known.includes(key)) {
      throw new Error(`${command.verb} does not know ${key}`);
    }
  }
  return command;
}

function needed<T>(value: T | undefined, key: string): T {
  if (value === undefined) throw new SluiceError("usage", `the command lacks ${key}`);
  return value;
}

function say(event: object): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

const brief = ({ id, name, size }: File) => ({ id, name, size: Number(size) });

async function transfer(client: Client, command: Command): Promise<object> {
  const started = performance.now();
  const controller = new AbortController();
  const { cancel_after: cancelAfter = Infinity } = command;
  const onProgress = ({ uploadId, persisted, total }: Progress) => {
    say({ event: "progress", upload_id: uploadId ?? null, persisted, total: total ?? null });
    if (persisted >= cancelAfter) controller.abort();
  };
  const sha256 = command.expected_sha256;
  const options: UploadOptions = {
    name: command.name,
    contentType: command.content_type,
    metadata: command.metadata,
    onConflict: command.on_conflict,
    partSize: command.part_size,
    concurrency: command.concurrency,
    requestId: command.request_id,
    expectedChecksums: sha256 === undefined ? undefined : { sha256: Buffer.from(sha256, "hex") },
    onProgress,
    signal: controller.signal,
  };
  const path = needed(command.path, "path");
  const uploaded =
    command.verb === "resume"
      ? await client.resume(needed(command.upload_id, "upload_id"), path, options)
      : await client.upload(command.stream ? createReadStream(path) : path, options);
  const { file, uploadId, sent, resumed } = uploaded;
  const seconds = (performance.now() - started) / 1000;
  return { file: brief(file), upload_id: uploadId, sent, resumed, seconds };
}

async function perform(client: Client, command: Command): Promise<object> {
  const fileId = () => needed(command.file_id, "file_id");
  switch (command.verb) {
    case "upload":
    case "resume":
      return transfer(client, command);
    case "download": {
      const started = performance.now();
      const { file } = await client.download(fileId(), needed(command.path, "path"));
      return { bytes: Number(file.size), seconds: (performance.now() - started) / 1000 };
    }
    case "list": {
      const names: string[] = [];
      for await (const file of client.list({ orderBy: "name", prefix: command.name_prefix })) {
        names.push(file.name);
      }
      return { names };
    }
    case "get":
      return { file: brief(await client.get(fileId())) };
    case "delete":
      await client.delete(fileId());
      return {};
    case "sign": {
      const seconds = command.ttl_seconds;
      const { url } = await client.sign(
        fileId(),
        seconds === undefined ? {} : { ttlMs: seconds * 1000 },
      );
      return { url };
    }
    case "watch":
      for await (const event of client.watch()) {
        if (event.type !== "file") continue;
        if (event.file.name === command.until && event.file.state === FileState.READY)
          return { file: brief(event.file) };
      }
      throw new SluiceError("transport", "the events have ended");
    case "account":
      return { account: { id: (await client.account()).id } };
    default: {
      const request = {
        name: needed(command.name, "name"),
        scopes: needed(command.scopes, "scopes"),
      };
      const { apiKey, secret } = await client.createApiKey(request);
      return { key_id: apiKey.id, secret };
    }
  }
}

/** INVALID_ARGUMENT for Code.InvalidArgument. */
function codeName(code: Code | undefined): string | null {
  if (code === undefined) return null;
  if (code === Code.Canceled) return "CANCELLED";
  return Code[code].replace(/(?<=[a-z])[A-Z]/g, "_$&").toUpperCase();
}

function told(error: SluiceError): object {
  return {
    kind: error.kind,
    code: codeName(error.code),
    reason: error.reason ?? null,
    fields: error.violations.map(({ field }) => field),
    retry_after_ms: error.retryAfterMs ?? null,
    upload_id: error.uploadId ?? null,
    transient: error.transient,
  };
}

async function main(): Promise<void> {
  let command: Command;
  try {
    command = parse(process.argv[2]);
  } catch (error) {
    console.error(`the command is not understood: ${String(error)}`);
    process.exitCode = 2;
    return;
  }
  const { server, api_key: apiKey, tokens, give_up_after_ms: giveUpAfterMs } = command;
  const session = tokens && {
    accessToken: tokens.access_token,
    refreshToken: tokens.refresh_token,
  };
  const options: ClientOptions = { server, apiKey, session, giveUpAfterMs };
  try {
    say({ event: "done", ...(await perform(new Client(options), command)) });
  } catch (thrown) {
    const error = SluiceError.from(thrown);
    console.error(error.message);
    say({ event: "error", ...told(error) });
  }
}

await main();
// Connections that are idle hold nobody up, but what was cancelled may still have timers.
process.exit();
