// Differences instead of whole publications, in the scripts of the world.

import assert from "node:assert/strict";
import { JSON_SOCKET, PROTOBUF_SOCKET } from "../client.mjs";
import { LOG, OPEN, suite } from "../stage.mjs";
import { pause } from "../wait.mjs";

const DELTA = { allowed_delta_types: ["fossil"] };
const { test, matrix } = suite({
  channel: {
    namespaces: [
      { name: "delta", ...LOG, ...DELTA, delta_publish: true },
      { name: "stateless", ...OPEN, ...DELTA, delta_publish: true },
      { name: "asked", ...LOG, ...DELTA },
      { name: "plain", ...LOG },
      { name: "cache", ...LOG, ...DELTA, delta_publish: true, history_size: 1, force_recovery_mode: "cache" },
    ],
  },
});

const russian = "Съешь же ещё этих мягких французских булок, да выпей чаю. Широкая электрификация южных губерний даст мощный толчок подъёму сельского хозяйства.";
const chinese = "天地玄黃,宇宙洪荒。日月盈昃,辰宿列張。寒來暑往,秋收冬藏。閏餘成歲,律呂調陽。雲騰致雨,露結爲霜。金生麗水,玉出崑岡。";
const emoji = "🦀🚀👩🏽‍💻🇪🇺🏳️‍🌈🧑‍🚀✨🦄🍏🍎🍐🍊🍋🍌🍉🍇🍓🫐🍈🍒🍑🥭🍍🥥🥝🍅🍆🥑🥦🥬🥒🌶️🫑🌽🥕🫒🧄🧅🥔🍠";

/** Versions of one document, each a small change of the one before: cut, insert, replace, move, in the middle of words. */
function versions(text, count) {
  let seed = 7;
  const random = (bound) => { seed = (seed * 1103515245 + 12345) % 2147483648; return Math.floor((seed / 2147483648) * bound); };
  // Documents are changed by characters, as people do; neighbours in a block share most of their bytes.
  let characters = [...text.repeat(3)];
  const documents = [];
  for (let version = 1; version <= count; version += 1) {
    const place = random(characters.length - 8);
    switch (version % 5) {
      case 0: characters.splice(place, 3); break;
      case 1: characters.splice(place, 0, ..."вставка"); break;
      case 2: characters[place] = String.fromCodePoint(characters[place].codePointAt(0) + 1); break;
      case 3: characters.push(...characters.splice(place, 8)); break;
      case 4: characters.splice(place, 1, "文", "🦀"); break;
    }
    documents.push({ version, text: characters.join("") });
  }
  return documents;
}

const texts = { Russian: russian, Chinese: chinese, emoji, mixed: russian + chinese + emoji };
for (const [script, text] of Object.entries(texts)) {
  matrix(`a document in ${script} that changes little by little arrives whole and is sent in differences`, async (stage, transport) => {
    const ada = await stage.connect({ transport });
    const room = await ada.subscribe(stage.channel("delta"), { delta: "fossil" });
    const documents = versions(text, 40);
    for (const document of documents) await stage.api.publish(room.channel, document);
    assert.deepEqual(await room.hears(40), documents);
    const stats = room.sdk.deltaStats();
    // The first is whole; most of the others must not be.
    assert.ok(stats.numDeltaPayloads >= 30, JSON.stringify(stats));
    assert.ok(stats.compressionRatio > 0.5, JSON.stringify(stats));
    assert.equal(ada.diary.all("connecting").length, 1);
  });
}

matrix("live publications after a recovery are differences again", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const room = await ada.subscribe(stage.channel("delta"), { delta: "fossil" });
  const documents = versions(russian + emoji, 30);
  for (const document of documents.slice(0, 10)) await stage.api.publish(room.channel, document);
  await room.hears(10);
  ada.sdk.disconnect();
  for (const document of documents.slice(10, 20)) await stage.api.publish(room.channel, document);
  await ada.connect();
  await room.subscribed(2);
  for (const document of documents.slice(20)) await stage.api.publish(room.channel, document);
  assert.deepEqual(await room.hears(30), documents);
  assert.ok(room.sdk.deltaStats().numDeltaPayloads >= 17, JSON.stringify(room.sdk.deltaStats()));
});

matrix("after a recovery of nothing the next publication arrives whole", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const room = await ada.subscribe(stage.channel("delta"), { delta: "fossil" });
  const documents = versions(chinese, 6);
  for (const document of documents.slice(0, 3)) await stage.api.publish(room.channel, document);
  await room.hears(3);
  ada.sdk.disconnect();
  await ada.connect();
  await room.subscribed(2);
  assert.equal(room.state.recovered, true);
  for (const document of documents.slice(3)) await stage.api.publish(room.channel, document);
  assert.deepEqual(await room.hears(6), documents);
});

