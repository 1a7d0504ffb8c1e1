// The application decides: a real back end is asked over HTTP who may come in, listen, publish and call.

import assert from "node:assert/strict";
import { after, beforeEach } from "node:test";
import { Backend } from "../backend.mjs";
import { JSON_SOCKET, sockets } from "../client.mjs";
import { LOG, OPEN, suite } from "../stage.mjs";
import { inSeconds } from "../token.mjs";
import { next, pause, until } from "../wait.mjs";

const backend = await Backend.start();
after(() => backend.stop());
beforeEach(() => { backend.asked.length = 0; backend.answers = { events: { result: {} }, connect: ({ data }) => ({ result: { user: data?.user ?? "ada" } }) }; });

const proxy = (path, more = {}) => ({ endpoint: `${backend.url}/${path}`, timeout: "1s", breaker_failures: 1000, ...more });
const { test, matrix } = suite({
  client: {
    expired_close_delay: "1s",
    expired_sub_close_delay: "1s",
    proxy: {
      connect: { enabled: true, ...proxy("connect", { http_headers: ["X-Device"], emulated_headers: ["X-Page"] }) },
      refresh: { enabled: true, ...proxy("refresh") },
    },
  },
  rpc: { proxy: proxy("rpc"), without_namespace: { proxy_enabled: true } },
  events: { of: ["disconnect", "channel_state"], batch_delay: "20ms", proxy: { enabled: true, ...proxy("events") } },
  channel: {
    proxy: { subscribe: proxy("subscribe"), publish: proxy("publish"), sub_refresh: proxy("sub_refresh") },
    namespaces: [
      { name: "asked", ...OPEN, allow_subscribe_for_client: false, subscribe_proxy_enabled: true, sub_refresh_proxy_enabled: true },
      { name: "edited", ...LOG, publish_proxy_enabled: true },
      { name: "watched", ...OPEN, state_proxy_enabled: true, channel_state_events: ["occupied", "vacated"] },
    ],
  },
});

/** Who comes with data and no token. */
const guest = (stage, transport, data, more = {}) => stage.client({ transport, user: null, data, ...more });

matrix("the back end says who a client without a token is, and what it is told", async (stage, transport) => {
  backend.answers.connect = ({ data }) => ({
    result: { user: data.user, info: { name: "Ада" }, data: { motd: "добро пожаловать" }, channels: ["news"] },
  });
  const ada = await guest(stage, transport, { user: "ada" }, { name: "e2e", version: "1.2.3" }).connect();
  assert.deepEqual(ada.codec.decode(ada.diary.all("connected")[0].data), { motd: "добро пожаловать" });
  const [question] = backend.questions("connect");
  assert.equal(question.client, ada.id);
  assert.deepEqual([question.name, question.version, question.transport], ["e2e", "1.2.3", transport.kind]);
  assert.equal(question.protocol, transport.name.includes("Protobuf") ? "protobuf" : "json");
  assert.deepEqual(question.data, { user: "ada" });
  await stage.api.publish("news", "hot");
  assert.deepEqual(await ada.hears("news", 1), ["hot"]);
  assert.deepEqual((await stage.api.presence("news"))[ada.id], { user: "ada", client: ada.id, conn_info: { name: "Ада" } });
});

test("a client with a token does not ask the back end", async (stage) => {
  await stage.connect({ user: "grace" });
  assert.deepEqual(backend.questions("connect"), []);
});

matrix("the back end refuses a client, with its own code", async (stage, transport) => {
  backend.answers.connect = { disconnect: { code: 4501, reason: "banned" } };
  assert.deepEqual(await guest(stage, transport, {}).refused(), { code: 4501, reason: "banned" });
  backend.answers.connect = { error: { code: 1000, message: "not today" } };
  assert.deepEqual(await guest(stage, transport, {}).refused(), { code: 1000, reason: "not today" });
});

test("headers that were chosen reach the back end, others do not", async (stage) => {
  const raw = await stage.raw({ headers: { "X-Device": "phone", "X-Secret": "hidden" } });
  await raw.ask({ id: 1, connect: { headers: { "X-Page": "42", "X-Other": "no" } } });
  const { headers } = backend.asked.find((entry) => entry.path === "connect");
  assert.deepEqual([headers["x-device"], headers["x-page"], headers["x-secret"], headers["x-other"]], ["phone", "42", undefined, undefined]);
});

test("a back end that is down makes clients try again until it is back", async (stage) => {
  backend.answers.connect = { status: 500 };
  const ada = guest(stage, JSON_SOCKET, {});
  ada.sdk.connect();
  await until("three attempts", () => backend.questions("connect").length >= 3);
  assert.equal(ada.sdk.state, "connecting");
  backend.answers.connect = { result: { user: "ada" } };
  await ada.connected();
});

