// One upload by a page, cut twice and loaded again once.

import assert from "node:assert/strict";
import { Client } from "../../src/node/index.js";
import { MIB, stored } from "../content.js";
import { Network } from "../network.js";
import type { Server } from "../server.js";
import { type Site, choose, launch, memory, until } from "./browser.js";

/** What an upload took. */
export interface Outcome {
  readonly received: number;
  readonly resumed: number;
  readonly seconds: number;
  /** Growth of memory, in bytes. */
  readonly pages: number;
  readonly all: number;
}

/** Uploads a file, with cuts at two places and a reload in between. */
export async function interrupted(
  server: Server,
  site: Site,
  path: string,
  size: number,
  sha256: string,
  partSize: number,
): Promise<Outcome> {
  const network = await Network.before(server.url);
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await choose(page, site, path);
    const before = await memory();
    const most = { ...before };
    const watching = setInterval(() => {
      void memory().then(({ pages, all }) => {
        most.pages = Math.max(most.pages, pages);
        most.all = Math.max(most.all, all);
      });
    }, 200);
    const order = { server: network.url, apiKey: server.apiKey, partSize };
    const started = performance.now();
    const upload = () => page.evaluate((order) => window.tested.upload(order), order);
    const persisted = (share: number) =>
      until(
        page,
        ({ progress, done }) => !!done || (progress?.persisted ?? 0) >= share * size,
        600_000,
      );

    // A cut in the middle of a part, before and after the page is loaded again.
    network.inject({ after: partSize + MIB, fault: "cut" });
    await upload();
    await persisted(0.4);
    await choose(page, site, path);
    network.inject({ after: partSize + MIB, fault: "cut" });
    await upload();
    const { done } = await until(page, ({ done }) => !!done, 600_000);
    clearInterval(watching);

    assert.ok(done);
    assert.ok(done.resumed >= 0.4 * size, `${done.resumed} bytes were resumed`);
    assert.deepEqual(network.faults, []);
    const client = new Client({ server: server.url, apiKey: server.apiKey });
    assert.equal(await stored(client, done.fileId), sha256);
    // What was on its way on four lanes when the page was loaded again, and a part for each cut.
    const again = network.received - size;
    assert.ok(again <= 6 * partSize + MIB, `${again} bytes were sent twice`);
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);
    return {
      received: network.received,
      resumed: done.resumed,
      seconds: (performance.now() - started) / 1000,
      pages: most.pages - before.pages,
      all: most.all - before.all,
    };
  } finally {
    await browser.close();
    network.close();
  }
}
