// What may be published, by whom, and what of it arrives.

import assert from "node:assert/strict";
import { JSON_SOCKET, PROTOBUF_SOCKET, transports } from "../client.mjs";
import { OPEN, suite } from "../stage.mjs";
import { pause, until } from "../wait.mjs";

const { test, matrix } = suite({
  websocket: { message_size_limit: 65536 },
  channel: {
    namespaces: [
      { name: "members", allow_subscribe_for_client: true, allow_publish_for_subscriber: true },
      { name: "read", allow_subscribe_for_client: true },
      { name: "others", ...OPEN, publish_exclude_sender: true },
      { name: "object", ...OPEN, publication_data_format: "json_object" },
      { name: "json", ...OPEN, publication_data_format: "json" },
      { name: "binary", ...OPEN, publication_data_format: "binary" },
      { name: "slow", ...OPEN, publish_rate: 5 },
      { name: "filtered", ...OPEN, allow_tags_filter: true, history_size: 100, history_ttl: "60s", force_recovery: true },
    ],
  },
});

const BAD_REQUEST = { code: 107, message: "bad request" };

matrix("subscribers may publish where the namespace says so, others may not", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const channel = stage.channel("members");
  await assert.rejects(ada.publish(channel, 1), { code: 103 });
  const room = await ada.subscribe(channel);
  await room.publish({ n: 1 });
  assert.deepEqual(await room.hears(1), [{ n: 1 }]);
  await assert.rejects(ada.publish(stage.channel("read"), 1), { code: 103 });
});

matrix("clients of every transport and codec understand each other", async (stage, transport) => {
  const channel = stage.channel();
  const others = await Promise.all(transports.map((other) => stage.connect({ transport: other })));
  const rooms = await Promise.all(others.map((other) => other.subscribe(channel)));
  const ada = await stage.connect({ transport });
  const value = { text: "Привет, 世界 👋🏽", list: [1, 2.5, -3e9, null, true], nested: { "ключ": "\"quoted\"\n\\ \u0001" } };
  await ada.publish(channel, value);
  for (const room of rooms) assert.deepEqual(await room.hears(1), [value]);
});

for (const value of [0, "", false, [], {}, "plain", 12345678901234]) {
  matrix(`the value ${JSON.stringify(value)} arrives as it was sent`, async (stage, transport) => {
    const ada = await stage.connect({ transport });
    const room = await ada.subscribe(stage.channel());
    await stage.api.publish(room.channel, value);
    assert.deepEqual(await room.hears(1), [value]);
  }, { transports: [JSON_SOCKET, PROTOBUF_SOCKET] });
}

matrix("publishers do not hear themselves where the namespace says so", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const grace = await stage.connect();
  const hers = await ada.subscribe(stage.channel("others"));
  const his = await grace.subscribe(hers.channel);
  await hers.publish("from ada");
  await his.publish("from grace");
  await stage.api.publish(hers.channel, "from the application");
  assert.deepEqual(await hers.hears(2), ["from grace", "from the application"]);
  assert.deepEqual(await his.hears(2), ["from ada", "from the application"]);
});

test("a namespace of objects refuses everything else", async (stage) => {
  const ada = await stage.connect();
  const room = await ada.subscribe(stage.channel("object"));
  for (const value of [1, "text", [1], true]) await assert.rejects(room.publish(value), BAD_REQUEST);
  await room.publish({ fine: true });
  assert.deepEqual(await room.hears(1), [{ fine: true }]);
});

test("bytes that are not JSON are refused, before they could break a JSON client", async (stage) => {
  const listener = await stage.connect({ transport: JSON_SOCKET });
  const writer = await stage.connect({ transport: PROTOBUF_SOCKET });
  const room = await listener.subscribe(stage.channel("json"));
  for (const bytes of [Uint8Array.of(0xff, 0xfe, 0), new TextEncoder().encode("{\"open\":"), new TextEncoder().encode("1 2")]) {
    await assert.rejects(writer.sdk.publish(room.channel, bytes), BAD_REQUEST);
  }
  await writer.publish(room.channel, "after");
  assert.deepEqual(await room.hears(1), ["after"]);
});

