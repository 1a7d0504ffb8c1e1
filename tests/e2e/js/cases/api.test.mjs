// The server API over HTTP, byte for byte where clients of Centrifugo depend on it.

import assert from "node:assert/strict";
import http from "node:http";
import { API_KEY } from "../api.mjs";
import { LOG, OPEN, suite } from "../stage.mjs";
import { connectionToken, inSeconds } from "../token.mjs";
import { next, pause, until } from "../wait.mjs";

const { test } = suite({
  client: { expired_close_delay: "1s" },
  channel: { namespaces: [{ name: "log", ...LOG }, { name: "quiet", ...OPEN, presence: false }] },
});

const ok = (body) => ({ status: 200, body });
const fails = (code, message) => ok({ error: { code, message } });
async function answers(stage, method, body, expected) {
  const { status, body: reply } = await stage.api.post(method, body);
  assert.deepEqual({ status, body: reply }, expected);
}

test("a publication without a history has an empty result, with one its position", async (stage) => {
  await answers(stage, "publish", { channel: stage.channel(), data: 1 }, ok({ result: {} }));
  const channel = stage.channel("log");
  const { offset, epoch } = await stage.api.publish(channel, 1);
  assert.equal(offset, 1);
  assert.match(epoch, /^[A-Za-z]{4,8}$/);
  await answers(stage, "publish", { channel, data: 2 }, ok({ result: { offset: 2, epoch } }));
});

test("mistakes are errors in the body", async (stage) => {
  await answers(stage, "publish", { channel: "nowhere:room", data: 1 }, fails(102, "unknown channel"));
  await answers(stage, "publish", { channel: "room" }, fails(107, "bad request"));
  await answers(stage, "publish", { data: 1 }, fails(107, "bad request"));
  await answers(stage, "presence", { channel: "quiet:room" }, fails(108, "not available"));
  await answers(stage, "presence_stats", { channel: "quiet:room" }, fails(108, "not available"));
  await answers(stage, "history", { channel: "room", limit: 1 }, fails(108, "not available"));
  await answers(stage, "history", { channel: "log:room", limit: 1, since: { offset: 1, epoch: "gone" } }, fails(112, "unrecoverable position"));
  await answers(stage, "rpc", { method: "nothing" }, fails(104, "not found"));
});

test("in transport mode errors are statuses", async (stage) => {
  const mode = { "X-API-Key": API_KEY, "X-Centrifugo-Error-Mode": "transport" };
  const cases = [
    ["publish", { channel: "nowhere:room", data: 1 }, 404, 102],
    ["publish", { channel: "room" }, 400, 107],
    ["presence", { channel: "quiet:room" }, 400, 108],
    ["history", { channel: "log:room", limit: 1, since: { offset: 1, epoch: "gone" } }, 416, 112],
  ];
  for (const [method, body, status, code] of cases) {
    const reply = await stage.api.post(method, body, mode);
    assert.deepEqual([reply.status, reply.body.code], [status, code]);
  }
  const { api } = await stage.serve({ http_api: { error_mode: "transport" } });
  assert.equal((await api.post("publish", { channel: "nowhere:room", data: 1 })).status, 404);
});

test("only who shows the key may call", async (stage) => {
  const publish = (headers, query = "") => stage.api.post(`publish${query}`, { channel: "room", data: 1 }, headers);
  for (const headers of [{}, { "X-API-Key": "wrong" }, { "X-API-Key": "" }, { Authorization: "apikey wrong" }, { Authorization: `Bearer ${API_KEY}` }]) {
    const { status, text } = await publish(headers);
    assert.equal(status, 401, text);
    assert.ok(!text.includes(API_KEY));
  }
  assert.equal((await publish({ Authorization: `apikey ${API_KEY}` })).status, 200);
  assert.equal((await publish({}, `?api_key=${encodeURIComponent(API_KEY)}`)).status, 200);
});

test("a body that cannot be read is refused with 400, another method with 405", async (stage) => {
  for (const body of ["{", "[]", "{\"channel\":\"a\",\"data\":}"]) assert.equal((await stage.api.post("publish", body)).status, 400, body);
  const response = await fetch(`http://${stage.server.internal}/api/publish`, { headers: { "X-API-Key": API_KEY } });
  assert.equal(response.status, 405);
  assert.equal((await stage.api.post("no_such_method", {})).status, 404);
});

test("the public port does not serve the API unless it is told to", async (stage) => {
  const url = (server) => `http://${server.address}/api/publish`;
  const call = { method: "POST", headers: { "X-API-Key": API_KEY }, body: '{"channel":"room","data":1}' };
  assert.equal((await fetch(url(stage.server), call)).status, 404);
  const outside = await stage.serve({ http_api: { external: true } });
  assert.equal((await fetch(url(outside), call)).status, 200);
  assert.equal((await fetch(url(outside), { ...call, headers: {} })).status, 401);
});

