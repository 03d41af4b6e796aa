import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { appendFile, open, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { Client, FileState, type Progress, SluiceError } from "../src/node/index.js";
import { MIB, content, failure, file, sha256, stored } from "./content.js";
import { Server } from "./server.js";

let server: Server;
let client: Client;

before(async () => {
  server = await Server.start();
  client = new Client({ server: server.url, apiKey: server.apiKey });
});
after(() => server.stop());

test("a file arrives as it is, whatever its size", async () => {
  for (const size of [0, 1, 100, MIB, MIB + 1, 8 * MIB, 8 * MIB + 1, 20 * MIB]) {
    const path = server.path(`size-${size}`);
    const bytes = await file(path, size, size);
    const uploaded = await client.upload(path);
    assert.equal(uploaded.file.name, `size-${size}`);
    assert.equal(Number(uploaded.file.size), size);
    assert.equal(uploaded.sent, size);
    assert.equal(await stored(client, uploaded.file.id), sha256(bytes), `${size} bytes`);
  }
});

test("what was said of a file stays with it", async () => {
  const { file } = await client.upload(Buffer.from("{}"), {
    name: "notes/a.json",
    contentType: "application/json",
    metadata: { colour: "green" },
  });
  assert.equal(file.name, "notes/a.json");
  assert.equal(file.contentType, "application/json");
  assert.deepEqual(file.metadata, { colour: "green" });
});

test("progress is told and never falls", async () => {
  const size = 12 * MIB;
  const seen: Progress[] = [];
  const uploaded = await client.upload(content(size), {
    name: "progress",
    partSize: MIB,
    concurrency: 3,
    onProgress: (progress) => seen.push(progress),
  });
  assert.equal(seen[0]?.persisted, 0);
  assert.equal(seen.at(-1)?.persisted, size);
  assert.equal(seen.at(-1)?.sent, size);
  for (const [index, progress] of seen.entries()) {
    assert.equal(progress.uploadId, uploaded.uploadId);
    assert.equal(progress.total, size);
    assert.ok(progress.persisted >= (seen[index - 1]?.persisted ?? 0));
    assert.ok(progress.persisted + progress.inFlight <= size);
  }
  assert.ok(seen.length >= 4, "more often than at beginning and end");
});

test("every kind of source gives the same file", async () => {
  const path = server.path("kinds");
  const bytes = await file(path, 9 * MIB + 17, 3);
  const handle = await open(path);
  const sources = {
    path,
    handle,
    memory: bytes,
    blob: new Blob([bytes]),
    stream: createReadStream(path, { highWaterMark: 100_000 }),
    web: new Blob([bytes]).stream(),
  };
  for (const [kind, source] of Object.entries(sources)) {
    const { file } = await client.upload(source, { name: `kind-${kind}`, partSize: 2 * MIB });
    assert.equal(await stored(client, file.id), sha256(bytes), kind);
  }
  // Whoever opened a file closes it.
  assert.equal((await handle.stat()).size, bytes.length);
  await handle.close();
});

test("a small stream is one call, and one that ends at a part's end is whole", async () => {
  async function* bytes(size: number) {
    for (let sent = 0; sent < size; sent += 512 * 1024) yield content(512 * 1024, sent + 1);
  }
  for (const size of [0, MIB, 4 * MIB]) {
    const { file, sent } = await client.upload(bytes(size), {
      name: `stream-${size}`,
      partSize: 2 * MIB,
    });
    assert.equal(Number(file.size), size);
    assert.equal(sent, size);
  }
  const uploads = [];
  for await (const upload of client.uploads({ states: ["ACTIVE"] })) uploads.push(upload);
  assert.deepEqual(uploads, []);
});

test("a stream that fails leaves an upload and says why", async () => {
  async function* broken() {
    yield content(3 * MIB);
    throw new Error("the cable is out");
  }
  const error = await failure<SluiceError>(
    client.upload(broken(), { name: "broken", partSize: MIB }),
  );
  assert.equal(error.kind, "local");
  assert.match(error.message, /the cable is out/);
  assert.match(error.uploadId ?? "", /^upl_/);
  await client.cancelUpload(error.uploadId ?? "");
});

test("a name that is taken is refused, or taken over", async () => {
  for (const size of [10, 9 * MIB]) {
    const name = `taken-${size}`;
    const first = await client.upload(content(size), { name });
    const error = await failure<SluiceError>(client.upload(content(size, 2), { name }));
    assert.equal(error.reason, "FILE_EXISTS");
    assert.equal(error.metadata["file_id"], first.file.id);
    assert.equal(error.transient, false);
    const second = await client.upload(content(size, 2), { name, onConflict: "replace" });
    assert.equal((await client.find(name))?.id, second.file.id);
  }
});

test("declared checksums are compared, and nothing wrong is published", async () => {
  for (const size of [10, 9 * MIB]) {
    const bytes = content(size, 5);
    const name = `declared-${size}`;
    const wrong = { crc32c: 1 };
    const error = await failure<SluiceError>(
      client.upload(bytes, { name, expectedChecksums: wrong }),
    );
    assert.equal(error.reason, "FILE_CHECKSUM_MISMATCH");
    assert.equal(await client.find(name), undefined);
    const right = { sha256: Buffer.from(sha256(bytes), "hex") };
    const { file } = await client.upload(bytes, { name, expectedChecksums: right });
    for await (const event of client.watch({ fileIds: [file.id] })) {
      if (event.type === "file" && event.file.state !== FileState.PROCESSING) break;
    }
    assert.equal((await client.get(file.id)).state, FileState.READY);
  }
});

test("an upload is cancelled, and another call resumes it", async () => {
  const path = server.path("resumed");
  const bytes = await file(path, 24 * MIB, 8);
  const controller = new AbortController();
  const error = await failure<SluiceError>(
    client.upload(path, {
      partSize: MIB,
      signal: controller.signal,
      onProgress: ({ persisted }) => persisted >= 6 * MIB && controller.abort(),
    }),
  );
  assert.equal(error.kind, "cancelled");
  const uploadId = error.uploadId ?? "";
  assert.match(uploadId, /^upl_/);

  const before = await client.getUpload(uploadId);
  const uploaded = await client.resume(uploadId, path);
  assert.equal(await stored(client, uploaded.file.id), sha256(bytes));
  assert.ok(uploaded.resumed >= Number(before.persistedBytes) && uploaded.resumed >= 6 * MIB);
  assert.equal(uploaded.sent + uploaded.resumed, bytes.length, "nothing is sent twice");

  // Once more answers with the file.
  const again = await client.resume(uploadId, path);
  assert.equal(again.file.id, uploaded.file.id);
  assert.equal(again.sent, 0);
});

test("the same request id goes on with the same upload", async () => {
  const path = server.path("requested");
  const bytes = await file(path, 12 * MIB, 9);
  const controller = new AbortController();
  const requestId = "the-only-one";
  const options = { requestId, partSize: MIB };
  const error = await failure<SluiceError>(
    client.upload(path, {
      ...options,
      signal: controller.signal,
      onProgress: ({ persisted }) => persisted >= 3 * MIB && controller.abort(),
    }),
  );
  const uploaded = await client.upload(path, options);
  assert.equal(uploaded.uploadId, error.uploadId);
  assert.ok(uploaded.resumed >= 3 * MIB);
  assert.equal(await stored(client, uploaded.file.id), sha256(bytes));
  const other = await failure<SluiceError>(client.upload(path, { ...options, name: "other" }));
  assert.equal(other.reason, "REQUEST_ID_REUSED");
});

test("an upload store finds again what an earlier process has begun", async () => {
  const path = server.path("remembered");
  const bytes = await file(path, 12 * MIB, 10);
  const kept = new Map<string, string>();
  const uploadStore = {
    get: (key: string) => kept.get(key),
    set: (key: string, value: string) => void kept.set(key, value),
    delete: (key: string) => void kept.delete(key),
  };
  const processes = [1, 2].map(
    () => new Client({ server: server.url, apiKey: server.apiKey, uploadStore }),
  );
  const controller = new AbortController();
  const cancelled = processes[0]!.upload(path, {
    partSize: MIB,
    signal: controller.signal,
    onProgress: ({ persisted }) => persisted >= 3 * MIB && controller.abort(),
  });
  assert.equal((await failure<SluiceError>(cancelled)).kind, "cancelled");
  assert.equal(kept.size, 1);
  const uploaded = await processes[1]!.upload(path, { partSize: MIB });
  assert.ok(uploaded.resumed >= 3 * MIB);
  assert.equal(await stored(client, uploaded.file.id), sha256(bytes));
  assert.equal(kept.size, 0);

  // An upload that was given up is not gone on with.
  const given = new AbortController();
  const partly = processes[0]!.upload(path, {
    name: "given-up",
    partSize: MIB,
    signal: given.signal,
    onProgress: ({ persisted }) => persisted >= MIB && given.abort(),
  });
  const { uploadId } = await failure<SluiceError>(partly);
  await client.cancelUpload(uploadId ?? "");
  const anew = await processes[1]!.upload(path, { name: "given-up", partSize: MIB });
  assert.notEqual(anew.uploadId, uploadId);
  assert.equal(kept.size, 0);
});

test("an upload does not go on with other bytes", async () => {
  const path = server.path("changing");
  await file(path, 12 * MIB, 11);
  const controller = new AbortController();
  const { uploadId = "" } = await failure<SluiceError>(
    client.upload(path, {
      partSize: MIB,
      signal: controller.signal,
      onProgress: ({ persisted }) => persisted >= 3 * MIB && controller.abort(),
    }),
  );
  await file(path, 12 * MIB, 12);
  const other = await failure<SluiceError>(client.resume(uploadId, path));
  assert.equal(other.kind, "source_changed");
  assert.equal(other.uploadId, uploadId);
  await appendFile(path, "more");
  assert.equal((await failure<SluiceError>(client.resume(uploadId, path))).kind, "source_changed");
  assert.equal(await client.find("changing"), undefined);
});

test("a file that changes while it is being uploaded is not published", async () => {
  const path = server.path("written");
  await file(path, 16 * MIB, 13);
  let changed: Promise<void> | undefined;
  const error = await failure<SluiceError>(
    client.upload(path, {
      partSize: MIB,
      onProgress: ({ persisted }) => {
        if (persisted > 0) changed ??= writeFile(path, "x", { flag: "r+" });
      },
    }),
  );
  assert.equal(error.kind, "source_changed");
  assert.equal(await client.find("written"), undefined);
});

test("a newer writer stops an older one", async () => {
  const path = server.path("fenced");
  await file(path, 32 * MIB, 14);
  let taken: ReturnType<Client["resume"]> | undefined;
  const error = await failure<SluiceError>(
    client.upload(path, {
      partSize: MIB,
      concurrency: 1,
      onProgress: ({ persisted, uploadId = "" }) => {
        if (persisted >= 2 * MIB) taken ??= client.resume(uploadId, path);
      },
    }),
  );
  assert.ok(error.reason === "STALE_WRITER" || error.reason === "UPLOAD_NOT_ACTIVE", String(error));
  assert.equal(error.transient, false);
  assert.equal((await taken)?.file.name, "fenced");
});

test("parts go to signed URLs", async () => {
  const path = server.path("direct");
  const bytes = await file(path, 24 * MIB + 3, 15);
  const warnings: Error[] = [];
  process.on("warning", (warning) => warnings.push(warning));
  const { file: uploaded, sent } = await client.upload(path, {
    direct: true,
    partSize: MIB,
    signal: new AbortController().signal,
  });
  assert.deepEqual(warnings, [], "listeners that pile up for example");
  assert.equal(sent, bytes.length);
  for await (const event of client.watch({ fileIds: [uploaded.id] })) {
    if (event.type === "file" && event.file.state === FileState.READY) break;
  }
  assert.equal(await stored(client, uploaded.id), sha256(bytes));
});

test("what cannot be is refused at once", async () => {
  const usage = async (promise: Promise<unknown>) =>
    assert.equal((await failure<SluiceError>(promise)).kind, "usage");
  await usage(client.upload(Buffer.from("x")));
  await usage(
    client.upload(
      createReadStream(server.path("none")).on("error", () => undefined),
      { name: "x", direct: true },
    ),
  );
  assert.throws(() => new Client({ server: "files.example.com" }), { kind: "usage" });
  assert.throws(() => new Client({ server: server.url, apiKey: "a\nb" }), { kind: "usage" });
  const missing = await failure<SluiceError>(client.upload(server.path("missing")));
  assert.equal(missing.kind, "local");
  assert.match(missing.message, /missing/);
  assert.equal((await failure<SluiceError>(client.upload(server.folder))).kind, "local");
});
