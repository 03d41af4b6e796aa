// Builds dist/ from src/: the compiler's output, and the program of the worker as a string.

import { execFileSync } from "node:child_process";
import { copyFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { workerModule } from "./worker.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
rmSync(dist, { recursive: true, force: true });
const compiler = join(root, "node_modules/.bin/tsc");
execFileSync(compiler, ["-p", join(root, "tsconfig.build.json")], { stdio: "inherit" });
writeFileSync(join(dist, "web/worker-source.js"), await workerModule(root));
copyFileSync(join(root, "src/web/worker-source.d.ts"), join(dist, "web/worker-source.d.ts"));
