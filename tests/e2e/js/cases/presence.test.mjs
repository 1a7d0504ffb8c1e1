// Who is there, exactly.

import assert from "node:assert/strict";
import { transports } from "../client.mjs";
import { OPEN, suite } from "../stage.mjs";
import { connectionToken } from "../token.mjs";
import { pause, until } from "../wait.mjs";

const { test, matrix } = suite({
  channel: {
    namespaces: [
      { name: "lobby", ...OPEN, join_leave: true },
      { name: "loud", ...OPEN, join_leave: true, force_push_join_leave: true },
      { name: "hidden", allow_subscribe_for_client: true, presence: true },
      { name: "members", allow_subscribe_for_client: true, allow_presence_for_subscriber: true, presence: true },
    ],
  },
});

matrix("presence names every connection with its user, and stats count both", async (stage, transport) => {
  const channel = stage.channel();
  const people = await Promise.all(["ada", "ada", "grace"].map((user) => stage.connect({ transport, user })));
  for (const person of people) await person.subscribe(channel);
  const clients = await people[0].presence(channel);
  const seen = Object.entries(clients).map(([id, info]) => `${id} ${info.user}`).sort();
  assert.deepEqual(seen, [`${people[0].id} ada`, `${people[1].id} ada`, `${people[2].id} grace`].sort());
  assert.deepEqual(await people[2].sdk.presenceStats(channel), { numClients: 3, numUsers: 2 });
  people[1].sdk.disconnect();
  await until("two", async () => (await people[2].sdk.presenceStats(channel)).numClients === 2);
});

matrix("a channel without anybody has an empty presence", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  assert.deepEqual({ ...await ada.presence(stage.channel()) }, {});
  assert.deepEqual(await ada.sdk.presenceStats(stage.channel()), { numClients: 0, numUsers: 0 });
});

matrix("who asks for it is told who comes and goes, oneself included", async (stage, transport) => {
  const ada = await stage.connect({ transport, user: "ada" });
  const room = await ada.subscribe(stage.channel("lobby"), { joinLeave: true });
  const grace = await stage.connect({ user: "grace", claims: { info: { name: "Grace" } } });
  const his = await grace.subscribe(room.channel);
  await until("her join", () => room.diary.all("join").some(({ info }) => info.client === grace.id));
  his.sdk.unsubscribe();
  await until("her leave", () => room.diary.all("leave").some(({ info }) => info.client === grace.id));
  assert.deepEqual(room.diary.all("join").map(({ info }) => info.user), ["ada", "grace"]);
  assert.deepEqual(ada.codec.decode(room.diary.all("leave")[0].info.connInfo), { name: "Grace" });
  assert.equal(his.diary.all("join").length, 0);
});

test("a namespace may tell everybody who comes and goes", async (stage) => {
  const ada = await stage.connect();
  const room = await ada.subscribe(stage.channel("loud"));
  const grace = await stage.connect({ user: "grace" });
  await grace.subscribe(room.channel);
  await until("both joins", () => room.diary.all("join").length === 2);
  grace.sdk.disconnect();
  await until("the leave", () => room.diary.all("leave").some(({ info }) => info.user === "grace"));
});

test("a connection that is lost without a word leaves, too", async (stage) => {
  const ada = await stage.connect();
  const room = await ada.subscribe(stage.channel("lobby"), { joinLeave: true });
  const raw = await stage.raw();
  const { client } = await raw.connect("grace");
  await raw.ask({ id: 2, subscribe: { channel: room.channel } });
  await until("the join", () => room.diary.all("join").some(({ info }) => info.client === client));
  raw.socket._socket.resetAndDestroy();
  await until("the leave", () => room.diary.all("leave").some(({ info }) => info.client === client));
  assert.deepEqual(Object.keys(await ada.presence(room.channel)), [ada.id]);
});

test("presence is denied where the namespace does not give it, and to those who are not there", async (stage) => {
  const ada = await stage.connect();
  const hidden = await ada.subscribe(stage.channel("hidden"));
  await assert.rejects(hidden.sdk.presence(), { code: 103 });
  await assert.rejects(hidden.sdk.presenceStats(), { code: 103 });
  const channel = stage.channel("members");
  await assert.rejects(ada.sdk.presence(channel), { code: 103 });
  const members = await ada.subscribe(channel);
  assert.deepEqual(Object.keys(await ada.presence(channel)), [ada.id]);
  assert.deepEqual(await members.sdk.presenceStats(), { numClients: 1, numUsers: 1 });
});

// Every client comes and goes at random. When the dust settles, the server and the diary of one who watched agree
// with the truth.
test("a storm of joins and leaves of 60 clients over every transport ends with exactly who is there", async (stage) => {
  const CLIENTS = 60;
  const ROUNDS = 12;
  const channel = stage.channel("lobby");
  const watcher = await stage.connect({ user: "watcher" });
  const watch = await watcher.subscribe(channel, { joinLeave: true });
  let seed = 20261121;
  const random = () => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed / 2147483648; };
  const storm = async (index) => {
    const client = stage.client({ user: `user-${index % 20}`, transport: transports[index % transports.length] });
    const room = client.subscription(channel);
    room.sdk.subscribe();
    client.sdk.connect();
    for (let round = 0; round < ROUNDS; round += 1) {
      await pause(random() * 30);
      const choice = random();
      if (choice < 0.35) room.sdk.unsubscribe();
      else if (choice < 0.7) room.sdk.subscribe();
      else if (choice < 0.85) client.sdk.disconnect();
      else client.sdk.connect();
    }
    const stays = index % 2 === 0;
    if (stays) { client.sdk.connect(); room.sdk.subscribe(); } else if (index % 4 === 1) room.sdk.unsubscribe(); else client.sdk.disconnect();
    if (stays) await until(() => `${index} subscribed; ${room.diary.show()}`, () => room.sdk.state === "subscribed", 20_000);
    return stays && client.id;
  };
  const there = (await Promise.all(Array.from({ length: CLIENTS }, (_, index) => storm(index)))).filter(Boolean);
  const truth = [watcher.id, ...there].sort();
  const seen = async () => Object.keys(await stage.api.presence(channel)).sort();
  let last;
  await until(() => `presence: ${last?.length} of ${truth.length}`, async () => { last = await seen(); return last.join() === truth.join(); }, 15_000);
  const stats = await stage.api.call("presence_stats", { channel });
  assert.deepEqual(stats, { num_clients: truth.length, num_users: new Set(there.map((_, index) => (index * 2) % 20)).size + 1 });
  // The news tell the same story: each client's joins and leaves alternate, and who joined last is there.
  const told = () => {
    const here = new Set();
    for (const { name, context } of watch.diary.entries) {
      if (name === "join") { assert.ok(!here.has(context.info.client), "joined twice"); here.add(context.info.client); }
      if (name === "leave") { assert.ok(here.has(context.info.client), "left without a join"); here.delete(context.info.client); }
    }
    return [...here].sort();
  };
  await until(() => `news: ${told().length} of ${truth.length}`, () => told().join() === truth.join());
});

test("connections that are cut off in the middle of subscribing leave nothing behind", async (stage) => {
  const channel = stage.channel("lobby");
  for (let count = 0; count < 50; count += 1) {
    const raw = await stage.raw();
    raw.send({ id: 1, connect: { token: connectionToken("ada") } }, { id: 2, subscribe: { channel } });
    if (count % 2) await pause(1);
    raw.socket._socket.resetAndDestroy();
  }
  await until("an empty channel", async () => Object.keys(await stage.api.presence(channel)).length === 0);
});
