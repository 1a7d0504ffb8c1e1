// Subscriptions that the application makes for its users: in tokens, as personal channels, through the API.

import assert from "node:assert/strict";
import { LOG, OPEN, suite } from "../stage.mjs";
import { connectionToken } from "../token.mjs";
import { next, pause, until } from "../wait.mjs";

const { test, matrix } = suite({
  client: { subscribe_to_user_personal_channel: { enabled: true, personal_channel_namespace: "personal" } },
  channel: {
    namespaces: [
      { name: "log", ...LOG },
      { name: "short", ...LOG, history_size: 3 },
      { name: "closed", presence: true, join_leave: true, force_push_join_leave: true },
      { name: "personal", presence: true, allow_user_limited_channels: true },
    ],
  },
});

const range = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

matrix("channels of the token are subscribed with the connection, also closed ones", async (stage, transport) => {
  const [one, two] = [stage.channel("closed"), stage.channel()];
  const ada = await stage.connect({ transport, claims: { channels: [one, two] } });
  await stage.api.publish(one, { n: 1 });
  await stage.api.publish(two, { n: 2 });
  assert.deepEqual(await ada.hears(one, 1), [{ n: 1 }]);
  assert.deepEqual(await ada.hears(two, 1), [{ n: 2 }]);
  assert.deepEqual(Object.keys(await stage.api.presence(one)), [ada.id]);
});

matrix("subscriptions of the token carry their info and data", async (stage, transport) => {
  const channel = stage.channel("closed");
  const ada = await stage.connect({ transport, claims: { subs: { [channel]: { info: { role: "host" }, data: { title: "Зал" } } } } });
  const subscribed = ada.diary.all("subscribed").find((context) => context.channel === channel);
  assert.deepEqual(ada.codec.decode(subscribed.data), { title: "Зал" });
  assert.deepEqual((await stage.api.presence(channel))[ada.id].chan_info, { role: "host" });
});

matrix("a user hears its personal channel on every connection, and nobody else does", async (stage, transport) => {
  const user = `user-${stage.channel()}`;
  const phones = await Promise.all([1, 2].map(() => stage.connect({ transport, user })));
  const eve = await stage.connect({ user: "eve" });
  const channel = `personal:#${user}`;
  await stage.api.publish(channel, { n: 1 });
  for (const phone of phones) assert.deepEqual(await phone.hears(channel, 1), [{ n: 1 }]);
  assert.equal(eve.received(channel).length, 0);
  assert.equal((await eve.subscription(channel).refused()).code, 103);
});

matrix("the application subscribes and unsubscribes a user on all of its connections", async (stage, transport) => {
  const user = `user-${stage.channel()}`;
  const phones = await Promise.all([1, 2].map(() => stage.connect({ transport, user })));
  const channel = stage.channel("closed");
  await stage.api.call("subscribe", { user, channel, data: { welcome: true }, info: { via: "api" } });
  for (const phone of phones) {
    await until("subscribed", () => phone.diary.all("subscribed").some((context) => context.channel === channel));
    const { data } = phone.diary.all("subscribed").find((context) => context.channel === channel);
    assert.deepEqual(phone.codec.decode(data), { welcome: true });
  }
  await stage.api.publish(channel, "hello");
  for (const phone of phones) assert.deepEqual(await phone.hears(channel, 1), ["hello"]);
  assert.deepEqual((await stage.api.presence(channel))[phones[0].id].chan_info, { via: "api" });
  await stage.api.call("unsubscribe", { user, channel });
  for (const phone of phones) await until("unsubscribed", () => phone.diary.all("unsubscribed").some((context) => context.channel === channel));
  assert.deepEqual(await stage.api.presence(channel), {});
});

matrix("the application unsubscribes a client from what it chose itself, and it stays so", async (stage, transport) => {
  const ada = await stage.connect({ transport, user: "ada" });
  const room = await ada.subscribe(stage.channel());
  const end = next(room.sdk, "unsubscribed");
  await stage.api.call("unsubscribe", { user: "ada", channel: room.channel, client: ada.id });
  assert.equal((await end).code, 2000);
  await pause(200);
  assert.equal(room.sdk.state, "unsubscribed");
});

test("the application reaches one connection of a user by its client id", async (stage) => {
  const [one, other] = await Promise.all([1, 2].map(() => stage.connect({ user: "ada" })));
  const channel = stage.channel("closed");
  await stage.api.call("subscribe", { user: "ada", client: one.id, channel });
  await until("subscribed", () => one.diary.all("subscribed").some((context) => context.channel === channel));
  assert.deepEqual(Object.keys(await stage.api.presence(channel)), [one.id]);
  assert.ok(!other.diary.all("subscribed").some((context) => context.channel === channel));
});

