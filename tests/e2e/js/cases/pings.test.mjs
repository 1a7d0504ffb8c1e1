// How both sides notice that the other is gone.

import assert from "node:assert/strict";
import { suite } from "../stage.mjs";
import { pause, until } from "../wait.mjs";

const { test, matrix } = suite({ client: { ping_interval: "1s", pong_timeout: "800ms" } });

matrix("the SDK answers pings and stays connected", async (stage, transport) => {
  const ada = await stage.connect({ transport, maxServerPingDelay: 1_500 });
  await pause(4_500);
  assert.equal(ada.diary.all("connecting").length, 1);
  assert.equal(ada.sdk.state, "connected");
});

test("a client that does not answer a ping is closed with 3012 and its presence ends", async (stage) => {
  const raw = await stage.raw();
  await raw.connect();
  const channel = stage.channel();
  await raw.ask({ id: 2, subscribe: { channel } });
  assert.deepEqual(await raw.ended(), { code: 3012, reason: "no pong" });
  assert.deepEqual(await stage.api.presence(channel), {});
});

test("a client that asks for the frames of WebSocket is pinged with those alone", async (stage) => {
  const raw = await stage.raw({ path: "/connection/websocket?cf_ws_frame_ping_pong=true" });
  const result = await raw.connect();
  assert.equal(result.ping, undefined);
  assert.equal(result.pong, undefined);
  await until("two pings", () => raw.pings >= 2);
  assert.equal(raw.said.length, 1);
  assert.equal(raw.closed, undefined);
});

test("a client that does not answer ping frames is cut off", async (stage) => {
  const raw = await stage.raw({ path: "/connection/websocket?cf_ws_frame_ping_pong=true" });
  raw.socket.pong = () => {};
  raw.socket._receiver.removeAllListeners("ping");
  await raw.connect();
  await raw.ended();
  assert.equal(raw.closed.code, 3012);
});

test("the SDK lives with ping frames", async (stage) => {
  const ada = await stage.connect({ path: "?cf_ws_frame_ping_pong=true" });
  await pause(3_500);
  assert.equal(ada.diary.all("connecting").length, 1);
});

matrix("a server that falls silent is noticed by the SDK, which comes back", async (stage, transport) => {
  const proxy = await stage.proxy();
  const ada = await stage.connect({ transport, address: proxy.address, maxServerPingDelay: 1_000, timeout: 1_000 });
  const room = await ada.subscribe(stage.channel());
  proxy.darken();
  await until("the client noticed", () => ada.sdk.state === "connecting", 5_000);
  assert.equal(ada.diary.all("connecting").at(-1).code, 2);
  proxy.restore();
  await room.subscribed(2);
  // The old connection is gone from presence, too, once its pong is overdue.
  await until("one client", async () => Object.keys(await stage.api.presence(room.channel)).join() === ada.id, 5_000);
});