test("bytes that are not JSON reach Protobuf clients and close JSON clients with 3506", async (stage) => {
  const channel = stage.channel("binary");
  const json = await stage.connect({ transport: JSON_SOCKET });
  const protobuf = await stage.connect({ transport: PROTOBUF_SOCKET });
  await json.subscribe(channel);
  const room = protobuf.subscription(channel);
  room.sdk.subscribe();
  await room.subscribed();
  const bytes = Uint8Array.of(0, 0xff, 0x80, 0x0a, 0x7b);
  await protobuf.sdk.publish(channel, bytes);
  const [publication] = await until("the bytes", () => { const all = room.diary.all("publication"); return all.length && all; });
  assert.deepEqual([...publication.data], [...bytes]);
  await until("the refusal", () => json.sdk.state === "disconnected");
  assert.deepEqual(json.diary.all("disconnected"), [{ code: 3506, reason: "inappropriate protocol" }]);
});

test("JSON with line breaks between its tokens reaches subscribers in one piece", async (stage) => {
  const ada = await stage.connect();
  const room = await ada.subscribe(stage.channel());
  const { status } = await stage.api.post("publish", `{\n"channel": "${room.channel}",\n"data": {\n  "a": 1,\r\n  "b": "c\\nd"\n}}`);
  assert.equal(status, 200);
  assert.deepEqual(await room.hears(1), [{ a: 1, b: "c\nd" }]);
});

matrix("tags reach subscribers", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const room = await ada.subscribe(stage.channel());
  await stage.api.publish(room.channel, 1, { tags: { city: "Москва", kind: "note" } });
  await room.hears(1);
  assert.deepEqual({ ...room.received[0].tags }, { city: "Москва", kind: "note" });
});

matrix("a tag filter lets through what matches, live and recovered", async (stage, transport) => {
  const proxy = await stage.proxy();
  const ada = await stage.connect({ transport, address: proxy.address });
  const room = await ada.subscribe(stage.channel("filtered"), {
    tagsFilter: { op: "and", nodes: [{ key: "ticker", cmp: "in", vals: ["BTC", "ETH"] }, { key: "price", cmp: "gte", val: "100.5" }] },
  });
  const feed = async (from) => {
    await stage.api.publish(room.channel, `${from} low`, { tags: { ticker: "BTC", price: "100.4" } });
    await stage.api.publish(room.channel, `${from} btc`, { tags: { ticker: "BTC", price: "100.5" } });
    await stage.api.publish(room.channel, `${from} other`, { tags: { ticker: "DOGE", price: "1000" } });
    await stage.api.publish(room.channel, `${from} untagged`);
    await stage.api.publish(room.channel, `${from} eth`, { tags: { ticker: "ETH", price: "3000" } });
    await stage.api.publish(room.channel, `${from} words`, { tags: { ticker: "ETH", price: "dear" } });
  };
  await feed("live");
  assert.deepEqual(await room.hears(2), ["live btc", "live eth"]);
  ada.sdk.disconnect();
  await feed("missed");
  await ada.connect();
  await room.subscribed(2);
  assert.equal(room.state.recovered, true);
  await feed("again");
  assert.deepEqual(await room.hears(6), ["live btc", "live eth", "missed btc", "missed eth", "again btc", "again eth"]);
});

