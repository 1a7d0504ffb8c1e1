// Who may listen to what, and what a refusal says.

import assert from "node:assert/strict";
import { LOG, OPEN, suite } from "../stage.mjs";
import { inSeconds, subscriptionToken, token } from "../token.mjs";
import { next, pause, until } from "../wait.mjs";

const { test, matrix } = suite({
  client: { channel_limit: 16, expired_sub_close_delay: "1s", allow_anonymous_connect_without_token: true },
  channel: {
    max_length: 100,
    namespaces: [
      { name: "closed" },
      { name: "log", ...LOG },
      { name: "limited", allow_user_limited_channels: true },
      { name: "pattern", ...OPEN, channel_regex: "^[0-9]+$" },
      { name: "speechless", allow_subscribe_for_client: true },
      { name: "anonymous", allow_subscribe_for_client: true, allow_subscribe_for_anonymous: true },
      { name: "quiet", ...OPEN, presence: false },
    ],
  },
});

const DENIED = { code: 103, reason: "permission denied" };

matrix("a subscriber gets what others publish, in order, and its own", async (stage, transport) => {
  const ada = await stage.connect({ transport, user: "ada" });
  const grace = await stage.connect({ user: "grace" });
  const hers = await ada.subscribe(stage.channel());
  const his = await grace.subscribe(hers.channel);
  for (let n = 1; n <= 20; n += 1) await his.publish({ n, text: "добрый день 你好 🦀" });
  await hers.publish({ n: 21, text: "thanks" });
  const expected = Array.from({ length: 21 }, (_, index) => index + 1);
  assert.deepEqual((await hers.hears(21)).map(({ n }) => n), expected);
  assert.deepEqual((await his.hears(21)).map(({ n }) => n), expected);
  assert.equal(hers.received[0].data.text, "добрый день 你好 🦀");
  assert.deepEqual([hers.received[0].info.user, hers.received[0].info.client], ["grace", grace.id]);
});

matrix("after unsubscribe nothing comes, and subscribing again works", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const room = await ada.subscribe(stage.channel());
  await stage.api.publish(room.channel, 1);
  await room.hears(1);
  room.sdk.unsubscribe();
  await until("nobody there", async () => (await stage.api.call("presence_stats", { channel: room.channel })).num_clients === 0);
  await stage.api.publish(room.channel, 2);
  await room.subscribe();
  await stage.api.publish(room.channel, 3);
  assert.deepEqual(await room.hears(2), [1, 3]);
});

matrix("a private channel opens for its token alone", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const channel = `$${stage.channel()}`;
  assert.deepEqual(await ada.subscription(channel).refused(), DENIED);
  const private_ = await stage.connect({ transport });
  const room = await private_.subscribe(channel, { token: subscriptionToken("ada", channel, { info: { role: "guest" } }) });
  await stage.api.publish(channel, { secret: true });
  assert.deepEqual(await room.hears(1), [{ secret: true }]);
  const info = (await private_.presence(channel))[private_.id];
  assert.deepEqual(private_.codec.decode(info.chanInfo), { role: "guest" });
});

matrix("the SDK fetches a token for a private channel and gets the data that it carries", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const channel = `$${stage.channel()}`;
  let asked = [];
  const room = await ada.subscribe(channel, {
    getToken: async (context) => { asked.push(context.channel); return subscriptionToken("ada", channel, { data: { title: "Общий чат" } }); },
  });
  assert.deepEqual(asked, [channel]);
  assert.deepEqual(ada.codec.decode(room.state.data), { title: "Общий чат" });
});

matrix("an expired subscription token makes the SDK fetch another", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const channel = `$${stage.channel()}`;
  let asked = 0;
  await ada.subscribe(channel, {
    token: subscriptionToken("ada", channel, { exp: inSeconds(-5) }),
    getToken: async () => { asked += 1; return subscriptionToken("ada", channel); },
  });
  assert.equal(asked, 1);
});

matrix("the SDK refreshes a subscription before its token ends, without a gap", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const channel = `$${stage.channel()}`;
  let asked = 0;
  const room = await ada.subscribe(channel, {
    token: subscriptionToken("ada", channel, { exp: inSeconds(2) }),
    getToken: async () => { asked += 1; return subscriptionToken("ada", channel); },
  });
  await until("a refresh", () => asked === 1);
  await pause(3_500);
  await stage.api.publish(channel, "still here");
  assert.deepEqual(await room.hears(1), ["still here"]);
  assert.equal(room.diary.all("subscribing").length, 1);
});