matrix("the back end decides about a subscription, and gives it data", async (stage, transport) => {
  backend.answers.subscribe = ({ channel, user }) => (user === "ada"
    ? { result: { data: { channel }, info: { role: "host" } } }
    : { error: { code: 403, message: "members only" } });
  const ada = await guest(stage, transport, { user: "ada" }).connect();
  const room = await ada.subscribe(stage.channel("asked"), { data: { ticket: 7 } });
  assert.deepEqual(ada.codec.decode(room.state.data), { channel: room.channel });
  const [question] = backend.questions("subscribe");
  assert.deepEqual([question.user, question.channel, question.client], ["ada", room.channel, ada.id]);
  assert.deepEqual(question.data, { ticket: 7 });
  assert.deepEqual((await stage.api.presence(room.channel))[ada.id].chan_info, { role: "host" });
  const eve = await guest(stage, transport, { user: "eve" }).connect();
  assert.deepEqual(await eve.subscription(room.channel).refused(), { code: 403, reason: "members only" });
});

matrix("the back end edits and refuses publications", async (stage, transport) => {
  backend.answers.publish = ({ data, user }) => (data.text.includes("spam")
    ? { error: { code: 409, message: "no spam" } }
    : { result: { data: { text: data.text.toUpperCase(), by: user }, tags: { checked: "yes" } } });
  const ada = await guest(stage, transport, { user: "ada" }).connect();
  const room = await ada.subscribe(stage.channel("edited"));
  await room.publish({ text: "привет" });
  await assert.rejects(room.publish({ text: "spam" }), { code: 409, message: "no spam" });
  assert.deepEqual(await room.hears(1), [{ text: "ПРИВЕТ", by: "ada" }]);
  assert.equal(room.received[0].tags.checked, "yes");
  // The application itself is not asked.
  await stage.api.publish(room.channel, { text: "spam" });
  await room.hears(2);
  assert.equal(backend.questions("publish").length, 2);
});

matrix("publications that the back end decides about keep the order in which they were sent", async (stage, transport) => {
  backend.answers.publish = async ({ data }) => { await pause(data.n % 3 ? 0 : 40 + Math.random() * 40); return { result: {} }; };
  const ada = await guest(stage, transport, { user: "ada" }).connect();
  const room = await ada.subscribe(stage.channel("edited"));
  await Promise.all(Array.from({ length: 40 }, (_, n) => room.publish({ n })));
  assert.deepEqual((await room.hears(40)).map(({ n }) => n), Array.from({ length: 40 }, (_, n) => n));
  // Requests of an emulated transport reach the server in any order.
}, { transports: sockets });

matrix("the back end is told when a channel gets its first subscriber, and when its last one has gone", async (stage, transport) => {
  const told = [];
  const channel = stage.channel("watched");
  backend.answers.events = ({ events }) => { told.push(...events.filter((event) => event.channel === channel)); return { result: {} }; };
  const types = () => told.map(({ type }) => type);
  const hears = (count) => until(() => `${count} events; told ${JSON.stringify(told)}`, () => told.length >= count);
  const ada = await stage.connect({ transport, user: "ada" });
  const grace = await stage.connect({ transport, user: "grace" });
  const room = await ada.subscribe(channel);
  await hears(1);
  const other = await grace.subscribe(channel);
  room.sdk.unsubscribe();
  await until("one of two", async () => Object.keys(await stage.api.presence(channel)).length === 1);
  await pause(100);
  assert.deepEqual(types(), ["occupied"]);
  grace.end();
  await hears(2);
  assert.deepEqual(types(), ["occupied", "vacated"]);
  assert.ok(told[0].time_ms <= told[1].time_ms);
  assert.equal(other.channel, channel);
  await room.subscribe();
  await hears(3);
  assert.deepEqual(types(), ["occupied", "vacated", "occupied"]);
});

matrix("the back end runs procedures", async (stage, transport) => {
  backend.answers.rpc = ({ method, data, user }) => (method === "add"
    ? { result: { data: { sum: data.a + data.b, user } } }
    : { error: { code: 404, message: "no such procedure" } });
  const ada = await guest(stage, transport, { user: "ada" }).connect();
  assert.deepEqual(await ada.rpc("add", { a: 1, b: 2 }), { sum: 3, user: "ada" });
  await assert.rejects(ada.rpc("subtract", {}), { code: 404, message: "no such procedure" });
});

test("a procedure of a namespace without a back end is not found", async (stage) => {
  const ada = await stage.connect();
  await assert.rejects(ada.rpc("nowhere:add", {}), { code: 104, message: "method not found" });
});

test("a hundred calls at once are each answered with their own answer", async (stage) => {
  backend.answers.rpc = async ({ data }) => { await pause(Math.random() * 50); return { result: { data } }; };
  const ada = await stage.connect();
  const results = await Promise.all(Array.from({ length: 100 }, (_, n) => ada.rpc("echo", { n })));
  assert.deepEqual(results.map(({ n }) => n), Array.from({ length: 100 }, (_, n) => n));
});

