// Uploads one file in headless Chromium:
//
//   upload.mjs '{"client": "sluice", "server": …, "apiKey": …, "file": …, "port": …}'
//   upload.mjs '{"client": "tus", "endpoint": …, "file": …, "port": …, "modules": …}'
//
// The page is served on `port`. `modules` is the folder with tus-js-client, which sends the
// file in one request, as it does by itself. Says how long it took, in the page, from the
// call to its end.
//
// It talks to the browser by itself: libraries that do so for tests let the browser tell them of
// every request, which slows them.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const sdk = fileURLToPath(new URL('../../../sdk-gen/typescript/', import.meta.url));
const library = createRequire(sdk);
const { build } = library('esbuild');

const order = JSON.parse(process.argv[2]);

const clients = {
  sluice: {
    folder: sdk,
    page: `
      import { Client } from './dist/web/index.js';
      window.upload = ({ server, apiKey }, file) => new Client({ server, apiKey }).upload(file);`,
  },
  tus: {
    folder: order.modules,
    page: `
      import { Upload } from 'tus-js-client';
      window.upload = ({ endpoint }, file) => new Promise((resolve, reject) =>
        new Upload(file, { endpoint, onSuccess: resolve, onError: reject }).start());`,
  },
};

async function script({ folder, page }) {
  const { outputFiles } = await build({
    stdin: { contents: page, resolveDir: folder },
    bundle: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    write: false,
    logLevel: 'error',
  });
  return outputFiles[0].text;
}

const code = await script(clients[order.client]);
const html = '<!doctype html><input type="file"><script type="module" src="/page.js"></script>';
const site = createServer(({ url }, response) => {
  const isScript = url === '/page.js';
  response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
  response.end(isScript ? code : html);
});
await new Promise((resolve) => site.listen(order.port, '127.0.0.1', resolve));

/** Chromium, by its DevTools protocol: https://chromedevtools.github.io/devtools-protocol/ */
class Browser {
  #profile = mkdtempSync(join(tmpdir(), 'chromium-'));
  #asked = new Map();
  #lastId = 0;

  constructor(program) {
    const flags = [
      '--headless',
      // It may run as root in a container, where the sandbox cannot.
      '--no-sandbox',
      '--disable-dev-shm-usage',
      '--no-first-run',
      `--user-data-dir=${this.#profile}`,
      '--remote-debugging-pipe',
    ];
    // The protocol is on the fourth and the fifth.
    const stdio = ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'];
    this.process = spawn(program, flags, { stdio });
    this.process.once('exit', () => {
      for (const { reject } of this.#asked.values()) reject(new Error('the browser has ended'));
    });
    let text = '';
    this.process.stdio[4].setEncoding('utf8').on('data', (chunk) => {
      const messages = (text + chunk).split('\0');
      text = messages.pop();
      for (const message of messages) this.#told(JSON.parse(message));
    });
  }

  #told({ id, result, error }) {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (error) asked?.reject(new Error(error.message));
    else asked?.resolve(result);
  }

  send(method, params, sessionId) {
    const id = ++this.#lastId;
    this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.#asked.set(id, { resolve, reject }));
  }

  async close() {
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    // It may end before it answers.
    await this.send('Browser.close').catch(() => undefined);
    await ended;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10 });
  }
}

const browser = new Browser(process.env.CHROMIUM);
const { targetId } = await browser.send('Target.createTarget', {
  url: `http://127.0.0.1:${order.port}/`,
});
const { sessionId } = await browser.send('Target.attachToTarget', { targetId, flatten: true });

/** The value of an expression in the page, once it has one. */
async function evaluate(expression) {
  const how = { expression, awaitPromise: true, returnByValue: true };
  const { result, exceptionDetails } = await browser.send('Runtime.evaluate', how, sessionId);
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description);
  return result.value;
}

while (!(await evaluate('!!window.upload'))) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
const { root } = await browser.send('DOM.getDocument', {}, sessionId);
const input = { nodeId: root.nodeId, selector: 'input' };
const { nodeId } = await browser.send('DOM.querySelector', input, sessionId);
await browser.send('DOM.setFileInputFiles', { nodeId, files: [order.file] }, sessionId);
const seconds = await evaluate(`(async () => {
  const file = document.querySelector('input').files[0];
  const began = performance.now();
  await window.upload(${JSON.stringify(order)}, file);
  return (performance.now() - began) / 1000;
})()`);
console.log(`done ${JSON.stringify({ seconds })}`);
await browser.close();
site.close();
site.closeAllConnections();
