import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { Client, type SluiceError } from "../src/node/index.js";
import { MIB, content, failure, sha256, stored } from "./content.js";
import { Server } from "./server.js";

const certificate = `${process.cwd()}/test/tls/certificate.pem`;
let server: Server;

before(async () => {
  server = await Server.start({
    SLUICE__TLS__CERTIFICATE: certificate,
    SLUICE__TLS__KEY: `${process.cwd()}/test/tls/key.pem`,
  });
});
after(() => server.stop());

test("everything goes over TLS, with an authority of one's own", async () => {
  const tls = { ca: await readFile(certificate) };
  const client = new Client({ server: server.url, apiKey: server.apiKey, tls });
  assert.match(server.url, /^https:/);
  for (const size of [1000, 9 * MIB]) {
    const bytes = content(size);
    const { file } = await client.upload(bytes, { name: `tls-${size}`, partSize: MIB });
    assert.equal(await stored(client, file.id), sha256(bytes));
  }
});

test("a certificate that nobody vouches for is refused at once", async () => {
  const client = new Client({ server: server.url, apiKey: server.apiKey });
  const started = performance.now();
  for (const call of [
    () => client.account(),
    () => client.upload(Buffer.from("x"), { name: "x" }),
  ]) {
    const error = await failure<SluiceError>(call());
    assert.equal(error.kind, "transport");
    assert.equal(error.transient, false);
    assert.match(error.message, /certificate/);
  }
  assert.ok(performance.now() - started < 5000);
});

test("a closed client opens its connections again where they are needed", async () => {
  const client = new Client({
    server: server.url,
    apiKey: server.apiKey,
    tls: { ca: await readFile(certificate) },
  });
  const id = (await client.account()).id;
  client.close();
  assert.equal((await client.account()).id, id);
  client.close();
});
