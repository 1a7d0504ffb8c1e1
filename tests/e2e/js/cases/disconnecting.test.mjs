// How connections end, and who comes back.

import assert from "node:assert/strict";
import { JSON_SOCKET, sockets } from "../client.mjs";
import { LOG, suite } from "../stage.mjs";
import { next, pause, until } from "../wait.mjs";

const { test, matrix } = suite({
  client: { queue_max_size: 262_144, recovery_max_publication_limit: 5_000 },
  channel: { namespaces: [{ name: "log", ...LOG, history_size: 5_000 }] },
});

matrix("a disconnect by the application is final, with its reason", async (stage, transport) => {
  const user = `user-${stage.channel()}`;
  const ada = await stage.connect({ transport, user });
  const end = next(ada.sdk, "disconnected");
  await stage.api.call("disconnect", { user });
  assert.deepEqual(await end, { code: 3503, reason: "force disconnect" });
  await pause(300);
  assert.equal(ada.sdk.state, "disconnected");
});

for (const [code, returns] of [[4000, true], [4499, true], [4500, false], [4999, false], [3000 + 11, true]]) {
  matrix(`a disconnect with code ${code} ${returns ? "brings the client back" : "is final"}`, async (stage, transport) => {
    const user = `user-${stage.channel()}`;
    const ada = await stage.connect({ transport, user });
    const room = await ada.subscribe(stage.channel());
    await stage.api.call("disconnect", { user, disconnect: { code, reason: "as the application likes" } });
    if (returns) {
      await until("back", () => ada.diary.all("connected").length === 2);
      assert.deepEqual(ada.diary.all("connecting").at(-1), { code, reason: "as the application likes" });
      await room.subscribed(2);
    } else {
      await until("the end", () => ada.sdk.state === "disconnected");
      assert.deepEqual(ada.diary.all("disconnected"), [{ code, reason: "as the application likes" }]);
    }
  });
}

matrix("a disconnect spares the clients that the application names", async (stage, transport) => {
  const user = `user-${stage.channel()}`;
  const [spared, ended] = await Promise.all([1, 2].map(() => stage.connect({ transport, user })));
  await stage.api.call("disconnect", { user, whitelist: [spared.id] });
  await until("the end", () => ended.sdk.state === "disconnected");
  assert.equal(spared.sdk.state, "connected");
});

matrix("a server that stops sends its clients away with 3001, and they find the next one", async (stage, transport) => {
  const old = await stage.serve({});
  const ada = await stage.connect({ address: old.address, transport });
  const room = await ada.subscribe(stage.channel());
  const { code } = await old.end("SIGTERM");
  assert.equal(code, 0);
  await until("it noticed", () => ada.diary.all("connecting").length >= 2);
  assert.deepEqual(ada.diary.all("connecting")[1], { code: 3001, reason: "shutdown" });
  const fresh = await stage.serve({}, old.address);
  await room.subscribed(2);
  await fresh.api.publish(room.channel, "hello again");
  assert.deepEqual(await room.hears(1), ["hello again"]);
});

matrix("what follows after an ordinary goodbye of the client is silence", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const { channel } = await ada.subscribe(stage.channel());
  ada.sdk.disconnect();
  await until("nobody there", async () => Object.keys(await stage.api.presence(channel)).length === 0);
  assert.deepEqual(ada.diary.all("disconnected"), [{ code: 0, reason: "disconnect called" }]);
});

// The reader stops; the network and then its queue fill up. It is cut, comes back, and misses nothing.
matrix("a reader that stops is cut with 3008, comes back and gets everything in order, once", async (stage, transport) => {
  const slow = await stage.connect({ transport, timeout: 20_000 });
  const quick = await stage.connect({ transport: JSON_SOCKET });
  const room = await slow.subscribe(stage.channel("log"));
  const witness = await quick.subscribe(room.channel);
  await stage.api.count(room.channel, 1, 3);
  await room.hears(3);
  const socket = slow.sockets[0]._socket;
  socket.pause();
  const padding = "x".repeat(8_000);
  const before = await cuts(stage);
  let n = 3;
  // Until the server has cut it; the kernel's buffers take some megabytes first. The witness keeps up.
  while (n < 4_500 && await cuts(stage) === before) {
    const commands = Array.from({ length: 10 }, () => ({ publish: { channel: room.channel, data: { n: (n += 1), padding } } }));
    await stage.api.post("batch", { commands });
    await witness.hears(n);
  }
  assert.equal(await cuts(stage), before + 1);
  socket.resume();
  await stage.api.count(room.channel, n + 1, n + 20);
  n += 20;
  await room.subscribed(2, 20_000);
  await room.hears(n, 20_000);
  assert.equal(room.state.recovered, true);
  assert.deepEqual(room.received.map(({ data }) => data.n), Array.from({ length: n }, (_, index) => index + 1));
  await witness.hears(n);
  assert.equal(quick.diary.all("connecting").length, 1);
}, { transports: sockets });

/** How many readers the server has cut for being slow. */
async function cuts(stage) {
  const text = await (await fetch(`http://${stage.server.internal}/metrics`)).text();
  return [...text.matchAll(/^ringway_slow_disconnects_total\{[^}]*\} (\d+)/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
}
