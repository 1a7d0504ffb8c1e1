// Coming back after a network was lost: exactly what was missed, in order, once; or the plain word that it is too much.

import assert from "node:assert/strict";
import { JSON_SOCKET, PROTOBUF_SOCKET, sockets } from "../client.mjs";
import { LOG, suite } from "../stage.mjs";
import { pause, until } from "../wait.mjs";

/** How long the long cut lasts. CI cuts for longer than any ping. */
const LONG_CUT_MS = Number(process.env.E2E_CUT_SECONDS || 5) * 1000;
const SHORT_CUT_MS = 1_500;

const { test, matrix } = suite({
  client: { ping_interval: "1s", pong_timeout: "900ms" },
  channel: {
    namespaces: [
      { name: "log", ...LOG },
      { name: "short", ...LOG, history_size: 5 },
      { name: "cache", ...LOG, history_size: 1, force_recovery_mode: "cache" },
      { name: "auto", ...LOG, history_size: 1, force_recovery_mode: "cache", auto_cache_recover: true },
      { name: "asked", ...LOG, force_recovery: undefined, allow_recovery: true, allow_positioning: true },
    ],
  },
});

const range = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => first + index);
const numbers = (room) => room.received.map(({ data }) => data.n);
/** Notices a silent network soon. */
const ALERT = { maxServerPingDelay: 1_000, timeout: 1_000 };

/** A client behind a network that can be cut, subscribed, with `before` publications received. */
async function listener(stage, { namespace = "log", before = 5, transport, subscription, ...options } = {}) {
  const proxy = await stage.proxy();
  const ada = await stage.connect({ address: proxy.address, transport, ...ALERT, ...options });
  const room = await ada.subscribe(stage.channel(namespace), subscription);
  await stage.api.count(room.channel, 1, before);
  await room.hears(before);
  return { proxy, ada, room };
}

async function cutAndPublish({ proxy, room }, stage, { ms = SHORT_CUT_MS, first, last }) {
  const over = proxy.cut(ms);
  const steps = last - first + 1;
  for (let n = first; n <= last; n += 1) {
    await stage.api.publish(room.channel, { n });
    await pause(Math.min(50, ms / (steps * 2)));
  }
  await over;
  await room.subscribed(2, 20_000);
}

matrix("a subscriber whose network is cut gets what it missed, in order, once", async (stage, transport) => {
  const setting = await listener(stage, { transport });
  const { room } = setting;
  await cutAndPublish(setting, stage, { first: 6, last: 25 });
  assert.deepEqual([room.state.wasRecovering, room.state.recovered], [true, true]);
  await stage.api.count(room.channel, 26, 30);
  await room.hears(30);
  await pause(100);
  assert.deepEqual(numbers(room), range(1, 30));
  assert.deepEqual(room.received.map(({ offset }) => offset), range(1, 30));
});

test(`a cut of ${LONG_CUT_MS / 1000} s under steady traffic loses nothing, doubles nothing and keeps the order`, async (stage) => {
  const settings = await Promise.all([JSON_SOCKET, PROTOBUF_SOCKET].map((transport) => listener(stage, { transport, before: 3 })));
  let sent = 3;
  let done = false;
  const traffic = (async () => {
    while (!done) {
      sent += 1;
      for (const { room } of settings) await stage.api.publish(room.channel, { n: sent });
      await pause(LONG_CUT_MS / 150);
    }
  })();
  await pause(200);
  await Promise.all(settings.map(({ proxy }) => proxy.cut(LONG_CUT_MS)));
  await Promise.all(settings.map(({ room }) => room.subscribed(2, 30_000)));
  await pause(200);
  done = true;
  await traffic;
  for (const { room } of settings) {
    await room.hears(sent);
    assert.equal(room.state.recovered, true);
    assert.deepEqual(numbers(room), range(1, sent));
  }
}, { ms: LONG_CUT_MS + 60_000 });

