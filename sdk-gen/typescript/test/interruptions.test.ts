import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { after, before, test } from "node:test";
import { Client, FileState } from "../src/node/index.js";
import { MIB, content, file, sha256, stored } from "./content.js";
import { type Fault, Network } from "./network.js";
import { Server } from "./server.js";

let server: Server;
let client: Client;

before(async () => {
  server = await Server.start();
  client = new Client({ server: server.url, apiKey: server.apiKey });
});
after(() => server.stop());

async function through<T>(
  faults: Fault[],
  work: (client: Client, network: Network) => Promise<T>,
): Promise<T> {
  const network = await Network.before(server.url, faults);
  const far = new Client({ server: network.url, apiKey: server.apiKey });
  try {
    return await work(far, network);
  } finally {
    far.close();
    network.close();
  }
}

test("an upload survives cuts and sends little twice", async () => {
  const path = server.path("cut");
  const size = 48 * MIB;
  const part = 2 * MIB;
  const bytes = await file(path, size, 1);
  const faults: Fault[] = [1, 3, 5, 2, 4].map((after) => ({
    after: after * MIB + 12_345,
    fault: "cut",
  }));
  await through([...faults], async (far, network) => {
    const uploaded = await far.upload(path, { partSize: part });
    assert.equal(await stored(client, uploaded.file.id), sha256(bytes));
    assert.deepEqual(network.faults, []);
    const again = network.received - size;
    assert.ok(
      again > 0 && again <= faults.length * (part + 128 * 1024),
      `${again} bytes sent twice`,
    );
  });
});

test("a read-once stream survives cuts", async () => {
  const path = server.path("cut-stream");
  const bytes = await file(path, 20 * MIB, 2);
  await through(
    [
      { after: 2 * MIB, fault: "cut" },
      { after: 3 * MIB, fault: "cut" },
    ],
    async (far, network) => {
      const uploaded = await far.upload(createReadStream(path), {
        name: "cut-stream",
        partSize: 2 * MIB,
      });
      assert.equal(await stored(client, uploaded.file.id), sha256(bytes));
      assert.deepEqual(network.faults, []);
    },
  );
});

test("a bit that flips on the way costs its part", async () => {
  const path = server.path("damaged");
  const bytes = await file(path, 12 * MIB, 3);
  await through([{ after: MIB + MIB / 2, fault: "damage" }], async (far, network) => {
    const uploaded = await far.upload(path, { partSize: 2 * MIB });
    assert.equal(await stored(client, uploaded.file.id), sha256(bytes));
    assert.deepEqual(network.faults, []);
    assert.ok(uploaded.sent > bytes.length);
  });
});

test("an answer that is lost makes no second file", async () => {
  // The whole file is there, and so is what a small one needs beside its content.
  const bytes = content(300_000, 4);
  await through([{ after: bytes.length, fault: "lose" }], async (far, network) => {
    const uploaded = await far.upload(bytes, { name: "lost" });
    assert.deepEqual(network.faults, []);
    assert.equal(uploaded.sent, 2 * bytes.length);
    assert.equal(await stored(client, uploaded.file.id), sha256(bytes));
  });
  const names = [];
  for await (const { name } of client.uploads({ states: ["COMPLETED"] })) names.push(name);
  assert.equal(names.filter((name) => name === "lost").length, 1);
});

test("a download goes on after cuts", async () => {
  const bytes = content(24 * MIB, 6);
  const { file } = await client.upload(bytes, { name: "download-cut" });
  await through([], async (far, network) => {
    let received = 0;
    const pieces: Uint8Array[] = [];
    for await (const piece of far.read(file.id)) {
      pieces.push(piece);
      received += piece.length;
      if (received === 4 * MIB || received === 9 * MIB) network.cut();
    }
    assert.equal(sha256(Buffer.concat(pieces)), sha256(bytes));
    assert.ok(network.connections >= 3);
  });
});

test("events go on after a cut", async () => {
  await through([], async (far, network) => {
    const names: string[] = [];
    const events = far.watch();
    for await (const event of events) {
      if (event.type === "snapshotEnd") {
        await client.upload(content(10), { name: "event-1" });
      }
      if (event.type !== "file" || event.file.state !== FileState.READY) continue;
      names.push(event.file.name);
      if (event.file.name === "event-2") break;
      network.cut();
      await client.upload(content(10), { name: "event-2" });
    }
    assert.deepEqual(names, ["event-1", "event-2"]);
    assert.ok(network.connections >= 2);
  });
});

test("an upload survives a crash of the server", async () => {
  const own = await Server.start();
  try {
    const path = own.path("crash");
    const bytes = await file(path, 64 * MIB, 7);
    const near = new Client({ server: own.url, apiKey: own.apiKey });
    let crash: Promise<void> | undefined;
    const uploaded = await near.upload(path, {
      partSize: 2 * MIB,
      onProgress: ({ persisted }) => {
        if (persisted >= 16 * MIB) crash ??= own.crash(300);
      },
    });
    await crash;
    assert.ok(crash, "the server has crashed in the middle");
    assert.equal(await stored(near, uploaded.file.id), sha256(bytes));
    // What was under way on four lanes, and parts whose answer was lost.
    assert.ok(uploaded.sent - bytes.length <= 4 * 2 * MIB, `${uploaded.sent} bytes sent`);
    near.close();
  } finally {
    await own.stop();
  }
});

test("it gives up after the time without progress", async () => {
  const nowhere = new Client({ server: "http://127.0.0.1:1", apiKey: "x", giveUpAfterMs: 1500 });
  const started = performance.now();
  await assert.rejects(nowhere.upload(content(10), { name: "x" }), {
    kind: "transport",
    transient: true,
  });
  const waited = performance.now() - started;
  assert.ok(waited > 300 && waited < 5000, `${waited} ms`);
});
