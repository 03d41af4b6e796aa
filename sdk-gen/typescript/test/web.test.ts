import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { Client, FileState } from "../src/node/index.js";
import { MIB, file, sha256, stored } from "./content.js";
import { Server } from "./server.js";
import { Site, choose, launch, until } from "./web/browser.js";
import { interrupted } from "./web/interrupted.js";

let site: Site;
let server: Server;
let browser: Browser | undefined;
let client: Client;

before(async () => {
  site = await Site.open();
  server = await Server.start({ SLUICE__SERVER__ALLOWED_ORIGINS: JSON.stringify([site.origin]) });
  client = new Client({ server: server.url, apiKey: server.apiKey });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  site.close();
  await server.stop();
});

const order = () => ({ server: server.url, apiKey: server.apiKey });

test("files of every size arrive, and are downloaded", async () => {
  const page = await browser!.newPage();
  for (const size of [0, 1000, 3 * MIB + 1, 20 * MIB + 5]) {
    const path = server.path(`web-${size}`);
    const bytes = await file(path, size, size);
    await choose(page, site, path);
    await page.evaluate((order) => window.tested.upload(order), { ...order(), partSize: 2 * MIB });
    const { done, progress } = await until(page, ({ done }) => !!done, 30_000);
    assert.ok(done);
    assert.equal(progress?.persisted, size);
    const uploaded = await client.get(done.fileId);
    assert.equal(uploaded.name, `web-${size}`);
    assert.equal(await stored(client, done.fileId), sha256(bytes), `${size} bytes`);
    const down = page.evaluate(([order, id]) => window.tested.download(order, id), [
      order(),
      done.fileId,
    ] as const);
    assert.equal(await down, sha256(bytes));
  }
  assert.deepEqual(await page.evaluate((order) => window.tested.watch(order), order()), [
    "snapshotBegin",
    "snapshotEnd",
  ]);
  await page.close();
});

test("streams and signed URLs work as well", async () => {
  const path = server.path("web-ways");
  const bytes = await file(path, 9 * MIB + 5, 3);
  const page = await browser!.newPage();
  await choose(page, site, path);
  for (const way of [
    { stream: true, name: "by-stream" },
    { direct: true, name: "by-url" },
  ]) {
    await page.evaluate((order) => window.tested.upload(order), {
      ...order(),
      ...way,
      partSize: 2 * MIB,
    });
    const { done } = await until(page, ({ done }) => !!done, 30_000);
    const id = done?.fileId ?? "";
    for await (const event of client.watch({ fileIds: [id] })) {
      if (event.type === "file" && event.file.state === FileState.READY) break;
    }
    assert.equal(await stored(client, id), sha256(bytes), way.name);
  }
  await page.close();
});

test("a page that may have no worker computes checksums itself", async () => {
  const path = server.path("web-strict");
  const bytes = await file(path, 9 * MIB, 4);
  const page = await browser!.newPage();
  const refused: string[] = [];
  page.on("console", (message) => refused.push(message.text()));
  site.headers = {
    "content-security-policy": "worker-src 'none'; script-src 'self' 'wasm-unsafe-eval'",
  };
  await choose(page, site, path);
  site.headers = {};
  await page.evaluate((order) => window.tested.upload(order), order());
  const { done } = await until(page, ({ done }) => !!done, 30_000);
  assert.equal(await stored(client, done?.fileId ?? ""), sha256(bytes));
  assert.match(refused.join("\n"), /worker/i);
  await page.close();
});

test("refusals reach the page with their reason", async () => {
  const path = server.path("web-refused");
  await file(path, 9 * MIB, 5);
  const page = await browser!.newPage();
  await choose(page, site, path);
  for (const [wrong, kind, reason] of [
    [{ name: "../x" }, "server", "INVALID_FIELD"],
    [{ apiKey: "sluice_key_x" }, "server", "CREDENTIALS_INVALID"],
  ] as const) {
    await page.evaluate((order) => window.tested.upload(order), { ...order(), ...wrong });
    await page.waitForFunction(() => window.tested.state.error);
    const error = await page.evaluate(() => window.tested.state.error);
    assert.deepEqual([error?.kind, error?.reason], [kind, reason]);
  }
  await page.close();
});

test("a file that changes while it is uploaded is not published", async () => {
  const path = server.path("web-changing");
  await file(path, 40 * MIB, 6);
  const page = await browser!.newPage();
  await choose(page, site, path);
  await page.evaluate((order) => window.tested.upload(order), { ...order(), partSize: MIB });
  await until(page, ({ progress }) => (progress?.persisted ?? 0) > 0, 30_000);
  await writeFile(path, "something else");
  await page.waitForFunction(() => window.tested.state.error);
  const error = await page.evaluate(() => window.tested.state.error);
  assert.equal(error?.kind, "source_changed");
  assert.equal(await client.find("web-changing"), undefined);
  await page.close();
});

test("an upload goes on after cuts and a reload of the page", { timeout: 120_000 }, async () => {
  const path = server.path("web-interrupted");
  const size = 64 * MIB;
  const bytes = await file(path, size, 7);
  await interrupted(server, site, path, size, sha256(bytes), 2 * MIB);
});