test("a subscription whose token is not refreshed ends with 2501", async (stage) => {
  const raw = await stage.raw();
  await raw.connect();
  const channel = `$${stage.channel()}`;
  const { subscribe } = await raw.ask({ id: 2, subscribe: { channel, token: subscriptionToken("ada", channel, { exp: inSeconds(2) }) } });
  assert.equal(subscribe.expires, true);
  const push = await raw.push((push) => push.unsubscribe);
  assert.deepEqual(push, { channel, unsubscribe: { code: 2501, reason: "subscription expired" } });
  assert.equal(raw.closed, undefined);
});

const refreshes = {
  "an expired token closes the connection with 3006": [(channel) => subscriptionToken("ada", channel, { exp: inSeconds(-5) }), { code: 3006, reason: "subscription expired" }],
  "another user's token closes it for good": [(channel) => subscriptionToken("grace", channel), { code: 3500, reason: "invalid token" }],
  "another channel's token closes it for good": [() => subscriptionToken("ada", "$elsewhere"), { code: 3500, reason: "invalid token" }],
};
for (const [what, [fresh, end]] of Object.entries(refreshes)) {
  test(`refreshing a subscription with ${what}`, async (stage) => {
    const raw = await stage.raw();
    await raw.connect();
    const channel = `$${stage.channel()}`;
    await raw.ask({ id: 2, subscribe: { channel, token: subscriptionToken("ada", channel) } });
    raw.send({ id: 3, sub_refresh: { channel, token: fresh(channel) } });
    assert.deepEqual(await raw.ended(), end);
  });
}

test("refreshing a subscription that is not there is denied", async (stage) => {
  const raw = await stage.raw();
  await raw.connect();
  const { error } = await raw.ask({ id: 2, sub_refresh: { channel: "$nowhere", token: subscriptionToken("ada", "$nowhere") } });
  assert.equal(error.code, 103);
});

const mismatched = {
  "of another channel": () => subscriptionToken("ada", "$another"),
  "of another user": (channel) => subscriptionToken("grace", channel),
  "of another client": (channel) => subscriptionToken("ada", channel, { client: "7c5e6c6a-0000-4000-8000-000000000000" }),
};
for (const [what, wrong] of Object.entries(mismatched)) {
  test(`a subscription token ${what} closes the connection for good`, async (stage) => {
    const ada = await stage.connect();
    const channel = `$${stage.channel()}`;
    const end = next(ada.sdk, "disconnected");
    ada.subscription(channel, { token: wrong(channel) }).sdk.subscribe();
    assert.deepEqual(await end, { code: 3500, reason: "invalid token" });
  });
}

matrix("a forged subscription token is denied", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const channel = `$${stage.channel()}`;
  const forged = token({ sub: "ada", channel, exp: inSeconds(60) }, { key: "another secret that nobody was told of" });
  assert.deepEqual(await ada.subscription(channel, { token: forged }).refused(), DENIED);
});

const refusals = {
  "of a namespace that does not exist": ["nowhere:room", { code: 102, reason: "unknown channel" }],
  "that the namespace keeps closed": ["closed:room", DENIED],
  "with a name that is too long": ["x".repeat(101), { code: 107, reason: "bad request" }],
  "with a name that is not ASCII": ["комната", { code: 107, reason: "bad request" }],
  "that does not match the pattern of its namespace": ["pattern:abc", { code: 107, reason: "bad request" }],
};
for (const [what, [channel, refusal]] of Object.entries(refusals)) {
  matrix(`a channel ${what} is refused with ${refusal.code}`, async (stage, transport) => {
    const ada = await stage.connect({ transport });
    assert.deepEqual(await ada.subscription(channel).refused(), refusal);
    // Only the subscription is refused: the client stays.
    await ada.subscribe(stage.channel());
    assert.equal(ada.diary.all("connecting").length, 1);
  });
}

test("a channel that matches the pattern of its namespace is open", async (stage) => {
  await (await stage.connect()).subscribe("pattern:42");
});

matrix("one channel more than the limit is refused with 106", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  for (let count = 0; count < 16; count += 1) await ada.subscribe(stage.channel());
  assert.deepEqual(await ada.subscription(stage.channel()).refused(), { code: 106, reason: "limit exceeded" });
});

test("subscribing twice is refused with 105, also while the first is under way", async (stage) => {
  const raw = await stage.raw();
  await raw.connect();
  const channel = stage.channel("log");
  raw.send({ id: 2, subscribe: { channel } }, { id: 3, subscribe: { channel } });
  assert.ok((await raw.reply(2)).subscribe);
  assert.equal((await raw.reply(3)).error.code, 105);
  assert.equal((await raw.ask({ id: 4, subscribe: { channel } })).error.message, "already subscribed");
});