matrix("several cuts in a row lose nothing", async (stage, transport) => {
  const { proxy, room } = await listener(stage, { transport });
  let n = 5;
  for (let cut = 1; cut <= 5; cut += 1) {
    proxy.drop();
    for (let count = 0; count < 10; count += 1) await stage.api.publish(room.channel, { n: n += 1 });
    await room.subscribed(1 + cut);
  }
  await room.hears(n);
  assert.deepEqual(numbers(room), range(1, n));
});

matrix("a subscriber that missed more than the channel keeps is told so and goes on from now", async (stage, transport) => {
  const setting = await listener(stage, { transport, namespace: "short" });
  const { room } = setting;
  await cutAndPublish(setting, stage, { first: 6, last: 15 });
  assert.deepEqual([room.state.wasRecovering, room.state.recovered], [true, false]);
  assert.equal(room.state.streamPosition.offset, 15);
  await stage.api.count(room.channel, 16, 17);
  await room.hears(7);
  assert.deepEqual(numbers(room), [...range(1, 5), 16, 17]);
});

matrix("a subscriber that missed nothing is recovered with nothing", async (stage, transport) => {
  const { proxy, room } = await listener(stage, { transport });
  proxy.drop();
  await room.subscribed(2);
  assert.deepEqual([room.state.recovered, room.state.hasRecoveredPublications], [true, false]);
  await stage.api.count(room.channel, 6, 6);
  await room.hears(6);
  assert.deepEqual(numbers(room), range(1, 6));
});

matrix("a channel that was lost and begins again does not pretend to have recovered", async (stage, transport) => {
  const { proxy, ada, room } = await listener(stage, { transport });
  const { epoch } = room.state.streamPosition;
  ada.sdk.disconnect();
  await stage.api.call("history_remove", { channel: room.channel });
  await ada.connect();
  await room.subscribed(2);
  assert.equal(room.state.recovered, epoch === room.state.streamPosition.epoch && room.state.streamPosition.offset === 5);
  await proxy.stop();
}, { transports: sockets });

test("recovery goes on from a position that the application kept", async (stage) => {
  const ada = await stage.connect();
  const channel = stage.channel("log");
  await stage.api.count(channel, 1, 10);
  const { epoch } = await ada.history(channel, {});
  const room = await ada.subscribe(channel, { since: { offset: 4, epoch } });
  assert.equal(room.state.recovered, true);
  await room.hears(6);
  assert.deepEqual(numbers(room), range(5, 10));
});

test("recovery may be asked for by the subscriber where the namespace allows it", async (stage) => {
  const plain = await listener(stage, { namespace: "asked" });
  const asking = await listener(stage, { namespace: "asked", subscription: { recoverable: true } });
  assert.deepEqual([plain.room.state.recoverable, asking.room.state.recoverable], [false, true]);
  for (const { proxy, room } of [plain, asking]) {
    proxy.drop();
    await stage.api.count(room.channel, 6, 8);
    await room.subscribed(2);
    await stage.api.count(room.channel, 9, 9);
    await until("the last one", () => numbers(room).includes(9));
  }
  assert.deepEqual(numbers(asking.room), range(1, 9));
});

matrix("getState is asked again when a position cannot be recovered", async (stage, transport) => {
  let asked = 0;
  const proxy = await stage.proxy();
  const ada = await stage.connect({ address: proxy.address, transport, ...ALERT });
  const channel = stage.channel("short");
  const getState = async () => {
    asked += 1;
    const { epoch, offset } = await stage.api.call("history", { channel, limit: 0 });
    return { epoch, offset };
  };
  const room = await ada.subscribe(channel, { getState });
  await stage.api.count(channel, 1, 3);
  await room.hears(3);
  await cutAndPublish({ proxy, room }, stage, { first: 4, last: 20 });
  assert.equal(asked, 2);
  await stage.api.count(channel, 21, 21);
  await room.hears(4);
  assert.deepEqual(numbers(room), [1, 2, 3, 21]);
});

test("a subscribe that rejects what cannot be recovered is answered with 112", async (stage) => {
  const raw = await stage.raw();
  await raw.connect();
  const channel = stage.channel("short");
  await stage.api.count(channel, 1, 10);
  const { error } = await raw.ask({ id: 2, subscribe: { channel, flag: 2, recover: true, offset: 1, epoch: "gone" } });
  assert.deepEqual(error, { code: 112, message: "unrecoverable position" });
  assert.ok((await raw.ask({ id: 3, subscribe: { channel } })).subscribe);
});

