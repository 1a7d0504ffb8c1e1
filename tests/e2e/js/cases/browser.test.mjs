// The SDK as web pages load it, in a real Chromium, from another origin than the server's.

import assert from "node:assert/strict";
import http from "node:http";
import { after, before } from "node:test";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { chromium } from "playwright-core";
import { LOG, suite } from "../stage.mjs";
import { connectionToken } from "../token.mjs";
import { until } from "../wait.mjs";

const sdk = dirname(dirname(createRequire(import.meta.url).resolve("centrifuge")));
const CUT_MS = 2_000;

/** A page with the SDK's files as a CDN serves them. */
const pages = http.createServer((_, response) => {
  response.setHeader("Content-Type", "text/html");
  response.end("<!doctype html><title>page</title>");
});
await new Promise((resolve) => pages.listen(0, "127.0.0.1", resolve));
after(() => { pages.closeAllConnections(); pages.close(); });
const { port } = pages.address();
const ORIGIN = `http://127.0.0.1:${port}`;
// The same page, but for the browser another origin.
const STRANGER = `http://localhost:${port}`;

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
});
after(() => browser?.close());

const { test } = suite({
  client: { allowed_origins: [ORIGIN], ping_interval: "1s", pong_timeout: "900ms" },
  // Browsers offer it by themselves.
  websocket: { compression: true, compression_min_size: 0 },
  channel: { namespaces: [{ name: "log", ...LOG }, { name: "delta", ...LOG, allowed_delta_types: ["fossil"], delta_publish: true }] },
});

const ways = [
  { name: "WebSocket JSON", kind: "websocket" },
  { name: "WebSocket Protobuf", kind: "websocket", protobuf: true },
  { name: "HTTP stream JSON", kind: "http_stream" },
  { name: "HTTP stream Protobuf", kind: "http_stream", protobuf: true },
  { name: "SSE JSON", kind: "sse" },
];

/** A page of this origin with a client that has begun to connect; its diary is `window.diary`. */
async function open(stage, way, { address = stage.server.address, origin = ORIGIN, channel, user = "ada", delta } = {}) {
  const context = await browser.newContext();
  stage.later(() => context.close());
  const page = await context.newPage();
  await page.goto(`${origin}/`);
  await page.addScriptTag({ path: join(sdk, "dist", way.protobuf ? "centrifuge.protobuf.js" : "centrifuge.js") });
  await page.evaluate(({ way, address, token, channel, delta }) => {
    const endpoint = way.kind === "websocket" ? `ws://${address}/connection/websocket` : `http://${address}/connection/${way.kind}`;
    window.encode = (value) => (way.protobuf ? new TextEncoder().encode(JSON.stringify(value)) : value);
    window.decode = (data) => (way.protobuf ? JSON.parse(new TextDecoder().decode(data)) : data);
    window.diary = [];
    const client = window.client = new Centrifuge([{ transport: way.kind, endpoint }], {
      token, emulationEndpoint: `http://${address}/emulation`, minReconnectDelay: 50, maxReconnectDelay: 250, maxServerPingDelay: 1000, timeout: 2000,
    });
    for (const name of ["connected", "connecting", "disconnected"]) client.on(name, (context) => window.diary.push({ name, ...context }));
    const room = window.room = client.newSubscription(channel, { joinLeave: true, ...(delta && { delta }), minResubscribeDelay: 50, maxResubscribeDelay: 250 });
    window.heard = [];
    window.subscribed = [];
    room.on("publication", ({ data }) => window.heard.push(window.decode(data)));
    room.on("subscribed", ({ recovered, wasRecovering }) => window.subscribed.push({ recovered, wasRecovering }));
    room.subscribe();
    client.connect();
  }, { way, address, token: connectionToken(user), channel, delta });
  return page;
}

const ready = (page, times = 1) => page.waitForFunction((times) => window.subscribed.length >= times, times, { timeout: 20_000 });
async function heard(page, count) {
  await page.waitForFunction((count) => window.heard.length >= count, count, { timeout: 15_000 });
  return page.evaluate(() => window.heard);
}

for (const way of ways) {
  test(`two pages of another origin talk and see each other [${way.name}]`, async (stage) => {
    const channel = stage.channel();
    const ada = await open(stage, way, { channel, user: "ada" });
    const grace = await open(stage, way, { channel, user: "grace" });
    await ready(ada);
    await ready(grace);
    await ada.evaluate(() => window.room.publish(window.encode({ text: "Привет 👋 你好" })));
    assert.deepEqual(await heard(grace, 1), [{ text: "Привет 👋 你好" }]);
    await grace.evaluate(() => window.room.publish(window.encode({ text: "here" })));
    assert.deepEqual(await heard(ada, 2), [{ text: "Привет 👋 你好" }, { text: "here" }]);
    const users = await grace.evaluate(async () => Object.values((await window.room.presence()).clients).map((info) => info.user).sort());
    assert.deepEqual(users, ["ada", "grace"]);
    await ada.close();
    await until("one is gone", async () => Object.values(await stage.api.presence(channel)).map((info) => info.user).join() === "grace");
  });

  test(`a page whose network is cut gets what it missed, in order, once [${way.name}]`, async (stage) => {
    const proxy = await stage.proxy();
    const channel = stage.channel("log");
    const page = await open(stage, way, { channel, address: proxy.address });
    await ready(page);
    await stage.api.count(channel, 1, 5);
    await heard(page, 5);
    const over = proxy.cut(CUT_MS);
    await stage.api.count(channel, 6, 30);
    await over;
    await ready(page, 2);
    await stage.api.count(channel, 31, 32);
    assert.deepEqual((await heard(page, 32)).map(({ n }) => n), Array.from({ length: 32 }, (_, index) => index + 1));
    assert.deepEqual((await page.evaluate(() => window.subscribed)).at(-1), { recovered: true, wasRecovering: true });
  });

  test(`a page gets a changing text in differences [${way.name}]`, async (stage) => {
    const channel = stage.channel("delta");
    const page = await open(stage, way, { channel, delta: "fossil" });
    await ready(page);
    const text = "Съешь же ещё этих мягких французских булок 天地玄黃 🦀🚀 ".repeat(6);
    const documents = Array.from({ length: 20 }, (_, index) => ({ index, text: `${text.slice(0, index * 9)}правка 🦄${text.slice(index * 9)}` }));
    for (const document of documents) await stage.api.publish(channel, document);
    assert.deepEqual(await heard(page, 20), documents);
    assert.ok(await page.evaluate(() => window.room.deltaStats().numDeltaPayloads) >= 12);
  });

  test(`a page of an origin that is not allowed does not get in [${way.name}]`, async (stage) => {
    const page = await open(stage, way, { channel: stage.channel(), origin: STRANGER });
    await page.waitForTimeout(1_000);
    const diary = await page.evaluate(() => window.diary);
    assert.ok(!diary.some((entry) => entry.name === "connected"), JSON.stringify(diary));
  });
}
