// What two people in two browsers expect of the chat page and of the server behind it.
// Each case gets a world { browser, binary, pictures, server } and people of its own; `server` may be replaced.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
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

/** A server that knows users: its own, so that the cases around it stay with the one without configuration. */
async function withUsers(world, run) {
  const secret = "0123456789abcdef0123456789abcdef";
  const server = await Server.start(world.binary, undefined, null, { RINGWAY_CLIENT_TOKEN_HMAC_SECRET_KEY: secret });
  const token = (sub) => {
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub, exp: Math.floor(Date.now() / 1000) + 600 })}`;
    return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
  };
  try {
    return await run((name, user) => Person.arrive(world.browser, server.url, name, { hash: `#token=${token(user)}` }), server);
  } finally {
    for (const context of world.browser.contexts()) await context.close();
    await server.end("SIGTERM");
  }
}

export const cases = {
  async "two people see each other and each other's messages in order"(world) {
    const [ada, grace] = await pair(world, { hash: "#room=order" });
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
    const [ada, grace] = await pair(world, { hash: "#room=markup" });
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
    const eve = await arrive(world, "<b>Eve</b>", { hash: "#room=markup" });
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

  async "whoever joins late reads what was said before, once and in order"(world) {
    const ada = await arrive(world, "Ada", { hash: "#room=history" });
    for (const text of ["one", "two", "three"]) await ada.say(text);
    await ada.page.locator('.bubble[data-fate="sent"]', { hasText: "three" }).waitFor();
    const grace = await arrive(world, "Grace", { hash: "#room=history" });
    await grace.reads("three");
    await ada.say("four");
    await grace.reads("four");
    assert.deepEqual(await grace.bubbles(), ["one", "two", "three", "four"]);
    assert.equal(await grace.page.locator(".group .by .name").first().textContent(), "Ada");
    // A reload keeps who said what.
    await ada.page.reload();
    await ada.link("online");
    await ada.reads("four");
    assert.equal(await ada.page.locator(".group.own .bubble").count(), 4);
    return [ada, grace];
  },

  async "typing shows on the other side and goes away by itself"(world) {
    const [ada, grace] = await pair(world);
    const typing = grace.page.locator("#typing", { hasText: "Ada is typing" });
    await ada.page.locator("#composer").pressSequentially("hm");
    await typing.waitFor();
    await grace.picture(world.pictures, "typing-dark");
    await typing.waitFor({ state: "hidden" });
    assert.equal(await ada.text("#typing"), "", "nobody sees themselves type");
    // It was said aside: nothing of it is in the history.
    const eve = await arrive(world, "Eve");
    await eve.sees("Eve", "Ada", "Grace");
    assert.equal((await eve.bubbles()).includes("hm"), false);
    return [ada, grace, eve];
  },

  async "what comes while the tab is hidden is counted and marked"(world) {
    const [ada, grace] = await pair(world, { hash: "#room=unread" });
    await ada.say("seen");
    await grace.reads("seen");
    await grace.hide(true);
    await ada.say("unseen 1");
    await ada.say("unseen 2");
    await grace.page.waitForFunction(() => document.title.startsWith("(2) #unread"));
    assert.equal(await grace.page.locator(".fresh", { hasText: "New messages" }).count(), 1);
    // The line stands in front of the first of them.
    const order = await grace.page.locator(".bubble, .fresh").allTextContents();
    assert.deepEqual(order, ["seen", "New messages", "unseen 1", "unseen 2"]);
    await grace.hide(false);
    await grace.page.waitForFunction(() => document.title.startsWith("#unread"));
    return [ada, grace];
  },

  async "a direct message reaches its addressee and nobody else"(world) {
    const [ada, grace] = await pair(world);
    const listen = () => {
      window.overheard = [];
      window.WebSocket = class extends WebSocket {
        constructor(url, protocols) {
          super(url, protocols);
          this.addEventListener("message", ({ data }) => window.overheard.push(String(data)));
        }
      };
    };
    const eve = await arrive(world, "Eve", { prepare: (page) => page.addInitScript(listen) });
    await ada.sees("Ada", "Eve", "Grace");
    await ada.page.click('[aria-label="Message Grace"]');
    assert.equal(await ada.text("#title"), "Grace");
    await ada.say("for your eyes only");
    const entry = grace.page.locator(".room.direct", { hasText: "Ada" });
    await entry.locator(".badge", { hasText: /^1$/ }).waitFor();
    await entry.click();
    await grace.reads("for your eyes only");
    await grace.say("understood");
    await ada.reads("understood");
    await ada.picture(world.pictures, "direct-light");
    // What is said in the open afterwards has arrived, so anything before it would have too.
    await ada.openRoom("general");
    await ada.say("in the open");
    await eve.reads("in the open");
    const overheard = await eve.page.evaluate(() => window.overheard);
    assert.ok(overheard.some((text) => text.includes("in the open")), "Eve listens");
    assert.equal(overheard.some((text) => text.includes("for your eyes only") || text.includes("understood")), false);
    assert.equal(await eve.page.locator(".room.direct").count(), 0);
    return [ada, grace, eve];
  },

  async "users have unread counts that follow them, and conversations that the server closes to others"(world) {
    return withUsers(world, async (arrive, server) => {
      const ada = await arrive("Ada", "ada");
      const grace = await arrive("Grace", "grace");
      assert.equal(ada.page.url().includes("token"), false);
      await ada.sees("Ada", "Grace");
      await ada.say("read by Grace");
      await grace.reads("read by Grace");
      // Her cursor goes out a moment later.
      await grace.page.waitForTimeout(1_000);
      await grace.context.close();
      await ada.say("missed 1");
      await ada.say("missed 2");
      await ada.page.locator('.bubble[data-fate="sent"]', { hasText: "missed 2" }).waitFor();
      const again = await arrive("Grace", "grace");
      await again.reads("missed 2");
      const order = await again.page.locator(".bubble, .fresh").allTextContents();
      assert.deepEqual(order, ["read by Grace", "New messages", "missed 1", "missed 2"]);
      await again.page.locator('[aria-label="Message Ada"]').click();
      await again.say("between users");
      await ada.page.locator(".room.direct", { hasText: "Grace" }).click();
      await ada.reads("between users");
      const eve = await arrive("Eve", "eve");
      const refused = await eve.page.evaluate((url) => new Promise((resolve) => {
        const client = new Centrifuge(url, { token: JSON.parse(sessionStorage.getItem("ringway.token")) });
        const sub = client.newSubscription("dm:#ada,grace");
        sub.on("subscribed", () => resolve("subscribed"));
        sub.on("unsubscribed", (context) => resolve(context.code));
        sub.subscribe();
        client.connect();
      }), server.url.replace("http", "ws") + "connection/websocket");
      assert.equal(refused, 103);
      assert.deepEqual([...ada.complaints, ...again.complaints, ...eve.complaints], []);
      return [];
    });
  },

  async "what was said while one was offline is there after"(world) {
    const [ada, grace] = await pair(world, { hash: "#room=recovery" });
    await ada.say("before");
    await grace.reads("before");
    await grace.context.setOffline(true);
    await grace.link("waiting");
    await grace.page.locator("#notice-text", { hasText: "You are offline" }).waitFor();
    await ada.say("meanwhile 1");
    await ada.say("meanwhile 2");
    await ada.page.locator('.bubble[data-fate="sent"]', { hasText: "meanwhile 2" }).waitFor();
    await grace.say("written offline");
    await grace.context.setOffline(false);
    await grace.link("online");
    await grace.reads("meanwhile 2");
    await ada.reads("written offline");
    const said = ["before", "meanwhile 1", "meanwhile 2", "written offline"];
    assert.deepEqual(await ada.bubbles(), said);
    assert.deepEqual(await grace.bubbles(), said);
    return [ada, grace];
  },

  async "without WebSockets it falls back to streams"(world) {
    const noSockets = () => {
      // As behind a proxy that knows no upgrades: the handshake gets a plain answer.
      window.WebSocket = class extends WebSocket {
        constructor(url, protocols) { super(url.replace("connection/websocket", "nothing"), protocols); }
      };
    };
    const ada = await arrive(world, "Ada", { hash: "#room=streams", prepare: (page) => page.addInitScript(noSockets) });
    assert.equal(await ada.page.getAttribute("body", "data-transport"), "http_stream");
    const prepare = async (page) => {
      await page.addInitScript(noSockets);
      await page.route("**/connection/http_stream", (route) => route.abort());
    };
    const grace = await arrive(world, "Grace", { hash: "#room=streams", prepare });
    assert.equal(await grace.page.getAttribute("body", "data-transport"), "sse");
    await ada.sees("Ada", "Grace");
    await ada.say("by HTTP");
    await grace.reads("by HTTP");
    await grace.say("by events");
    await ada.reads("by events");
    return [ada, grace];
  },

  async "a killed server comes back: both reconnect, what waited arrives once and in order"(world) {
    const [ada, grace] = await pair(world, { hash: "#room=killed" });
    await ada.say("before");
    await grace.reads("before");
    const { address } = world.server;
    await world.server.end("SIGKILL");
    await Promise.all([ada.link("waiting"), grace.link("waiting")]);
    await ada.say("while away 1");
    await ada.say("while away 2");
    assert.equal(await ada.page.locator('.bubble.pending[data-fate="pending"]').count(), 2);
    await ada.page.locator("#notice-text", { hasText: /Trying again\. 2 messages are waiting to be sent/ }).waitFor();
    await ada.picture(world.pictures, "lost-light");
    await grace.picture(world.pictures, "lost-dark");
    world.server = await Server.start(world.binary, address);
    for (const person of [grace, ada]) await person.page.evaluate(() => document.getElementById("retry").click());
    await Promise.all([ada.link("online"), grace.link("online")]);
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
      ada.link("waiting"),
      grace.link("waiting"),
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
    assert.match(page.headers["content-security-policy"], /^default-src 'none'; script-src 'self' 'sha256-/);
    const script = await get(address, /src="([^"]+)"/.exec(page.body)[1]);
    assert.equal(script.headers["cache-control"], "public, max-age=31536000, immutable");
    assert.match(script.body, /^\/\*! centrifuge \d+\.\d+\.\d+,/);
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