test("a recovered subscribe names the position that was asked for, and brings what follows", async (stage) => {
  const raw = await stage.raw();
  await raw.connect();
  const channel = stage.channel("log");
  await stage.api.count(channel, 1, 4);
  const { epoch } = await stage.api.call("history", { channel });
  const { subscribe } = await raw.ask({ id: 2, subscribe: { channel, recover: true, offset: 2, epoch } });
  assert.deepEqual(subscribe, {
    recoverable: true, positioned: true, epoch, offset: 2, recovered: true, was_recovering: true,
    publications: [{ data: { n: 3 }, offset: 3 }, { data: { n: 4 }, offset: 4 }],
  });
});

matrix("a cache channel gives who comes back the latest value alone", async (stage, transport) => {
  const setting = await listener(stage, { transport, namespace: "cache", before: 2 });
  const { room } = setting;
  await cutAndPublish(setting, stage, { first: 3, last: 9 });
  assert.equal(room.state.recovered, true);
  await room.hears(3);
  await stage.api.count(room.channel, 10, 10);
  await room.hears(4);
  assert.deepEqual(numbers(room), [1, 2, 9, 10]);
});

matrix("a cache channel gives its value to newcomers where the namespace says so", async (stage, transport) => {
  const channel = stage.channel("auto");
  await stage.api.count(channel, 1, 3);
  const room = await (await stage.connect({ transport })).subscribe(channel);
  await room.hears(1);
  await stage.api.count(channel, 4, 4);
  await room.hears(2);
  assert.deepEqual(numbers(room), [3, 4]);
});

matrix("a cache channel without a value gives none, says so, and gives the first one as it comes", async (stage, transport) => {
  for (const namespace of ["cache", "auto"]) {
    const proxy = await stage.proxy();
    const ada = await stage.connect({ address: proxy.address, transport, ...ALERT });
    const room = await ada.subscribe(stage.channel(namespace), { since: {} });
    assert.deepEqual([room.state.wasRecovering, room.state.recovered, room.received.length], [true, false, 0], namespace);
    proxy.drop();
    await room.subscribed(2);
    assert.deepEqual([room.state.recovered, room.received.length], [false, 0], namespace);
    await stage.api.count(room.channel, 1, 1);
    await room.hears(1);
    proxy.drop();
    await room.subscribed(3);
    await stage.api.count(room.channel, 2, 2);
    await room.hears(2);
    assert.deepEqual(numbers(room), [1, 2], namespace);
  }
});

test("a cache channel gives its value to who asks for it without a position", async (stage) => {
  const channel = stage.channel("cache");
  await stage.api.count(channel, 1, 3);
  const room = await (await stage.connect()).subscribe(channel, { since: {} });
  await room.hears(1);
  assert.deepEqual(numbers(room), [3]);
});

test("a storm of publications while subscribers come back has no hole and no double", async (stage) => {
  const CLIENTS = 12;
  const channel = stage.channel("log");
  const proxy = await stage.proxy();
  const clients = await Promise.all(Array.from({ length: CLIENTS }, (_, index) => stage.connect({ address: proxy.address, transport: sockets[index % 2], ...ALERT })));
  const rooms = await Promise.all(clients.map((client) => client.subscribe(channel)));
  let done = false;
  let sent = 0;
  const traffic = (async () => {
    while (!done) {
      const batch = Array.from({ length: 4 }, () => ({ publish: { channel, data: { n: (sent += 1) } } }));
      await stage.api.post("batch", { commands: batch });
      if (sent % 20 === 0) await pause(20);
      if (sent >= 900) break;
    }
  })();
  for (let drop = 0; drop < 4; drop += 1) { await pause(150); proxy.drop(); }
  await pause(400);
  done = true;
  await traffic;
  for (const room of rooms) {
    await room.subscribed(2);
    await room.hears(sent, 20_000);
    assert.deepEqual(numbers(room), range(1, sent));
  }
});