test("a broadcast answers for each channel, in order", async (stage) => {
  const ada = await stage.connect();
  const [one, two] = [await ada.subscribe(stage.channel()), await ada.subscribe(stage.channel("log"))];
  const { responses } = await stage.api.call("broadcast", { channels: [one.channel, "nowhere:room", two.channel], data: { n: 1 } });
  assert.deepEqual(responses[0], { result: {} });
  assert.deepEqual(responses[1].error, { code: 102, message: "unknown channel" });
  assert.equal(responses[2].result.offset, 1);
  assert.deepEqual(await one.hears(1), [{ n: 1 }]);
  assert.deepEqual(await two.hears(1), [{ n: 1 }]);
});

test("an idempotency key makes a repeated publication one", async (stage) => {
  const ada = await stage.connect();
  const room = await ada.subscribe(stage.channel("log"));
  const first = await stage.api.publish(room.channel, 1, { idempotency_key: "order-1" });
  const again = await stage.api.publish(room.channel, 1, { idempotency_key: "order-1" });
  assert.deepEqual(again, first);
  await stage.api.publish(room.channel, 2, { idempotency_key: "order-2" });
  assert.deepEqual(await room.hears(2), [1, 2]);
});

test("a publication with an older version than the last is not sent", async (stage) => {
  const ada = await stage.connect();
  const room = await ada.subscribe(stage.channel("log"));
  for (const version of [5, 3, 5, 6]) await stage.api.publish(room.channel, version, { version, version_epoch: "a" });
  await stage.api.publish(room.channel, "end");
  assert.deepEqual(await room.hears(3), [5, 6, "end"]);
});

test("presence, history and channels have their fields even when they are empty", async (stage) => {
  await answers(stage, "presence", { channel: "empty" }, ok({ result: { presence: {} } }));
  await answers(stage, "presence_stats", { channel: "empty" }, ok({ result: { num_clients: 0, num_users: 0 } }));
  const { epoch } = await stage.api.call("history", { channel: "log:empty", limit: 10 });
  await answers(stage, "history", { channel: "log:empty", limit: 10 }, ok({ result: { publications: [], epoch, offset: 0 } }));
  await answers(stage, "channels", { pattern: "nothing*" }, ok({ result: { channels: {} } }));
});