test("a slow back end holds up nobody but those who wait for it", async (stage) => {
  backend.answers.rpc = async () => { await pause(800); return { result: { data: "late" } }; };
  const ada = await stage.connect({ user: "ada" });
  const grace = await stage.connect({ user: "grace" });
  const room = await grace.subscribe(stage.channel());
  const calls = Array.from({ length: 50 }, () => ada.rpc("slow", {}));
  const begin = Date.now();
  for (let n = 1; n <= 20; n += 1) await room.publish(n);
  await room.hears(20);
  const took = Date.now() - begin;
  assert.ok(took < 500, `${took} ms`);
  assert.deepEqual(new Set(await Promise.all(calls)), new Set(["late"]));
});

test("a back end that takes too long is an internal error that may be tried again", async (stage) => {
  backend.answers.rpc = async () => { await pause(2_000); return { result: { data: "too late" } }; };
  const ada = await stage.connect();
  await assert.rejects(ada.rpc("slow", {}), { code: 100 });
  assert.equal(ada.sdk.state, "connected");
});

test("garbage from a back end is an internal error, and breaks no client", async (stage) => {
  const ada = await stage.connect();
  for (const garbage of ["", "nonsense", "{}", "[]", '{"result":7}', '{"result":{"data":{"a":}}}']) {
    backend.answers.rpc = () => (garbage === "" ? { status: 200, text: "" } : garbage);
    await assert.rejects(ada.rpc("any", {}), { code: 100 }, garbage);
  }
  backend.answers.rpc = () => '{"result":{\n"data":{\n"a": 1\r\n}}}';
  assert.deepEqual(await ada.rpc("any", {}), { a: 1 });
});

test("a back end that fails again and again is left alone for a while, and found when it is well", async (stage) => {
  const { address } = await stage.serve({
    rpc: { proxy: proxy("rpc", { breaker_failures: 3, breaker_pause: "500ms", breaker_open_timeout: "0s" }), without_namespace: { proxy_enabled: true } },
  });
  backend.answers.rpc = { status: 503 };
  const ada = await stage.connect({ address });
  for (let n = 0; n < 30; n += 1) await assert.rejects(ada.rpc("any", {}), { code: 100 });
  assert.ok(backend.questions("rpc").length <= 5, `${backend.questions("rpc").length} questions`);
  backend.answers.rpc = { result: { data: "well" } };
  await until("an answer", () => ada.rpc("any", {}).then((data) => data === "well", () => false));
});

matrix("connections that the back end let in live as long as it refreshes them", async (stage, transport) => {
  backend.answers.connect = () => ({ result: { user: "ada", expire_at: inSeconds(2) } });
  backend.answers.refresh = () => ({ result: { expire_at: inSeconds(60) } });
  const ada = await guest(stage, transport, {}).connect();
  await until("a refresh", () => backend.questions("refresh").length === 1);
  assert.deepEqual([backend.questions("refresh")[0].user, backend.questions("refresh")[0].client], ["ada", ada.id]);
  await pause(2_000);
  assert.equal(ada.diary.all("connecting").length, 1);
}, { transports: sockets });

test("a connection that the back end does not refresh ends with 3005", async (stage) => {
  backend.answers.connect = () => ({ result: { user: "ada", expire_at: inSeconds(2) } });
  backend.answers.refresh = () => ({ result: { expired: true } });
  const raw = await stage.raw();
  const { connect } = await raw.ask({ id: 1, connect: {} });
  assert.equal(connect.ttl, undefined);
  assert.equal((await raw.ended()).code, 3005);
});

test("subscriptions that the back end let in live as long as it refreshes them", async (stage) => {
  backend.answers.subscribe = () => ({ result: { expire_at: inSeconds(2) } });
  backend.answers.sub_refresh = () => ({ result: { expire_at: inSeconds(60) } });
  const ada = await stage.connect();
  const room = await ada.subscribe(stage.channel("asked"));
  await until("a refresh", () => backend.questions("sub_refresh").length === 1);
  assert.equal(backend.questions("sub_refresh")[0].channel, room.channel);
  backend.answers.subscribe = () => ({ result: { expire_at: inSeconds(2) } });
  backend.answers.sub_refresh = () => ({ result: { expired: true } });
  const other = ada.subscription(stage.channel("asked"));
  const end = next(other.sdk, "subscribing", { wanted: ({ code }) => code === 2501, ms: 10_000 });
  other.sdk.subscribe();
  await end;
  assert.equal(room.diary.all("subscribing").length, 1);
});

test("the back end is told who has left, and why", async (stage) => {
  const told = [];
  backend.answers.events = ({ events }) => { told.push(...events); return { result: {} }; };
  const user = `user-${stage.channel()}`;
  const raw = await stage.raw();
  const { client } = await raw.connect(user);
  await stage.api.call("disconnect", { user, disconnect: { code: 4500, reason: "go" } });
  await until(() => `the news; told ${JSON.stringify(told)}`, () => told.some((event) => event.client === client));
  const { type, code, reason, user: who } = told.find((event) => event.client === client);
  assert.deepEqual([type, code, reason, who], ["disconnect", 4500, "go", user]);
});
