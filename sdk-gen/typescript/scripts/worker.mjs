// The program of the web client's worker, as a module that has it as a string.

import { join } from "node:path";
import { build } from "esbuild";

export async function workerModule(root) {
  const { outputFiles } = await build({
    entryPoints: [join(root, "src/web/worker.ts")],
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    write: false,
    logLevel: "warning",
  });
  return `export const workerSource = ${JSON.stringify(outputFiles[0].text)};\n`;
}
