// TLS in a real Chromium: the chat page over https, and the SDK over wss and https, with a certificate of a private authority.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { chromium } from "playwright-core";
import { LOG, suite } from "../stage.mjs";
import { TLS, fingerprint } from "../tls.mjs";
import { connectionToken } from "../token.mjs";

const sdk = dirname(dirname(createRequire(import.meta.url).resolve("centrifuge")));
const CUT_MS = 500;

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
      `--ignore-certificate-errors-spki-list=${fingerprint()}`,
    ],
  });
});
after(() => browser?.close());

const { test } = suite({
  tls: TLS,
  websocket: { compression: true, compression_min_size: 0 },
  channel: { namespaces: [{ name: "log", ...LOG }] },
});

for (const kind of ["websocket", "http_stream", "sse"]) {
  test(`a page over https talks, and gets what it missed [${kind}]`, async (stage) => {
    const proxy = await stage.proxy();
    const channel = stage.channel("log");
    // The page itself comes over https; what it says of scripts is not the matter here.
    const context = await browser.newContext({ bypassCSP: true });
    stage.later(() => context.close());
    const page = await context.newPage();
    const answer = await page.goto(`https://${stage.server.address}/`);
    assert.equal(answer.status(), 200);
    assert.match((await answer.securityDetails()).protocol, /^TLS 1\.3$/);
    await page.addScriptTag({ path: join(sdk, "dist", "centrifuge.js") });
    await page.evaluate(({ kind, address, token, channel }) => {
      const endpoint = kind === "websocket" ? `wss://${address}/connection/websocket` : `https://${address}/connection/${kind}`;
      const client = new Centrifuge([{ transport: kind, endpoint }], {
        token, emulationEndpoint: `https://${address}/emulation`, minReconnectDelay: 50, maxReconnectDelay: 250,
      });
      const room = window.room = client.newSubscription(channel, { minResubscribeDelay: 50, maxResubscribeDelay: 250 });
      window.heard = [];
      window.subscribed = [];
      room.on("publication", ({ data }) => window.heard.push(data.n));
      room.on("subscribed", ({ recovered }) => window.subscribed.push(recovered));
      room.subscribe();
      client.connect();
    }, { kind, address: proxy.address, token: connectionToken("ada"), channel });
    const heard = (count) => page.waitForFunction((count) => window.heard.length >= count, count, { timeout: 15_000 });
    const ready = (times) => page.waitForFunction((times) => window.subscribed.length >= times, times, { timeout: 20_000 });
    await ready(1);
    await page.evaluate(() => window.room.publish({ n: 1 }));
    await heard(1);
    const over = proxy.cut(CUT_MS);
    await stage.api.count(channel, 2, 10);
    await over;
    await ready(2);
    await stage.api.count(channel, 11, 12);
    await heard(12);
    assert.deepEqual(await page.evaluate(() => window.heard), Array.from({ length: 12 }, (_, index) => index + 1));
    assert.equal((await page.evaluate(() => window.subscribed)).at(-1), true);
  });
}