matrix("server-side subscriptions recover what was missed, in order, once", async (stage, transport) => {
  const channel = stage.channel("log");
  const proxy = await stage.proxy();
  const ada = await stage.connect({ transport, address: proxy.address, claims: { channels: [channel] } });
  await stage.api.count(channel, 1, 5);
  await ada.hears(channel, 5);
  proxy.darken();
  await stage.api.count(channel, 6, 15);
  proxy.restore();
  await until("back", () => ada.diary.all("connected").length === 2);
  await stage.api.count(channel, 16, 18);
  assert.deepEqual((await ada.hears(channel, 18)).map(({ n }) => n), range(1, 18));
  const again = ada.diary.all("subscribed").filter((context) => context.channel === channel).at(-1);
  assert.deepEqual([again.wasRecovering, again.recovered], [true, true]);
});

matrix("server-side subscriptions that missed too much are told so", async (stage, transport) => {
  const channel = stage.channel("short");
  const ada = await stage.connect({ transport, claims: { channels: [channel] } });
  await stage.api.count(channel, 1, 2);
  await ada.hears(channel, 2);
  ada.sdk.disconnect();
  // The SDK forgets positions of server-side subscriptions when the application disconnects, so the proxy does it.
  const proxy = await stage.proxy();
  const grace = await stage.connect({ transport, address: proxy.address, user: "grace", claims: { channels: [channel] } });
  await stage.api.count(channel, 3, 3);
  await grace.hears(channel, 1);
  proxy.darken();
  await stage.api.count(channel, 4, 12);
  proxy.restore();
  await until("back", () => grace.diary.all("connected").length === 2);
  const again = grace.diary.all("subscribed").filter((context) => context.channel === channel).at(-1);
  assert.deepEqual([again.wasRecovering, again.recovered], [true, false]);
  await stage.api.count(channel, 13, 13);
  assert.deepEqual((await grace.hears(channel, 2)).map(({ n }) => n), [3, 13]);
});

test("a server-side subscription that the token no longer has is reported as gone", async (stage) => {
  const channel = stage.channel("closed");
  const proxy = await stage.proxy();
  let claims = { channels: [channel] };
  const ada = await stage.connect({ address: proxy.address, token: "", user: null, getToken: async () => connectionToken("ada", claims) });
  claims = {};
  ada.sdk.setToken("");
  proxy.drop();
  await until("back", () => ada.diary.all("connected").length === 2);
  await until("gone", () => ada.diary.all("unsubscribed").some((context) => context.channel === channel));
});

test("join and leave of server-side subscriptions reach the others", async (stage) => {
  const channel = stage.channel("closed");
  const ada = await stage.connect({ claims: { channels: [channel] } });
  const grace = await stage.connect({ user: "grace", claims: { channels: [channel] } });
  await until("the join", () => ada.diary.all("join").some(({ channel: at, info }) => at === channel && info.client === grace.id));
  grace.sdk.disconnect();
  await until("the leave", () => ada.diary.all("leave").some(({ channel: at, info }) => at === channel && info.client === grace.id));
});

test("subscribing to what the server has subscribed already is refused with 105", async (stage) => {
  const channel = stage.channel();
  const raw = await stage.raw();
  await raw.connect("ada", { token: connectionToken("ada", { channels: [channel] }) });
  assert.equal((await raw.ask({ id: 2, subscribe: { channel } })).error.code, 105);
});

test("more server-side subscriptions than the limit are refused with 3505", async (stage) => {
  const { address } = await stage.serve({ client: { channel_limit: 2 } });
  const refusal = await stage.client({ address, claims: { channels: ["a", "b", "c"] } }).refused();
  assert.deepEqual(refusal, { code: 3505, reason: "channel limit" });
});

test("a user's new connection ends the one before it where the operator says so", async (stage) => {
  const { address } = await stage.serve({
    client: { subscribe_to_user_personal_channel: { enabled: true, single_connection: true } },
    channel: { without_namespace: { ...OPEN, allow_user_limited_channels: true } },
  });
  const old = await stage.connect({ address });
  const end = next(old.sdk, "disconnected");
  const grace = await stage.connect({ address, user: "grace" });
  await stage.connect({ address });
  assert.deepEqual(await end, { code: 3504, reason: "connection limit" });
  assert.equal(grace.sdk.state, "connected");
});
