// What every browser test begins with: the server under test, its command line
// and a headless Chromium.
//
// `run` sets the environment. Libraries are installed outside the checkout, so
// they are loaded with `library` instead of a bare import.

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const environment = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; tests/browser/run sets what is needed`);
  return value;
};

/** The server's URL, without a slash at its end. */
export const server = environment('SLUICE_SERVER').replace(/\/$/, '');

/** The server's origin. */
export const origin = new URL(server).origin;

/** The API key, for requests that tests make by themselves. */
export const key = environment('SLUICE_API_KEY');

/** Loads a library of package.json. */
export const library = createRequire(join(environment('SLUICE_NODE_MODULES'), 'package.json'));

/** Starts a headless Chromium; every test file needs one. Close it at the end. */
export function launch() {
  const { chromium } = library('playwright-core');
  return chromium.launch({
    executablePath: environment('CHROMIUM'),
    // The tests may run as root in a container, where the sandbox cannot.
    chromiumSandbox: false,
    args: ['--disable-dev-shm-usage'],
  });
}

/** Runs `sluice` with these arguments against the server; answers its output. */
export async function sluice(...args) {
  const program = process.env.SLUICE_BIN ?? 'sluice';
  const { stdout } = await promisify(execFile)(program, args);
  return stdout;
}

/** Uploads `content` under `name`, with a content type. */
export async function upload(name, content, contentType) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-browser-'));
  try {
    const file = join(folder, basename(name));
    await writeFile(file, content);
    const type = contentType ? ['--content-type', contentType] : [];
    await sluice('upload', file, '--name', name, ...type);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/**
 * Asks until `condition` gives something true, which is answered; fails with
 * `what` when that takes longer than `limit` milliseconds.
 */
export async function eventually(what, condition, limit = 30_000) {
  const end = Date.now() + limit;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`${what}: not within ${limit} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
