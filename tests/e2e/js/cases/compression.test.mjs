// The SDK with the compression that its WebSocket offers by itself.

import assert from "node:assert/strict";
import { sockets } from "../client.mjs";
import { LOG, suite } from "../stage.mjs";

const TEXT = "the quick brown fox jumps over the lazy dog ".repeat(20);
const DELTA = { allowed_delta_types: ["fossil"], delta_publish: true };

for (const takeover of [false, true]) {
  const { matrix } = suite({
    websocket: { compression: true, compression_min_size: 0, compression_takeover: takeover },
    channel: { namespaces: [{ name: "log", ...LOG }, { name: "delta", ...LOG, ...DELTA }] },
  });
  const named = (name) => `${name}, ${takeover ? "with" : "without"} takeover`;

  matrix(named("compressed messages of both sides are read"), async (stage, transport) => {
    const [ada, grace] = [await stage.connect({ transport }), await stage.connect({ transport })];
    assert.match(ada.sockets.at(-1).extensions, /permessage-deflate/);
    const room = await ada.subscribe(stage.channel("log"));
    const hers = await grace.subscribe(room.channel);
    const values = [];
    for (let number = 0; number < 30; number += 1) {
      const value = { number, text: TEXT.slice(number) };
      values.push(value);
      await (number % 2 ? room : hers).publish(value);
    }
    assert.deepEqual(await room.hears(30), values);
    assert.deepEqual(await hers.hears(30), values);
  }, { transports: sockets });

  matrix(named("patches are read as well"), async (stage, transport) => {
    const ada = await stage.connect({ transport });
    const room = await ada.subscribe(stage.channel("delta"), { delta: "fossil" });
    const values = [];
    for (let number = 0; number < 10; number += 1) {
      const value = { number, text: TEXT + "x".repeat(number) };
      values.push(value);
      await stage.api.publish(room.channel, value);
    }
    assert.deepEqual(await room.hears(10), values);
  }, { transports: sockets });
}
