// A real server with a folder of its own, for one test file.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const binary = process.env["SLUICE_BIN"];

/** A server that runs until `stop`. */
export class Server {
  /** A folder for the test's own files. */
  readonly folder: string;
  url = "";
  apiKey = "";
  readonly #settings: Record<string, string>;
  #process: ChildProcess | undefined;

  private constructor(folder: string, settings: Record<string, string>) {
    this.folder = folder;
    this.#settings = settings;
  }

  /** Starts one with these settings, such as SLUICE__ACCOUNTS__REGISTRATION. */
  static async start(settings: Record<string, string> = {}): Promise<Server> {
    const folder = await mkdtemp(join(tmpdir(), "sluice-sdk-"));
    const server = new Server(folder, settings);
    await server.#run("127.0.0.1:0");
    server.apiKey = (await readFile(join(folder, "data", "api-key"), "utf8")).trim();
    return server;
  }

  /** Ends the process without any warning, and starts another at the same address. */
  async crash(downMs = 0): Promise<void> {
    await this.#end("SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, downMs));
    await this.#run(new URL(this.url).host);
  }

  /** Ends it and removes everything. */
  async stop(): Promise<void> {
    await this.#end("SIGKILL");
    await rm(this.folder, { recursive: true });
  }

  /** A path in the folder. */
  path(name: string): string {
    return join(this.folder, name);
  }

  async #run(listen: string): Promise<void> {
    if (!binary) throw new Error("SLUICE_BIN names the server's program; it is not set");
    const data = join(this.folder, "data");
    const child = spawn(binary, ["serve", "--data-dir", data, "--listen", listen], {
      env: { ...process.env, SLUICE__LOG__LEVEL: "warn", ...this.#settings },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    // Also where the tests end by an error of their own.
    process.once("exit", () => child.kill("SIGKILL"));
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
    for await (const line of createInterface(child.stdout)) {
      const url = /^listening on (https?:\S+)/.exec(line)?.[1];
      if (url) {
        this.url = url;
        return;
      }
    }
    throw new Error(`the server did not start: ${said}`);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }
}
