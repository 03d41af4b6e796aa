import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "../src/node/index.js";
import { MIB, file, sha256, stored } from "./content.js";
import { Network } from "./network.js";
import { Server } from "./server.js";

let server: Server;

before(async () => {
  server = await Server.start();
});
after(() => server.stop());

test("connections that have gone silent are noticed", { timeout: 50_000 }, async () => {
  const path = server.path("silent");
  const bytes = await file(path, 12 * MIB, 5);
  // Two of the four that carry parts.
  const stall = { after: MIB, fault: "stall" } as const;
  const network = await Network.before(server.url, [stall, stall]);
  const client = new Client({ server: network.url, apiKey: server.apiKey });
  const started = performance.now();
  const uploaded = await client.upload(path, { partSize: 2 * MIB });
  assert.deepEqual(network.faults, []);
  assert.equal(await stored(client, uploaded.file.id), sha256(bytes));
  assert.ok(uploaded.sent - bytes.length <= 2 * 2 * MIB, `${uploaded.sent} bytes sent`);
  assert.ok(performance.now() - started < 40_000);
  client.close();
  network.close();
});