test("unsubscribing never fails, and a subscribe behind it works", async (stage) => {
  const raw = await stage.raw();
  await raw.connect();
  const channel = stage.channel();
  raw.send(
    { id: 2, unsubscribe: { channel } },
    { id: 3, subscribe: { channel } },
    { id: 4, unsubscribe: { channel } },
    { id: 5, subscribe: { channel } },
  );
  for (const id of [2, 4]) assert.deepEqual((await raw.reply(id)).unsubscribe, {});
  for (const id of [3, 5]) assert.ok((await raw.reply(id)).subscribe);
  assert.equal((await stage.api.call("presence_stats", { channel })).num_clients, 1);
});

matrix("a user-limited channel is open to the users in its name and to nobody else", async (stage, transport) => {
  const channel = stage.channel("limited", "#ada,grace");
  for (const user of ["ada", "grace"]) await (await stage.connect({ transport, user })).subscribe(channel);
  const eve = await stage.connect({ transport, user: "eve" });
  assert.deepEqual(await eve.subscription(channel).refused(), DENIED);
  const nobody = await stage.connect({ transport, user: null });
  assert.deepEqual(await nobody.subscription(`${channel},`).refused(), DENIED);
});

test("user-limited channels are closed where the namespace does not allow them", async (stage) => {
  const ada = await stage.connect();
  assert.deepEqual(await ada.subscription(stage.channel("", "#ada")).refused(), DENIED);
});

test("anonymous clients may listen only where the namespace says so", async (stage) => {
  const nobody = await stage.connect({ user: null });
  await nobody.subscribe(stage.channel("anonymous"));
  assert.deepEqual(await nobody.subscription(stage.channel()).refused(), DENIED);
});

matrix("what a namespace does not have is not available (108), what it does not allow is denied (103)", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const { channel } = await ada.subscribe(stage.channel("speechless"));
  const quiet = await ada.subscribe(stage.channel("quiet"));
  await assert.rejects(ada.publish(channel, 1), { code: 103, message: "permission denied" });
  await assert.rejects(ada.sdk.presence(channel), { code: 108, message: "not available" });
  await assert.rejects(quiet.sdk.presence(), { code: 108 });
  await assert.rejects(quiet.sdk.presenceStats(), { code: 108 });
  await assert.rejects(quiet.sdk.history({ limit: 1 }), { code: 108 });
  await assert.rejects(ada.publish("nowhere:room", 1), { code: 102, message: "unknown channel" });
  await assert.rejects(ada.sdk.rpc("anything", ada.codec.encode({})), { code: 108, message: "not available" });
});

test("a ping command is not available", async (stage) => {
  const raw = await stage.raw();
  await raw.connect();
  assert.equal((await raw.ask({ id: 2, ping: {} })).error.code, 108);
});

test("subscriptions that understand it get a number for their channel, and pushes carry that alone", async (stage) => {
  const raw = await stage.raw();
  await raw.connect();
  const [channel, other] = [stage.channel(), stage.channel()];
  const { subscribe } = await raw.ask({ id: 2, subscribe: { channel, flag: 1 } });
  const plain = await raw.ask({ id: 3, subscribe: { channel: other } });
  assert.ok(Number.isInteger(subscribe.id) && subscribe.id > 0, JSON.stringify(subscribe));
  assert.equal(plain.subscribe.id, undefined);
  await stage.api.publish(channel, "short");
  await stage.api.publish(other, "long");
  assert.deepEqual(await raw.push((push) => push.pub?.data === "short"), { id: subscribe.id, pub: { data: "short" } });
  assert.deepEqual(await raw.push((push) => push.pub?.data === "long"), { channel: other, pub: { data: "long" } });
});

matrix("a storm of subscribes and unsubscribes leaves exactly what was asked last", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const rooms = Array.from({ length: 8 }, () => ada.subscription(stage.channel()));
  for (let round = 0; round < 10; round += 1) {
    for (const room of rooms) { room.sdk.subscribe(); if ((round + rooms.indexOf(room)) % 3) room.sdk.unsubscribe(); }
    await pause(5);
  }
  for (const [index, room] of rooms.entries()) if (index % 2) room.sdk.subscribe(); else room.sdk.unsubscribe();
  for (const [index, room] of rooms.entries()) {
    await until(() => `room ${index}: ${room.sdk.state}`, async () => (await stage.api.call("presence_stats", { channel: room.channel })).num_clients === index % 2);
    if (index % 2) await until("subscribed", () => room.sdk.state === "subscribed");
  }
  assert.equal(ada.diary.all("connecting").length, 1);
});
