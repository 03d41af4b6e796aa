import assert from "node:assert/strict";
import { readFile, stat, writeFile } from "node:fs/promises";
import { PassThrough } from "node:stream";
import { buffer } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { Client, type SluiceError, type WatchEvent } from "../src/node/index.js";
import { MIB, content, failure } from "./content.js";
import { Server } from "./server.js";

let server: Server;
let client: Client;

before(async () => {
  server = await Server.start();
  client = new Client({ server: server.url, apiKey: server.apiKey });
});
after(() => server.stop());

async function names(list: AsyncIterable<{ name: string }>): Promise<string[]> {
  const all = [];
  for await (const { name } of list) all.push(name);
  return all;
}

test("lists go over all pages, in their order", async () => {
  const count = 1003;
  const numbers = Array.from({ length: count }, (_, index) => index);
  const upload = (index: number) =>
    client.upload(Buffer.from([index & 255]), { name: `many/${String(index).padStart(4, "0")}` });
  while (numbers.length > 0) await Promise.all(numbers.splice(0, 50).map(upload));
  const listed = await names(client.list({ prefix: "many/" }));
  assert.deepEqual(
    listed,
    Array.from({ length: count }, (_, index) => `many/${String(index).padStart(4, "0")}`),
  );

  // Whoever stops in the middle asks for no further page.
  for await (const { name } of client.list({ orderBy: "name" })) {
    assert.equal(name, "many/0000");
    break;
  }
});

test("folders are folded", async () => {
  for (const name of ["box/a", "box/deep/b", "box/deep/c", "box/z"]) {
    await client.upload(Buffer.from("x"), { name });
  }
  const entries = [];
  for await (const { file, folder } of client.listFolder("box/")) entries.push(folder ?? file.name);
  assert.deepEqual(entries.sort(), ["box/a", "box/deep/", "box/z"]);
});

test("files are found, changed and deleted", async () => {
  const { file } = await client.upload(Buffer.from("x"), { name: "old" });
  assert.equal((await client.find("old"))?.id, file.id);
  assert.equal(await client.find("ol"), undefined);
  const renamed = await client.update(file.id, { name: "new", metadata: { a: "1" } });
  assert.equal(renamed.name, "new");
  assert.deepEqual((await client.get(file.id)).metadata, { a: "1" });
  const stale = await failure<SluiceError>(
    client.update(file.id, { name: "newer", etag: file.etag }),
  );
  assert.equal(stale.reason, "ETAG_MISMATCH");
  await client.delete(file.id);
  const gone = await failure<SluiceError>(client.get(file.id));
  assert.equal(gone.kind, "server");
  assert.equal(gone.reason, "FILE_NOT_FOUND");
  assert.equal((await failure<SluiceError>(client.delete(file.id))).reason, "FILE_NOT_FOUND");
});

test("fields that are wrong are named", async () => {
  for (const source of [Buffer.from("x"), content(9 * MIB)]) {
    const error = await failure<SluiceError>(client.upload(source, { name: "../x" }));
    assert.equal(error.kind, "server");
    assert.equal(error.reason, "INVALID_FIELD");
    assert.equal(error.violations[0]?.field, "name");
    assert.ok(error.violations[0].description);
    assert.equal(error.transient, false);
  }
});

test("a signed link is fetched by anybody", async () => {
  const bytes = content(100_000, 4);
  const { file } = await client.upload(bytes, { name: "linked/thé.txt" });
  const { url, expiresAt } = await client.sign(file.id, { ttlMs: 60_000 });
  const response = await fetch(url);
  assert.equal(response.status, 200);
  assert.ok(Buffer.from(await response.arrayBuffer()).equals(bytes));
  assert.match(response.headers.get("content-disposition") ?? "", /^attachment/);
  assert.ok(expiresAt.getTime() > Date.now() && expiresAt.getTime() <= Date.now() + 61_000);
  const inline = await client.sign(file.id, { inline: true });
  assert.notEqual(inline.url, url);
});

test("a download is the file, whole and in ranges", async () => {
  const bytes = content(3 * MIB + 7, 5);
  const { file } = await client.upload(bytes, { name: "down" });
  const path = server.path("down");
  const told: number[] = [];
  const done = await client.download(file.id, path, {
    onProgress: ({ received }) => told.push(received),
  });
  assert.deepEqual([done.received, done.resumed], [bytes.length, 0]);
  assert.ok((await readFile(path)).equals(bytes));
  assert.equal(told.at(-1), bytes.length);
  await assert.rejects(stat(`${path}.part`), { code: "ENOENT" });

  const stream = new PassThrough();
  const collected = buffer(stream);
  await client.download(file.id, stream);
  stream.end();
  assert.ok((await collected).equals(bytes));

  const pieces = [];
  for await (const piece of client.read(file.id, { offset: MIB - 3, limit: 2 * MIB }))
    pieces.push(piece);
  assert.ok(Buffer.concat(pieces).equals(bytes.subarray(MIB - 3, 3 * MIB - 3)));

  const empty = await client.upload(Buffer.alloc(0), { name: "nothing" });
  await client.download(empty.file.id, server.path("nothing"));
  assert.equal((await stat(server.path("nothing"))).size, 0);
});