const filters = {
  eq: [{ key: "a", cmp: "eq", val: "x" }, { a: "x" }, { a: "y" }],
  neq: [{ key: "a", cmp: "neq", val: "x" }, { a: "y" }, { a: "x" }],
  nin: [{ key: "a", cmp: "nin", vals: ["x"] }, { a: "y" }, { a: "x" }],
  ex: [{ key: "a", cmp: "ex" }, { a: "" }, { b: "x" }],
  nex: [{ key: "a", cmp: "nex" }, { b: "x" }, { a: "x" }],
  sw: [{ key: "a", cmp: "sw", val: "При" }, { a: "Привет" }, { a: "привет" }],
  ew: [{ key: "a", cmp: "ew", val: "лог" }, { a: "каталог" }, { a: "логи" }],
  ct: [{ key: "a", cmp: "ct", val: "世" }, { a: "你好世界" }, { a: "你好" }],
  lt: [{ key: "a", cmp: "lt", val: "10" }, { a: "9.99" }, { a: "10" }],
  lte: [{ key: "a", cmp: "lte", val: "10" }, { a: "10" }, { a: "10.01" }],
  gt: [{ key: "a", cmp: "gt", val: "-1" }, { a: "0" }, { a: "-1" }],
  not: [{ op: "not", nodes: [{ key: "a", cmp: "eq", val: "x" }] }, { a: "y" }, { a: "x" }],
  or: [{ op: "or", nodes: [{ key: "a", cmp: "eq", val: "x" }, { key: "b", cmp: "eq", val: "x" }] }, { b: "x" }, { a: "y", b: "y" }],
};
test("every comparison of a tag filter does what it says", async (stage) => {
  for (const [name, [tagsFilter, yes, no]] of Object.entries(filters)) {
    for (const transport of [JSON_SOCKET, PROTOBUF_SOCKET]) {
      const ada = await stage.connect({ transport });
      const room = await ada.subscribe(stage.channel("filtered"), { tagsFilter });
      await stage.api.publish(room.channel, "no", { tags: no });
      await stage.api.publish(room.channel, "yes", { tags: yes });
      assert.deepEqual(await room.hears(1), ["yes"], name);
    }
  }
});

const senseless = {
  "an unknown comparison": { key: "a", cmp: "like", val: "x" },
  "an unknown operator": { op: "xor", nodes: [{ key: "a", cmp: "ex" }] },
  "not over two": { op: "not", nodes: [{ key: "a", cmp: "ex" }, { key: "b", cmp: "ex" }] },
  "and over nothing": { op: "and", nodes: [] },
};
for (const [what, tagsFilter] of Object.entries(senseless)) {
  test(`a tag filter with ${what} is refused with 107`, async (stage) => {
    const ada = await stage.connect();
    assert.equal((await ada.subscription(stage.channel("filtered"), { tagsFilter }).refused()).code, 107);
  });
}

test("a tag filter where none is allowed is refused with 107", async (stage) => {
  const ada = await stage.connect();
  assert.equal((await ada.subscription(stage.channel(), { tagsFilter: { key: "a", cmp: "ex" } }).refused()).code, 107);
});

test("a channel that is published into too fast answers 111, and the SDK may try again", async (stage) => {
  const ada = await stage.connect();
  const channel = stage.channel("slow");
  const results = await Promise.allSettled(Array.from({ length: 40 }, (_, n) => ada.publish(channel, n)));
  const refused = results.filter((result) => result.status === "rejected");
  assert.ok(refused.length >= 25 && refused.length <= 35, `${refused.length} of 40 refused`);
  for (const { reason } of refused) assert.equal(reason.code, 111);
  await pause(1_100);
  await ada.publish(channel, "later");
});

matrix("a message beyond the limit ends a WebSocket for good, with the limit's reason", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  ada.publish(stage.channel(), "x".repeat(70_000)).catch(() => {});
  await until("the end", () => ada.sdk.state === "disconnected");
  assert.equal(ada.diary.all("disconnected")[0].code, 3);
}, { transports: [JSON_SOCKET, PROTOBUF_SOCKET] });

matrix("a message just below the limit goes through", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const room = await ada.subscribe(stage.channel());
  const text = "ю".repeat(30_000);
  await room.publish(text);
  assert.deepEqual(await room.hears(1), [text]);
});
