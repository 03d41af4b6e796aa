import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import ts from "typescript";
import { MIB, file } from "./content.js";
import { Server } from "./server.js";

let server: Server;
const root = process.cwd();

before(async () => {
  server = await Server.start({ SLUICE__ACCOUNTS__REGISTRATION: "open" });
  await mkdir(server.path("node_modules/@sluice"), { recursive: true });
  await symlink(root, server.path("node_modules/@sluice/sdk"));
  await file(server.path("holiday.mp4"), 12 * MIB);
});
after(() => server.stop());

/** The blocks of a language, by the heading above them. */
async function examples(language: string): Promise<{ heading: string; code: string }[]> {
  const readme = await readFile("README.md", "utf8");
  const sections = readme.split(/^## /m).slice(1);
  return sections.flatMap((section) => {
    const heading = section.slice(0, section.indexOf("\n"));
    const blocks = section.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms"));
    return [...blocks].map(([, code]) => ({ heading, code: code ?? "" }));
  });
}

async function run(code: string): Promise<string> {
  await writeFile(server.path("example.mjs"), code);
  const { stdout } = await promisify(execFile)(process.execPath, ["example.mjs"], {
    cwd: server.folder,
    env: { ...process.env, SLUICE_SERVER: server.url, SLUICE_API_KEY: server.apiKey },
    timeout: 20_000,
  });
  return stdout;
}

test("the examples run as they are printed", async () => {
  const said: Record<string, RegExp> = {
    "Upload a file with progress":
      /12582912 of 12582912 bytes are stored\nholiday\.mp4 is file_\S+\n$/,
    Resume: /^[1-9]\d* bytes were there, \d+ were sent\n$/,
    "Find, download and delete":
      /^holiday\.mp4 12582912n\nanybody can download it for an hour: http\S+\n$/,
    Watch: /^hello\.txt has arrived\n$/,
    Errors: /^server INVALID_FIELD\nname: .+\n$/,
    "Accounts and keys": /^a key for a program, shown this once: sluice_key_…\nses_\S+ true\n$/,
    "Everything else": /^\d+ uploads\n$/,
  };
  const all = await examples("js");
  assert.deepEqual(
    all.map(({ heading }) => heading),
    Object.keys(said),
  );
  for (const { heading, code } of all) {
    assert.match(await run(code), said[heading]!, heading);
  }
});

test("an upload with progress takes ten lines", async () => {
  const [first] = await examples("js");
  const lines = first?.code.split("\n").filter((line) => line.trim() !== "") ?? [];
  assert.ok(lines.length <= 10, `${lines.length} lines`);
});

test("the example for pages is right for the compiler", async () => {
  const [page] = await examples("ts");
  const given =
    "declare const session: import('@sluice/sdk').SessionTokens;\n" +
    "declare const input: { onchange: unknown; files: File[] };\n" +
    "declare const show: (progress: import('@sluice/sdk').Progress) => void;\n";
  const path = server.path("example.ts");
  await writeFile(path, given + (page?.code ?? ""));
  const program = ts.createProgram([path], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2023.d.ts", "lib.dom.d.ts"],
    types: [],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
  });
  const problems = ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
  assert.deepEqual(problems, []);
});

test("the version is that of Sluice", async () => {
  const { VERSION } = await import("../src/index.js");
  const workspace = await readFile(`${root}/../../Cargo.toml`, "utf8");
  const version = /^\[workspace\.package\][^[]*^version = "(.+?)"/ms.exec(workspace)?.[1];
  assert.equal(VERSION, version);
  const manifest = JSON.parse(await readFile("package.json", "utf8")) as { version: string };
  assert.equal(manifest.version, version);
  assert.match(await readFile("CHANGELOG.md", "utf8"), new RegExp(`^## ${version}$`, "m"));
});
