// The server goes and comes back, or reads its configuration again, under clients that know nothing of it.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, sockets } from "../client.mjs";
import { LOG, OPEN, configuration, suite } from "../stage.mjs";
import { inSeconds, token } from "../token.mjs";
import { until } from "../wait.mjs";

const { matrix, test } = suite();

/** Notices a silent network soon. */
const ALERT = { maxServerPingDelay: 1_000, timeout: 1_000 };
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => first + index);
const numbers = (room) => room.received.map(({ data }) => data.n);

/** Options of a server whose history is on disk, in a folder of its own. */
function kept(stage) {
  const path = mkdtempSync(join(tmpdir(), "ringway-e2e-store-"));
  stage.later(() => rmSync(path, { recursive: true, force: true }));
  return {
    client: { ping_interval: "1s", pong_timeout: "900ms" },
    store: { path },
    channel: { namespaces: [{ name: "kept", ...LOG, durable: true }, { name: "memory", ...LOG }] },
  };
}

/** Kills the server while the network is down; gives the next one on the same address. */
async function replace(stage, server, options) {
  await server.end("SIGKILL");
  return stage.serve(options, server.address);
}

matrix("what a durable channel keeps outlives a kill of the server, and subscribers recover what they missed", async (stage, transport) => {
  const options = kept(stage);
  const first = await stage.serve(options);
  const proxy = await stage.proxy(first.address);
  const ada = await stage.connect({ address: proxy.address, transport, ...ALERT });
  const room = await ada.subscribe(stage.channel("kept"));
  await first.api.count(room.channel, 1, 5);
  await room.hears(5);
  const { epoch } = await first.api.call("history", { channel: room.channel });
  proxy.darken();
  await first.api.count(room.channel, 6, 8);
  const second = await replace(stage, first, options);
  await second.api.count(room.channel, 9, 12);
  proxy.restore();
  await room.subscribed(2, 20_000);
  assert.deepEqual([room.state.wasRecovering, room.state.recovered], [true, true]);
  await room.hears(12);
  await second.api.count(room.channel, 13, 13);
  await room.hears(13);
  assert.deepEqual(numbers(room), range(1, 13));
  assert.deepEqual(room.received.map(({ offset }) => offset), range(1, 13));
  assert.equal((await second.api.call("history", { channel: room.channel })).epoch, epoch);
});

matrix("a channel in memory has another epoch after a restart: nobody pretends, everybody goes on", async (stage, transport) => {
  const options = kept(stage);
  const first = await stage.serve(options);
  const proxy = await stage.proxy(first.address);
  const ada = await stage.connect({ address: proxy.address, transport, ...ALERT });
  const room = await ada.subscribe(stage.channel("memory"));
  await first.api.count(room.channel, 1, 5);
  await room.hears(5);
  const { epoch } = await first.api.call("history", { channel: room.channel });
  proxy.darken();
  const second = await replace(stage, first, options);
  await second.api.count(room.channel, 6, 7);
  proxy.restore();
  await room.subscribed(2, 20_000);
  assert.deepEqual([room.state.wasRecovering, room.state.recovered], [true, false]);
  assert.notEqual(room.state.streamPosition.epoch, epoch);
  assert.equal(room.state.streamPosition.offset, 2);
  await second.api.count(room.channel, 8, 9);
  await room.hears(7);
  assert.deepEqual(numbers(room), [...range(1, 5), 8, 9]);
  // From here on the new epoch is what is recovered.
  proxy.drop();
  await second.api.count(room.channel, 10, 11);
  await room.subscribed(3, 20_000);
  assert.equal(room.state.recovered, true);
  await room.hears(9);
  assert.deepEqual(numbers(room), [...range(1, 5), ...range(8, 11)]);
});

test("a user who was blocked stays out after a kill of the server", async (stage) => {
  const options = kept(stage);
  const first = await stage.serve(options);
  const ada = await stage.connect({ address: first.address, user: "ada" });
  await first.api.call("block_user", { user: "ada" });
  await until("the end", () => ada.sdk.state === "disconnected");
  const second = await replace(stage, first, options);
  assert.equal((await stage.client({ address: second.address, user: "ada" }).refused()).code, 3507);
  await stage.connect({ address: second.address, user: "grace" });
});

/** Has the server read these options, and waits until it says what came of it. */
async function reload(server, options, verdict) {
  const count = () => server.output.split(verdict).length;
  const before = count();
  server.rewrite(typeof options === "string" ? options : configuration(options));
  server.signal("SIGHUP");
  await until(() => `"${verdict}"; said\n${server.output}`, () => count() > before);
}

matrix("a reload changes what connected clients may do, and none of them reconnects", async (stage, transport) => {
  const server = await stage.serve({});
  const ada = await stage.connect({ address: server.address, transport });
  const old = await ada.subscribe(stage.channel());
  await ada.subscription("fresh:1").refused();
  await reload(server, { channel: { namespaces: [{ name: "fresh", ...OPEN }] } }, "configuration reloaded: channel.namespaces.fresh");
  const fresh = await ada.subscribe("fresh:2");
  for (const room of [old, fresh]) {
    await room.publish({ n: 1 });
    await room.hears(1);
  }
  await reload(server, {}, "configuration reloaded: channel.namespaces.fresh");
  await ada.subscription("fresh:3").refused();
  await old.publish({ n: 2 });
  await old.hears(2);
  assert.equal(ada.diary.all("connected").length, 1);
  assert.equal(ada.diary.all("connecting").length, 1);
});

matrix("a reload with a mistake changes nothing", async (stage, transport) => {
  const server = await stage.serve({});
  const ada = await stage.connect({ address: server.address, transport });
  const room = await ada.subscribe(stage.channel());
  await reload(server, `${configuration()}\n[cleint]\nchannel_limit = 1\n`, "REFUSED");
  await room.publish({ n: 1 });
  await room.hears(1);
  await ada.subscribe(stage.channel());
  await stage.connect({ address: server.address, transport });
  assert.equal(ada.diary.all("connected").length, 1);
}, { transports: sockets });

test("a reload changes the key of tokens: who is in stays, who comes needs a token of the new one", async (stage) => {
  const server = await stage.serve({});
  const ada = await stage.connect({ address: server.address });
  const room = await ada.subscribe(stage.channel());
  const secret = "another secret that nobody knows yet, long enough";
  await reload(server, { client: { token: { hmac_secret_key: secret } } }, "configuration reloaded: client.token.hmac_secret_key");
  assert.equal((await stage.client({ address: server.address }).refused()).code, 3500);
  const grace = new Client(server.address, { user: null, token: token({ sub: "grace", exp: inSeconds(300) }, { key: secret }) });
  stage.later(() => grace.end());
  await grace.connect();
  await room.publish({ n: 1 });
  await room.hears(1);
  assert.equal(ada.diary.all("connected").length, 1);
});
