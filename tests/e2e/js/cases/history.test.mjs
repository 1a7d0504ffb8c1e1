// Reading what a channel remembers.

import assert from "node:assert/strict";
import { LOG, OPEN, suite } from "../stage.mjs";
import { pause } from "../wait.mjs";

const { test, matrix } = suite({
  client: { history_max_publication_limit: 50 },
  channel: {
    namespaces: [
      { name: "log", ...LOG },
      { name: "short", ...LOG, history_size: 5 },
      { name: "brief", ...LOG, history_ttl: "1s" },
      { name: "members", ...LOG, allow_history_for_client: false, allow_history_for_subscriber: true },
    ],
  },
});

const numbers = (result) => result.publications.map(({ data }) => data.n);
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

matrix("history pages forward with since, and its pages fit together", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const channel = stage.channel("log");
  await stage.api.count(channel, 1, 25);
  const read = [];
  let since = null;
  for (let pages = 0; pages < 4; pages += 1) {
    const page = await ada.history(channel, { limit: 10, ...(since && { since }) });
    assert.equal(page.offset, 25);
    assert.match(page.epoch, /^[A-Za-z]{4,8}$/);
    read.push(...numbers(page));
    if (!page.publications.length) break;
    since = { offset: page.publications.at(-1).offset, epoch: page.epoch };
  }
  assert.deepEqual(read, range(1, 25));
});

matrix("history pages backward from the newest", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const channel = stage.channel("log");
  await stage.api.count(channel, 1, 25);
  const first = await ada.history(channel, { limit: 10, reverse: true });
  assert.deepEqual(numbers(first), range(16, 25).reverse());
  const since = { offset: first.publications.at(-1).offset, epoch: first.epoch };
  const second = await ada.history(channel, { limit: 10, reverse: true, since });
  assert.deepEqual(numbers(second), range(6, 15).reverse());
});

matrix("history without a limit tells the position alone", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const channel = stage.channel("log");
  await stage.api.count(channel, 1, 3);
  const { publications, offset, epoch } = await ada.history(channel, {});
  assert.deepEqual([publications.length, offset], [0, 3]);
  assert.match(epoch, /^[A-Za-z]{4,8}$/);
});

matrix("an empty channel has a position, too", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const { publications, offset, epoch } = await ada.history(stage.channel("log"), { limit: 10 });
  assert.deepEqual([publications.length, offset], [0, 0]);
  assert.notEqual(epoch, "");
});

test("a client gets no more than the limit of the operator in one page", async (stage) => {
  const ada = await stage.connect();
  const channel = stage.channel("log");
  await stage.api.count(channel, 1, 60);
  for (const limit of [-1, 51, 1000]) assert.deepEqual(numbers(await ada.history(channel, { limit })), range(1, 50));
  assert.equal((await stage.api.call("history", { channel, limit: -1 })).publications.length, 60);
});

matrix("a position of another life of the channel is refused with 112", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const channel = stage.channel("log");
  await stage.api.count(channel, 1, 3);
  await assert.rejects(ada.history(channel, { limit: 10, since: { offset: 1, epoch: "other" } }), { code: 112, message: "unrecoverable position" });
});

test("backward from offset 0 is refused with 107", async (stage) => {
  const ada = await stage.connect();
  const channel = stage.channel("log");
  await stage.api.count(channel, 1, 3);
  const { epoch } = await ada.history(channel, {});
  await assert.rejects(ada.history(channel, { limit: 10, reverse: true, since: { offset: 0, epoch } }), { code: 107 });
});

matrix("history holds who published, tags, and offsets without a gap", async (stage, transport) => {
  const ada = await stage.connect({ transport, user: "ada" });
  const room = await ada.subscribe(stage.channel("log"));
  await room.publish({ n: 1 });
  await stage.api.publish(room.channel, { n: 2 }, { tags: { kind: "note" } });
  const { publications } = await room.history({ limit: 10 });
  assert.deepEqual(publications.map(({ offset }) => offset), [1, 2]);
  assert.deepEqual([publications[0].info.user, publications[0].info.client], ["ada", ada.id]);
  assert.deepEqual({ ...publications[1].tags }, { kind: "note" });
  assert.deepEqual(room.received.map(({ offset }) => offset), [1, 2]);
});

test("a channel keeps no more than its size, and counts on", async (stage) => {
  const ada = await stage.connect();
  const channel = stage.channel("short");
  await stage.api.count(channel, 1, 12);
  const page = await ada.history(channel, { limit: 100 });
  assert.deepEqual(numbers(page), range(8, 12));
  assert.equal(page.offset, 12);
});

test("what is older than its time is gone, and the position stays", async (stage) => {
  const ada = await stage.connect();
  const channel = stage.channel("brief");
  await stage.api.count(channel, 1, 3);
  const { epoch } = await ada.history(channel, {});
  await pause(1_500);
  const page = await ada.history(channel, { limit: 10 });
  assert.deepEqual([numbers(page), page.offset, page.epoch], [[], 3, epoch]);
  await stage.api.count(channel, 4, 4);
  assert.deepEqual(numbers(await ada.history(channel, { limit: 10 })), [4]);
});

test("history is for subscribers where the namespace says so, and denied without a right", async (stage) => {
  const ada = await stage.connect();
  const channel = stage.channel("members");
  await assert.rejects(ada.sdk.history(channel, { limit: 1 }), { code: 103 });
  const room = await ada.subscribe(channel);
  await stage.api.count(channel, 1, 1);
  assert.deepEqual(numbers(await room.history({ limit: 1 })), [1]);
});

test("a publication that skips history is delivered and not kept", async (stage) => {
  const ada = await stage.connect();
  const room = await ada.subscribe(stage.channel("log"));
  await stage.api.publish(room.channel, { n: 1 });
  await stage.api.publish(room.channel, { n: 2 }, { skip_history: true });
  await stage.api.publish(room.channel, { n: 3 });
  assert.deepEqual((await room.hears(3)).map(({ n }) => n), [1, 2, 3]);
  assert.deepEqual(numbers(await room.history({ limit: 10 })), [1, 3]);
});