test("history reads forward, backward and from a position", async (stage) => {
  const channel = stage.channel("log");
  await stage.api.count(channel, 1, 10);
  const numbers = async (more) => (await stage.api.call("history", { channel, ...more })).publications.map(({ data }) => data.n);
  const { epoch } = await stage.api.call("history", { channel });
  assert.deepEqual(await numbers({}), []);
  assert.deepEqual(await numbers({ limit: -1 }), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.deepEqual(await numbers({ limit: 3 }), [1, 2, 3]);
  assert.deepEqual(await numbers({ limit: 3, reverse: true }), [10, 9, 8]);
  assert.deepEqual(await numbers({ limit: 3, since: { offset: 4, epoch } }), [5, 6, 7]);
  assert.deepEqual(await numbers({ limit: 3, reverse: true, since: { offset: 4, epoch } }), [3, 2, 1]);
});

test("history_remove forgets the publications", async (stage) => {
  const channel = stage.channel("log");
  await stage.api.count(channel, 1, 3);
  assert.deepEqual(await stage.api.call("history_remove", { channel }), {});
  assert.deepEqual((await stage.api.call("history", { channel, limit: 10 })).publications, []);
});

test("channels lists what has subscribers, by pattern", async (stage) => {
  const [ada, grace] = [await stage.connect(), await stage.connect({ user: "grace" })];
  const tail = stage.channel();
  await ada.subscribe(`list-a-${tail}`);
  await grace.subscribe(`list-a-${tail}`);
  await ada.subscribe(`list-b-${tail}`);
  const { channels } = await stage.api.call("channels", { pattern: `list-*-${tail}` });
  assert.deepEqual(channels, { [`list-a-${tail}`]: { num_clients: 2 }, [`list-b-${tail}`]: { num_clients: 1 } });
});

test("info describes the node", async (stage) => {
  await stage.connect();
  const { nodes: [node, ...others] } = await stage.api.call("info");
  assert.equal(others.length, 0);
  for (const field of ["uid", "name", "version"]) assert.ok(node[field].length, field);
  for (const field of ["num_clients", "num_users", "num_subs", "num_channels"]) assert.ok(Number.isInteger(node[field]), field);
  assert.ok(node.num_clients >= 1);
});

test("a batch answers each command in order, one after the other or at once", async (stage) => {
  for (const parallel of [false, true]) {
    const channel = stage.channel("log");
    const { status, body } = await stage.api.post("batch", {
      parallel,
      commands: [{ publish: { channel, data: 1 } }, { publish: { channel: "nowhere:room", data: 1 } }, { presence_stats: { channel } }],
    });
    assert.equal(status, 200);
    assert.equal(body.replies[0].publish.offset, 1);
    assert.deepEqual(body.replies[1], { error: { code: 102, message: "unknown channel" } });
    assert.deepEqual(body.replies[2], { presence_stats: { num_clients: 0, num_users: 0 } });
  }
});

test("a thousand publications in one batch arrive in order", async (stage) => {
  const ada = await stage.connect();
  const room = await ada.subscribe(stage.channel("log"));
  await stage.api.post("batch", { commands: Array.from({ length: 1000 }, (_, n) => ({ publish: { channel: room.channel, data: n } })) });
  assert.deepEqual(await room.hears(1000), Array.from({ length: 1000 }, (_, n) => n));
});

test("refresh gives a user's connections a new end, or ends them", async (stage) => {
  const user = `user-${stage.channel()}`;
  const raw = await stage.raw();
  await raw.connect(user, { token: connectionToken(user, { exp: inSeconds(2) }) });
  assert.deepEqual(await stage.api.call("refresh", { user, expire_at: inSeconds(60) }), {});
  await pause(3_500);
  assert.equal(raw.closed, undefined);
  await stage.api.call("refresh", { user, expired: true });
  assert.equal((await raw.ended()).code, 3005);
});

test("bytes come as base64 where data cannot be JSON", async (stage) => {
  const ada = await stage.connect();
  const room = await ada.subscribe(stage.channel());
  const value = { text: "байты" };
  await stage.api.call("publish", { channel: room.channel, b64data: Buffer.from(JSON.stringify(value)).toString("base64") });
  assert.deepEqual(await room.hears(1), [value]);
});

test("calls about nobody and nothing succeed", async (stage) => {
  for (const [method, body] of [
    ["disconnect", { user: "nobody" }], ["unsubscribe", { user: "nobody", channel: "room" }],
    ["subscribe", { user: "nobody", channel: "room" }], ["refresh", { user: "nobody" }],
  ]) await answers(stage, method, body, ok({ result: {} }));
});

test("old clients may send one method a line", async (stage) => {
  const ada = await stage.connect();
  const room = await ada.subscribe(stage.channel());
  const lines = [1, 2].map((n) => JSON.stringify({ method: "publish", params: { channel: room.channel, data: n } }));
  const { status, text } = await legacy(stage, lines);
  assert.equal(status, 200);
  assert.deepEqual(text.trim().split("\n").map((line) => JSON.parse(line)), [{ result: {} }, { result: {} }]);
  assert.deepEqual(await room.hears(2), [1, 2]);
});

/** Without the slash at the end. */
async function legacy(stage, lines) {
  const response = await fetch(`http://${stage.server.internal}/api`, { method: "POST", headers: { "X-API-Key": API_KEY }, body: lines.join("\n") });
  return { status: response.status, text: await response.text() };
}

test("callers that keep their connection get an answer to each request", async (stage) => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  stage.later(() => agent.destroy());
  const [host, port] = stage.server.internal.split(":");
  const ports = new Set();
  for (let n = 0; n < 20; n += 1) {
    const response = await new Promise((resolve, reject) => {
      const request = http.request({ agent, host, port, path: "/api/publish", method: "POST", headers: { "X-API-Key": API_KEY } }, resolve);
      request.on("error", reject);
      request.on("socket", (socket) => { const note = () => ports.add(socket.localPort); if (socket.connecting) socket.once("connect", note); else note(); });
      request.end(JSON.stringify({ channel: "room", data: n }));
    });
    response.resume();
    await next(response, "end");
    assert.equal(response.statusCode, 200);
  }
  assert.equal(ports.size, 1);
});

test("an application that tells the server of a thousand users at once is answered", async (stage) => {
  const channel = stage.channel();
  const ada = await stage.connect();
  const room = await ada.subscribe(channel);
  await Promise.all(Array.from({ length: 50 }, async (_, lane) => { for (let n = 0; n < 20; n += 1) await stage.api.publish(channel, lane * 20 + n); }));
  await until("all", () => room.received.length === 1000);
  assert.equal(new Set(room.received.map(({ data }) => data)).size, 1000);
});
