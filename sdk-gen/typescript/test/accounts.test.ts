import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  Client,
  MemoryStore,
  type SessionStore,
  type SessionTokens,
  type SluiceError,
} from "../src/node/index.js";
import { MIB, content, failure } from "./content.js";
import { Server } from "./server.js";

let server: Server;
let anonymous: Client;
let person = 0;

before(async () => {
  server = await Server.start({
    SLUICE__ACCOUNTS__REGISTRATION: "open",
    SLUICE__ACCOUNTS__ACCESS_TOKEN_TTL: "2s",
  });
  anonymous = new Client({ server: server.url });
});
after(() => server.stop());

async function somebody(): Promise<{ email: string; password: string; tokens: SessionTokens }> {
  person += 1;
  const login = { email: `p${person}@example.com`, password: "correct horse battery" };
  const { tokens, account } = await anonymous.register({ ...login, displayName: "P" });
  assert.equal(account.email, login.email);
  return { ...login, tokens };
}

const expired = () => new Promise((resolve) => setTimeout(resolve, 2500));

test("a person registers, signs in and out", async () => {
  const { email, password } = await somebody();
  const { tokens, account, deviceToken } = await anonymous.login({ email, password });
  assert.ok(deviceToken);
  const store = new MemoryStore(tokens);
  const client = new Client({ server: server.url, session: store });
  assert.equal((await client.account()).id, account.id);
  await client.upload(Buffer.from("mine"), { name: "mine" });
  await client.logout();
  assert.equal(store.load(), undefined);
  const after = await failure<SluiceError>(client.account());
  assert.equal(after.reason, "CREDENTIALS_INVALID");
  const stolen = new Client({ server: server.url, session: tokens });
  assert.equal((await failure<SluiceError>(stolen.refreshSession())).kind, "server");
});

test("wrong credentials are refused", async () => {
  const { email } = await somebody();
  const wrong = await failure<SluiceError>(anonymous.login({ email, password: "something else" }));
  assert.equal(wrong.reason, "CREDENTIALS_INVALID");
  assert.equal(wrong.transient, false);
  const again = await failure<SluiceError>(
    anonymous.register({ email, password: "something else" }),
  );
  assert.equal(again.reason, "ACCOUNT_EXISTS");
  const nobody = await failure<SluiceError>(anonymous.account());
  assert.equal(nobody.reason, "CREDENTIALS_INVALID");
  const key = new Client({ server: server.url, apiKey: "sluice_key_wrong" });
  assert.equal((await failure<SluiceError>(key.account())).reason, "CREDENTIALS_INVALID");
});

test("many calls at once refresh an expired session once, and keep it before they use it", async () => {
  const { tokens } = await somebody();
  const saved: (SessionTokens | undefined)[] = [];
  let kept: SessionTokens | undefined = tokens;
  const store: SessionStore = {
    load: () => kept,
    save: async (next) => {
      // A call that did not wait for this would be a second one with the old token.
      await new Promise((resolve) => setTimeout(resolve, 100));
      kept = next;
      saved.push(next);
    },
  };
  const client = new Client({ server: server.url, session: store });
  await expired();
  const accounts = await Promise.all(Array.from({ length: 20 }, () => client.account()));
  assert.equal(new Set(accounts.map(({ id }) => id)).size, 1);
  assert.equal(saved.length, 1);
  assert.notEqual(saved[0]?.refreshToken, tokens.refreshToken);
  assert.notEqual(saved[0]?.accessToken, tokens.accessToken);
  assert.equal(saved[0]?.sessionId, tokens.sessionId);
});

test("uploads, lists and events refresh as well", async () => {
  for (const work of [
    (client: Client) => client.upload(content(100), { name: "small" }),
    (client: Client) => client.upload(content(9 * MIB), { name: "large", partSize: MIB }),
    async (client: Client) => {
      for await (const event of client.watch()) if (event.type === "snapshotEnd") return;
    },
  ]) {
    const { tokens } = await somebody();
    const client = new Client({ server: server.url, session: tokens });
    await expired();
    await work(client);
  }
});

test("a session that another process has refreshed goes on with its tokens", async () => {
  const { tokens } = await somebody();
  const store = new MemoryStore(tokens);
  const [one, two] = [1, 2].map(() => new Client({ server: server.url, session: store }));
  await Promise.all([one!.account(), two!.account()]);
  await expired();
  await one!.account();
  await two!.account();
  // Had the second used the old refresh token after its time, the session would have ended.
  await expired();
  await two!.account();
  await one!.account();
});

test("a session that has ended says so and asks no more", async () => {
  const { tokens, email, password } = await somebody();
  const client = new Client({ server: server.url, session: tokens });
  const other = await anonymous.login({ email, password });
  const signedIn = new Client({ server: server.url, session: other.tokens });
  const ids = [];
  for await (const { id } of signedIn.sessions()) ids.push(id);
  assert.equal(ids.length, 2);
  assert.equal(await signedIn.revokeOtherSessions(), 1);
  await expired();
  for (let attempt = 0; attempt < 2; attempt++) {
    const error = await failure<SluiceError>(client.account());
    assert.equal(error.kind, "server");
    assert.equal(error.code, 16, "UNAUTHENTICATED");
    assert.equal(error.transient, false);
  }
});

test("API keys are made, listed and revoked", async () => {
  const { tokens } = await somebody();
  const client = new Client({ server: server.url, session: tokens });
  const { apiKey, secret } = await client.createApiKey({
    name: "reader",
    scopes: ["files:read"],
    ttlMs: 3_600_000,
  });
  const reader = new Client({ server: server.url, apiKey: `${secret}\n` });
  for await (const _ of reader.list()) assert.fail("there are no files");
  const error = await failure<SluiceError>(reader.upload(Buffer.from("x"), { name: "x" }));
  assert.equal(error.reason, "SCOPE_MISSING");
  assert.ok(error.metadata["scope"]);
  const keys = [];
  for await (const { name } of client.apiKeys()) keys.push(name);
  assert.deepEqual(keys, ["reader"]);
  await client.revokeApiKey(apiKey.id);
  const revoked = await failure<SluiceError>(reader.find("x"));
  assert.equal(revoked.kind, "server");
});

test("what does not fit into a quota is refused with its numbers", async () => {
  const { tokens } = await somebody();
  const client = new Client({ server: server.url, session: tokens });
  const operator = new Client({ server: server.url, apiKey: server.apiKey });
  const { id } = await client.account();
  await operator.raw.admin.setQuota({ accountId: id, quota: { maxBytes: BigInt(MIB) } });
  for (const size of [2 * MIB, 9 * MIB]) {
    const error = await failure<SluiceError>(client.upload(content(size), { name: "too-much" }));
    assert.equal(error.reason, "QUOTA_EXCEEDED");
    assert.equal(error.metadata["limit"], String(MIB));
    assert.equal(error.transient, false);
  }
  assert.equal((await client.usage()).quota?.maxBytes, BigInt(MIB));
});
