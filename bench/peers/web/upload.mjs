// Uploads one file in headless Chromium:
//
//   upload.mjs '{"client": "sluice", "server": …, "apiKey": …, "file": …, "port": …}'
//   upload.mjs '{"client": "tus", "endpoint": …, "file": …, "port": …, "modules": …}'
//
// The page is served on `port`. `modules` is the folder with tus-js-client, which sends the
// file in one request, as it does by itself. Says how long it took, in the page, from the
// call to its end.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const sdk = fileURLToPath(new URL('../../../sdk-gen/typescript/', import.meta.url));
const library = createRequire(sdk);
const { build } = library('esbuild');
const { chromium } = library('playwright-core');

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
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  // It may run as root in a container, where the sandbox cannot.
  chromiumSandbox: false,
  args: ['--disable-dev-shm-usage'],
});
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${order.port}/`);
await page.waitForFunction('window.upload');
await page.setInputFiles('input', order.file);
const seconds = await page.evaluate(async (order) => {
  const file = document.querySelector('input').files[0];
  const began = performance.now();
  await window.upload(order, file);
  return (performance.now() - began) / 1000;
}, order);
console.log(`done ${JSON.stringify({ seconds })}`);
await browser.close();
site.close();
site.closeAllConnections();
