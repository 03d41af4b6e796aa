// A file of 1 GiB, by a page, through a network that cuts; the page is loaded again once. Prints
// what it took.

import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { MIB, content } from "./content.js";
import { Server } from "./server.js";
import { Site } from "./web/browser.js";
import { interrupted } from "./web/interrupted.js";

const SIZE = 1024 * MIB;
/** How much the page's memory may grow. */
const MEMORY = 300 * MIB;

const site = await Site.open();
const server = await Server.start({
  SLUICE__SERVER__ALLOWED_ORIGINS: JSON.stringify([site.origin]),
});
try {
  const path = server.path("large");
  const hash = createHash("sha256");
  const file = await open(path, "w");
  for (let written = 0; written < SIZE; written += 16 * MIB) {
    const piece = content(16 * MIB, written + 1);
    hash.update(piece);
    await file.write(piece);
  }
  await file.close();
  const outcome = await interrupted(server, site, path, SIZE, hash.digest("hex"), 8 * MIB);
  const mib = (bytes: number) => `${(bytes / MIB).toFixed(0)} MiB`;
  console.log(
    `1 GiB in ${outcome.seconds.toFixed(1)} s, ${mib(outcome.received - SIZE)} sent twice,`,
  );
  console.log(`${mib(outcome.resumed)} found after the reload;`);
  console.log(
    `memory of the page grew by ${mib(outcome.pages)}, of the browser by ${mib(outcome.all)}`,
  );
  if (outcome.pages > MEMORY) throw new Error(`the page's memory grew by more than ${mib(MEMORY)}`);
} finally {
  site.close();
  await server.stop();
}