test("a download goes on with what is there, and mistrusts it", async () => {
  const bytes = content(5 * MIB, 6);
  const { file } = await client.upload(bytes, { name: "again" });
  const path = server.path("again");
  await writeFile(`${path}.part`, bytes.subarray(0, 2 * MIB + 11));
  const rest = await client.download(file.id, path);
  assert.deepEqual([rest.received, rest.resumed], [3 * MIB - 11, 2 * MIB + 11]);
  assert.ok((await readFile(path)).equals(bytes));

  await writeFile(`${path}.part`, Buffer.alloc(2 * MIB));
  const all = await client.download(file.id, path);
  assert.deepEqual([all.received, all.resumed], [8 * MIB, 0]);
  assert.ok((await readFile(path)).equals(bytes));

  // Longer than the file, and right as far as that goes.
  await writeFile(`${path}.part`, Buffer.concat([bytes, bytes]));
  assert.equal((await client.download(file.id, path)).received, 0);
  assert.ok((await readFile(path)).equals(bytes));
});

test("a download that is cancelled leaves its part", async () => {
  const { file } = await client.upload(content(16 * MIB, 7), { name: "left" });
  const path = server.path("left");
  const controller = new AbortController();
  const onProgress = ({ received }: { received: number }) =>
    received >= 4 * MIB && controller.abort();
  const error = await failure<SluiceError>(
    client.download(file.id, path, {
      signal: controller.signal,
      onProgress: (p) => void onProgress(p),
    }),
  );
  assert.equal(error.kind, "cancelled");
  await assert.rejects(stat(path), { code: "ENOENT" });
  const done = await client.download(file.id, path);
  assert.ok(done.resumed >= 4 * MIB);
});

test("downloads say what they cannot do", async () => {
  const { file } = await client.upload(Buffer.from("x"), { name: "nowhere" });
  const error = await failure<SluiceError>(client.download(file.id, server.path("no/such/folder")));
  assert.equal(error.kind, "local");
  const missing = await failure<SluiceError>(client.download("file_x", server.path("missing")));
  assert.equal(missing.kind, "server");
});

test("watching shows a snapshot and every change", async () => {
  const first = await client.upload(Buffer.from("x"), { name: "watched" });
  const seen: WatchEvent[] = [];
  for await (const event of client.watch({ fileIds: [first.file.id] })) {
    seen.push(event);
    if (event.type === "snapshotEnd") await client.update(first.file.id, { name: "watched-2" });
    if (event.type === "file" && event.file.name === "watched-2")
      await client.delete(first.file.id);
    if (event.type === "fileDeleted") break;
  }
  assert.deepEqual(
    seen.map(({ type }) => type),
    ["snapshotBegin", "file", "snapshotEnd", "file", "fileDeleted"],
  );

  const { resumeToken } = seen[3]!;
  for await (const event of client.watch({ fileIds: [first.file.id], resumeToken })) {
    assert.equal(event.type, "fileDeleted", "no snapshot, and nothing that was told");
    break;
  }
  for await (const event of client.watch({ resumeToken: "no such token" })) {
    assert.equal(event.type, "snapshotBegin", "begins anew");
    break;
  }
});

test("watching and reading end when they are cancelled", { timeout: 5000 }, async () => {
  const controller = new AbortController();
  const watching = async () => {
    for await (const event of client.watch({ signal: controller.signal })) {
      if (event.type === "snapshotEnd") controller.abort();
    }
  };
  assert.equal((await failure<SluiceError>(watching())).kind, "cancelled");
  const call = client.account({ signal: controller.signal });
  assert.equal((await failure<SluiceError>(call)).kind, "cancelled");
});

test("the generated clients are at hand", async () => {
  const { files } = await client.raw.files.listFiles({ pageSize: 1 });
  assert.equal(files.length, 1);
  const thrown = await failure(
    client.raw.files.getFile({ fileId: "file_01890000-0000-7000-8000-000000000000" }),
  );
  const { SluiceError } = await import("../src/node/index.js");
  assert.equal(SluiceError.from(thrown).reason, "FILE_NOT_FOUND");
  assert.equal((await client.capabilities()).version.split(".").length, 3);
});
