// The SDK over TLS: wss:// and https://, compressed, with a certificate of a private authority.

import assert from "node:assert/strict";
import { sockets } from "../client.mjs";
import { LOG, suite } from "../stage.mjs";
import { TLS } from "../tls.mjs";

const { test, matrix } = suite({
  client: { ping_interval: "1s", pong_timeout: "900ms" },
  tls: TLS,
  websocket: { compression: true, compression_min_size: 0 },
  channel: { namespaces: [{ name: "log", ...LOG }] },
});

const CUT_MS = 500;
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

matrix("clients over TLS talk, and one whose network is cut gets what it missed", async (stage, transport) => {
  const proxy = await stage.proxy();
  const ada = await stage.connect({ tls: true, transport, address: proxy.address });
  const grace = await stage.connect({ tls: true, transport, user: "grace" });
  const channel = stage.channel("log");
  const [room, other] = [await ada.subscribe(channel), await grace.subscribe(channel)];
  await other.publish({ n: 1, text: "Привет 👋 ".repeat(40) });
  await room.hears(1);
  await room.publish({ n: 2 });
  await other.hears(2);
  const users = Object.values(await grace.presence(channel)).map((info) => info.user).sort();
  assert.deepEqual(users, ["ada", "grace"]);

  const over = proxy.cut(CUT_MS);
  await stage.api.count(channel, 3, 20);
  await over;
  await room.subscribed(2, 20_000);
  await stage.api.count(channel, 21, 22);
  await room.hears(22);
  assert.deepEqual(room.received.map(({ data }) => data.n), range(1, 22));
  assert.deepEqual([room.state.wasRecovering, room.state.recovered], [true, true]);
});

test("a large message goes through records and back", async (stage) => {
  for (const transport of sockets) {
    const ada = await stage.connect({ tls: true, transport });
    const room = await ada.subscribe(stage.channel());
    // More than two records, and hardly to be compressed.
    const text = Buffer.from(range(1, 36_000).map((n) => (n * 2_654_435_761) >>> 13)).toString("base64");
    await room.publish({ text });
    assert.deepEqual(await room.hears(1), [{ text }]);
  }
});

test("a client that does not speak TLS does not get in", async (stage) => {
  const ada = stage.client({ timeout: 500 });
  await assert.rejects(ada.connect(1_000));
});