matrix("channels without a history send differences, too", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const room = await ada.subscribe(stage.channel("stateless"), { delta: "fossil" });
  const documents = versions(russian, 10);
  for (const document of documents) await stage.api.publish(room.channel, document);
  assert.deepEqual(await room.hears(10), documents);
});

matrix("the publisher chooses differences where the namespace does not", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const room = await ada.subscribe(stage.channel("asked"), { delta: "fossil" });
  const documents = versions(russian, 12);
  for (const document of documents.slice(0, 4)) await stage.api.publish(room.channel, document);
  assert.deepEqual(await room.hears(4), documents.slice(0, 4));
  assert.equal(room.sdk.deltaStats().numDeltaPayloads, 0);
  for (const document of documents.slice(4)) await stage.api.publish(room.channel, document, { delta: true });
  assert.deepEqual(await room.hears(12), documents);
  assert.ok(room.sdk.deltaStats().numDeltaPayloads >= 6, JSON.stringify(room.sdk.deltaStats()));
});

test("subscribers with and without differences, over both codecs, see the same", async (stage) => {
  const channel = stage.channel("delta");
  const rooms = [];
  for (const transport of [JSON_SOCKET, PROTOBUF_SOCKET]) {
    for (const delta of ["fossil", undefined]) {
      rooms.push(await (await stage.connect({ transport })).subscribe(channel, { delta }));
    }
  }
  const late = await stage.connect();
  const documents = versions(russian + chinese + emoji, 20);
  for (const [index, document] of documents.entries()) {
    // A newcomer begins behind the position that it is told.
    if (index === 10) rooms.push(await late.subscribe(channel, { delta: "fossil" }));
    await stage.api.publish(channel, document);
  }
  for (const room of rooms.slice(0, 4)) assert.deepEqual(await room.hears(20), documents);
  const begin = rooms[4].state.streamPosition.offset;
  assert.ok(begin <= 10);
  assert.deepEqual(await rooms[4].hears(20 - begin), documents.slice(begin));
});

matrix("documents that have nothing in common arrive whole", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const room = await ada.subscribe(stage.channel("delta"), { delta: "fossil" });
  const documents = [{ a: 1 }, "слово", 42, [], "天".repeat(500), "🦀", { b: [1, 2, 3] }, "天".repeat(500) + "x"];
  for (const document of documents) await stage.api.publish(room.channel, document);
  assert.deepEqual(await room.hears(documents.length), documents);
});

test("a namespace without differences sends everything whole", async (stage) => {
  const ada = await stage.connect();
  const room = await ada.subscribe(stage.channel("plain"), { delta: "fossil" });
  const documents = versions(russian, 5);
  for (const document of documents) await stage.api.publish(room.channel, document);
  assert.deepEqual(await room.hears(5), documents);
});

test("an unknown kind of difference ends the connection for good", async (stage) => {
  const raw = await stage.raw();
  await raw.connect();
  raw.send({ id: 2, subscribe: { channel: stage.channel("delta"), delta: "xdelta" } });
  assert.deepEqual(await raw.ended(), { code: 3501, reason: "bad request" });
});

matrix("a cache channel recovers its value and goes on in differences", async (stage, transport) => {
  const ada = await stage.connect({ transport });
  const room = await ada.subscribe(stage.channel("cache"), { delta: "fossil" });
  const documents = versions(russian, 9);
  for (const document of documents.slice(0, 3)) await stage.api.publish(room.channel, document);
  await room.hears(3);
  ada.sdk.disconnect();
  for (const document of documents.slice(3, 6)) await stage.api.publish(room.channel, document);
  await ada.connect();
  await room.subscribed(2);
  for (const document of documents.slice(6)) await stage.api.publish(room.channel, document);
  assert.deepEqual(await room.hears(7), [...documents.slice(0, 3), documents[5], ...documents.slice(6)]);
});

matrix("clients may publish differences' sources, also while others come and go", async (stage, transport) => {
  const writer = await stage.connect({ transport });
  const hers = await writer.subscribe(stage.channel("delta"), { delta: "fossil" });
  const guest = await stage.connect();
  const his = guest.subscription(hers.channel, { delta: "fossil" });
  const documents = versions(emoji + russian, 20);
  for (const [index, document] of documents.entries()) {
    if (index % 4 === 0) his.sdk.subscribe();
    if (index % 4 === 3) his.sdk.unsubscribe();
    await hers.publish(document);
    if (index % 7 === 0) await pause(5);
  }
  assert.deepEqual(await hers.hears(20), documents);
  const shown = new Map(documents.map((document) => [document.version, document]));
  for (const { data } of his.received) assert.deepEqual(data, shown.get(data.version));
});
