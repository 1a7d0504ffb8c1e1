// What two people in two browsers expect of the chat page and of the server behind it.
// Each case gets a world { browser, binary, pictures, server } and people of its own; `server` may be replaced.

import assert from "node:assert/strict";
import http from "node:http";
import { Person } from "./person.mjs";
import { Server } from "./server.mjs";

const arrive = (world, name, options) => Person.arrive(world.browser, world.server.url, name, options);

async function pair(world, options) {
  const ada = await arrive(world, "Ada", options);
  const grace = await arrive(world, "Grace", { colorScheme: "dark", ...options });
  await ada.sees("Ada", "Grace");
  await grace.sees("Grace", "Ada");
  return [ada, grace];
}

export const cases = {
  async "two people see each other and each other's messages in order"(world) {
    const [ada, grace] = await pair(world);
    await ada.page.locator(".note", { hasText: "Grace joined" }).waitFor();
    for (let count = 1; count <= 10; count += 1) await ada.say(`ada ${count}.`);
    await grace.reads("ada 10.");
    await grace.say("grace answers");
    await ada.reads("grace answers");
    const said = [...Array.from({ length: 10 }, (_, index) => `ada ${index + 1}.`), "grace answers"];
    assert.deepEqual(await ada.bubbles(), said);
    assert.deepEqual(await grace.bubbles(), said);
    assert.equal(await ada.page.locator(".group.own .bubble").count(), 10);
    assert.equal(await grace.page.locator(".group:not(.own) .bubble").count(), 10);
    assert.match(await ada.text("#trip"), /^\d+(\.\d)? ms$/);
    await ada.picture(world.pictures, "two-light");
    await grace.picture(world.pictures, "two-dark");
    return [ada, grace];
  },

  async "one who leaves is gone from the list of the other"(world) {
    const [ada, grace] = await pair(world);
    await grace.leave();
    await ada.sees("Ada");
    await ada.page.locator(".note", { hasText: "Grace left" }).waitFor();
    return [ada];
  },

  async "messages stay in their room and are counted as unread elsewhere"(world) {
    const [ada, grace] = await pair(world);
    await grace.openRoom("product");
    await ada.say("first for general");
    await ada.say("second for general");
    await grace.page.locator('[data-room="general"] .badge', { hasText: /^2$/ }).waitFor();
    assert.deepEqual(await grace.bubbles(), []);
    assert.match(await grace.page.title(), /^\(2\) #product/);
    await grace.picture(world.pictures, "unread-dark");
    await grace.openRoom("general");
    await grace.reads("second for general");
    assert.equal(await grace.page.locator(".badge").count(), 0);
    assert.equal(await grace.page.locator(".fresh").count(), 1);
    return [ada, grace];
  },

  async "a link opens its room, and a new room is found by its link"(world) {
    const ada = await arrive(world, "Ada");
    await ada.page.click("#add-room");
    await ada.page.fill("#room-name", "Launch Plan!");
    await ada.page.press("#room-name", "Enter");
    assert.equal(await ada.text("#title"), "launch-plan");
    assert.match(ada.page.url(), /#room=launch-plan$/);
    const grace = await arrive(world, "Grace", { hash: "#room=launch-plan" });
    await grace.sees("Grace", "Ada");
    await grace.say("found it");
    await ada.reads("found it");
    return [ada, grace];
  },

  async "markup is text, and only web addresses become links"(world) {
    const [ada, grace] = await pair(world);
    const attack = `<img src=x onerror=alert(1)><script>alert(2)</script> javascript:alert(3)`;
    await ada.say(attack);
    await ada.say("see https://example.com/a?b=c&d, or http://example.org.");
    await grace.reads("javascript:alert(3)");
    await grace.reads("example.org");
    assert.equal((await grace.bubbles())[0], attack);
    assert.equal(await grace.page.locator(".log img, .log script, .log style").count(), 0);
    const links = await grace.page.locator(".bubble a").evaluateAll((all) => all.map((a) => [a.href, a.rel]));
    assert.deepEqual(links, [
      ["https://example.com/a?b=c&d", "noopener noreferrer nofollow"],
      ["http://example.org/", "noopener noreferrer nofollow"],
    ]);
    const eve = await arrive(world, "<b>Eve</b>");
    await eve.say("hello");
    await grace.reads("hello");
    await grace.page.locator("#people-list .name", { hasText: "<b>Eve</b>" }).waitFor();
    assert.equal(await grace.page.locator("#people-list b").count(), 0);
    await grace.picture(world.pictures, "markup-dark");
    return [ada, grace, eve];
  },

  async "a new name shows at once"(world) {
    const [ada, grace] = await pair(world);
    await ada.page.click("#edit-profile");
    await ada.page.fill("#profile-name", "Augusta");
    await ada.page.press("#profile-name", "Enter");
    await grace.sees("Grace", "Augusta");
    await ada.sees("Augusta", "Grace");
    return [ada, grace];
  },

  async "the keyboard alone is enough"(world) {
    const ada = await arrive(world, "", { join: false });
    // A name is suggested and the field has the focus.
    await ada.page.keyboard.press("Enter");
    await ada.link("online");
    await ada.page.keyboard.press("Alt+ArrowDown");
    assert.equal(await ada.text("#title"), "product");
    await ada.page.focus("#composer");
    await ada.page.keyboard.type("typed");
    await ada.page.keyboard.press("Shift+Enter");
    await ada.page.keyboard.type("on two lines");
    await ada.page.keyboard.press("Enter");
    await ada.reads("typed\non two lines");
    return [ada];
  },

  async "it fits a phone"(world) {
    const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
    const ada = await arrive(world, "Ada", phone);
    await ada.say("A message that is long enough to need more than one line on a phone, and then some more of it.");
    await ada.page.click("#show-people");
    await ada.page.locator("#people-list .name", { hasText: "Ada" }).waitFor({ state: "visible" });
    await ada.picture(world.pictures, "phone-people");
    await ada.page.click("#hide-people");
    await ada.page.click("#show-rooms");
    await ada.openRoom("random");
    assert.equal(await ada.text("#title"), "random");
    await ada.page.locator("#rail").waitFor({ state: "hidden" });
    const overflow = await ada.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(overflow, 0);
    await ada.picture(world.pictures, "phone");
    return [ada];
  },

  async "a killed server comes back: both reconnect, what waited arrives once and in order"(world) {
    const [ada, grace] = await pair(world);
    await ada.say("before");
    await grace.reads("before");
    const { address } = world.server;
    // Ada's first pause becomes half a minute, so that Grace is certainly back before her.
    await ada.page.evaluate(() => { Math.random = () => 30; });
    await world.server.end("SIGKILL");
    await Promise.all([ada.link("waiting"), grace.link("waiting", "connecting")]);
    await ada.say("while away 1");
    await ada.say("while away 2");
    assert.equal(await ada.page.locator('.bubble.pending[data-fate="pending"]').count(), 2);
    await ada.page.locator("#notice-text", { hasText: /Next try in \d+ s\. 2 messages are waiting to be sent/ }).waitFor();
    await ada.picture(world.pictures, "lost-light");
    await grace.picture(world.pictures, "lost-dark");
    world.server = await Server.start(world.binary, address);
    await grace.link("online");
    await grace.sees("Grace");
    await ada.page.click("#retry");
    await ada.link("online");
    await ada.sees("Ada", "Grace");
    await ada.say("after");
    await grace.reads("after");
    const said = ["before", "while away 1", "while away 2", "after"];
    assert.deepEqual(await grace.bubbles(), said);
    await ada.page.locator('.bubble[data-fate="sent"]', { hasText: "after" }).waitFor();
    assert.deepEqual(await ada.bubbles(), said);
    assert.equal(await ada.page.locator(".bubble.pending").count(), 0);
    return [ada, grace];
  },

  async "the pauses between attempts double up to a cap, and begin anew after a stable connection"(world) {
    const ada = await arrive(world, "Ada");
    const { address } = world.server;
    // Half of every range, and a clock that runs fast: the delays that were asked for are what counts.
    await ada.page.evaluate(() => {
      const real = window.setTimeout;
      window.asked = [];
      Math.random = () => 0.5;
      window.setTimeout = (run, delay, ...rest) => { window.asked.push(delay); return real(run, Math.min(delay, 20), ...rest); };
    });
    // Half of 30,000 is the cap. Other timers of the page have other lengths.
    const doubling = [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000];
    const pauses = async () => (await ada.page.evaluate(() => window.asked)).filter((delay) => doubling.includes(delay));
    await world.server.end("SIGKILL");
    await ada.page.waitForFunction(() => window.asked.filter((delay) => delay === 15_000).length >= 2);
    assert.deepEqual((await pauses()).slice(0, doubling.length), doubling);
    world.server = await Server.start(world.binary, address);
    await ada.link("online");
    // The connection counts as stable when the timer of 10 s has run, here after 20 ms.
    await ada.page.waitForFunction(() => window.asked.includes(10_000));
    await ada.page.evaluate(() => new Promise((resolve) => { window.setTimeout(resolve, 20); }));
    await ada.page.evaluate(() => { window.asked = []; });
    await world.server.end("SIGKILL");
    await ada.page.waitForFunction(() => window.asked.includes(1_000));
    assert.equal((await pauses())[0], 500);
    return [ada];
  },

  async "a disconnect that means stay away is obeyed until somebody asks"(world) {
    let close = null;
    const prepare = (page) => page.routeWebSocket(/connection/, (socket) => {
      socket.connectToServer();
      close = (options) => socket.close(options);
    });
    const ada = await arrive(world, "Ada", { prepare });
    await close({ code: 3503, reason: "force disconnect" });
    await ada.link("refused");
    await ada.page.locator("#notice-text", { hasText: "force disconnect (3503)" }).waitFor();
    await ada.picture(world.pictures, "refused-light");
    await ada.page.click("#retry");
    await ada.link("online");
    return [ada];
  },

  async "a drain shows as reconnecting, with success for the server"(world) {
    const [ada, grace] = await pair(world);
    const { address } = world.server;
    const [end] = await Promise.all([
      world.server.end("SIGTERM"),
      ada.link("waiting", "connecting"),
      grace.link("waiting", "connecting"),
    ]);
    assert.deepEqual(end, { code: 0, signal: null }, world.server.output);
    await ada.picture(world.pictures, "drained-light");
    world.server = await Server.start(world.binary, address);
    await Promise.all([ada.link("online"), grace.link("online")]);
    await ada.sees("Ada", "Grace");
    return [ada, grace];
  },

  async "plain requests reach the pages through the cores, kept alive"(world) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const get = (address, path, method = "GET") => new Promise((resolve, reject) => {
      const [host, port] = address.split(":");
      const request = http.request({ host, port, path, method, agent }, (response) => {
        let body = "";
        response.on("data", (text) => { body += text; });
        response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body, reused: request.reusedSocket }));
      });
      request.on("error", reject);
      request.end();
    });
    const { address, internal } = world.server;
    const page = await get(address, "/");
    assert.equal(page.status, 200);
    assert.match(page.headers["content-security-policy"], /^default-src 'none'; script-src 'sha256-/);
    const alive = await get(address, "/livez");
    assert.deepEqual([alive.status, alive.body, alive.reused], [200, "ok\n", true]);
    assert.equal((await get(address, "/nothing")).status, 404);
    assert.equal((await get(address, "/", "POST")).status, 405);
    assert.equal((await get(internal, "/readyz")).status, 200);
    const metrics = await get(internal, "/metrics");
    assert.match(metrics.headers["content-type"], /^application\/openmetrics-text; version=1\.0\.0/);
    assert.match(metrics.body, /\nringway_http_served_total \d+\n/);
    assert.match(metrics.body, /# EOF\n$/);
    agent.destroy();
    return [];
  },
};
