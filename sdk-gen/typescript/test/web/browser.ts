// A headless Chromium with the page of these tests, which comes from another origin than the server.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { readFile, readdir } from "node:fs/promises";
import { build } from "esbuild";
import { type Browser, type Page, chromium } from "playwright-core";
import { workerModule } from "../../scripts/worker.mjs";
import type { State } from "./page.js";

/** Serves the page. */
export class Site {
  readonly origin: string;
  /** Sent with the page, such as a content security policy. */
  headers: Record<string, string> = {};
  readonly #server: ReturnType<typeof createServer>;

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Bundles the page as applications do. */
  static async open(): Promise<Site> {
    const folder = process.cwd();
    const worker = await workerModule(folder);
    const { outputFiles } = await build({
      entryPoints: [`${folder}/test/web/page.ts`],
      bundle: true,
      format: "esm",
      target: "es2022",
      write: false,
      logLevel: "warning",
      plugins: [
        {
          name: "worker",
          setup(bundling) {
            bundling.onResolve({ filter: /worker-source/ }, () => ({
              path: "worker",
              namespace: "worker",
            }));
            bundling.onLoad({ filter: /.*/, namespace: "worker" }, () => ({ contents: worker }));
          },
        },
      ],
    });
    const script = outputFiles[0]?.text ?? "";
    const html = '<!doctype html><input type="file"><script type="module" src="/page.js"></script>';
    const server = createServer((request, response) => {
      const isScript = request.url === "/page.js";
      const type = isScript ? "text/javascript" : "text/html";
      response.writeHead(200, { "content-type": type, ...site.headers });
      response.end(isScript ? script : html);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const site = new Site(server);
    return site;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** Starts Chromium. */
export function launch(): Promise<Browser> {
  const executablePath = process.env["CHROMIUM"];
  if (!executablePath) throw new Error("CHROMIUM names the browser; it is not set");
  // Tests may run as root in a container, where the sandbox cannot.
  return chromium.launch({
    executablePath,
    chromiumSandbox: false,
    args: ["--disable-dev-shm-usage"],
  });
}

/** Opens the page, or opens it again, and chooses a file. */
export async function choose(page: Page, site: Site, path: string): Promise<void> {
  await page.goto(site.origin);
  await page.waitForFunction("window.tested");
  await page.setInputFiles("input", path);
}

/** The state of the page once it is as wanted, or once it has failed. */
export async function until(
  page: Page,
  wanted: (state: State) => boolean,
  limitMs: number,
): Promise<State> {
  const end = Date.now() + limitMs;
  for (;;) {
    const state = await page.evaluate(() => window.tested.state);
    if (state.error) throw new Error(`the page says: ${JSON.stringify(state.error)}`);
    if (wanted(state)) return state;
    if (Date.now() > end) throw new Error(`not within ${limitMs} ms: ${JSON.stringify(state)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Memory in bytes of the processes that run pages, and of the whole browser. */
export async function memory(): Promise<{ pages: number; all: number }> {
  const parents = new Map<number, { parent: number; bytes: number; isPage: boolean }>();
  for (const entry of await readdir("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    try {
      const status = await readFile(`/proc/${pid}/status`, "utf8");
      const command = await readFile(`/proc/${pid}/cmdline`, "utf8");
      parents.set(pid, {
        parent: Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]),
        bytes: 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0),
        isPage: command.includes("--type=renderer"),
      });
    } catch {
      // It has ended meanwhile.
    }
  }
  const isOurs = (pid: number): boolean =>
    pid === process.pid || (parents.has(pid) && isOurs(parents.get(pid)!.parent));
  let pages = 0;
  let all = 0;
  for (const [pid, { bytes, isPage }] of parents) {
    if (pid === process.pid || !isOurs(pid)) continue;
    all += bytes;
    if (isPage) pages += bytes;
  }
  return { pages, all };
}
