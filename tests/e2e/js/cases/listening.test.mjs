// Clients without an SDK that only listen: event streams, lines, a plain WebSocket. All they get are pushes.

import assert from "node:assert/strict";
import EventSource from "eventsource";
import { LOG, suite } from "../stage.mjs";
import { Stream } from "../stream.mjs";
import { connectionToken, inSeconds } from "../token.mjs";
import { until } from "../wait.mjs";

const { test } = suite({
  client: { ping_interval: "1s", pong_timeout: "800ms", expired_close_delay: "1s" },
  channel: { namespaces: [{ name: "log", ...LOG }] },
  uni_websocket: { enabled: true },
  uni_sse: { enabled: true },
  uni_http_stream: { enabled: true },
});

/** Opens the way in and gives { hears, said, ended } in one shape. */
const ways = {
  "event stream": async (stage, request, address = stage.server.address) => {
    const stream = await Stream.open(address, `/connection/uni_sse?cf_connect=${encodeURIComponent(JSON.stringify(request))}`);
    stage.later(() => stream.end());
    assert.equal(stream.status, 200);
    assert.match(stream.headers["content-type"], /^text\/event-stream/);
    return stream;
  },
  "event stream opened with a body": async (stage, request, address = stage.server.address) => {
    const stream = await Stream.open(address, "/connection/uni_sse", { body: JSON.stringify(request), headers: { "Content-Type": "application/json" } });
    stage.later(() => stream.end());
    assert.equal(stream.status, 200);
    return stream;
  },
  "stream of lines": async (stage, request, address = stage.server.address) => {
    const stream = await Stream.open(address, "/connection/uni_http_stream", { body: JSON.stringify(request), headers: { "Content-Type": "application/json" } });
    stage.later(() => stream.end());
    assert.equal(stream.status, 200);
    return stream;
  },
  WebSocket: async (stage, request) => {
    const raw = await stage.raw({ path: "/connection/uni_websocket" });
    raw.send(request);
    raw.hears = (wanted, what = "a push") => until(() => `${what}; has heard ${JSON.stringify(raw.said)}`, () => raw.said.find(wanted));
    return raw;
  },
};

for (const [way, open] of Object.entries(ways)) {
  test(`a listener by ${way} is welcomed, hears its channels and is pinged`, async (stage) => {
    const channel = stage.channel();
    const listener = await open(stage, { token: connectionToken("ada", { channels: [channel] }) });
    const { connect } = await listener.hears((push) => push.connect, "the welcome");
    assert.ok(connect.client && connect.version && connect.subs[channel], JSON.stringify(connect));
    await stage.api.publish(channel, { text: "Привет 👋" });
    const { pub } = await listener.hears((push) => push.channel === channel && push.pub);
    assert.deepEqual(pub, { data: { text: "Привет 👋" } });
    assert.deepEqual(Object.keys(await stage.api.presence(channel)), [connect.client]);
    await until(() => `a ping; has heard ${JSON.stringify(listener.said)}`, () => listener.said.some((push) => Object.keys(push).length === 0) || listener.pings > 0);
  });

  test(`a listener by ${way} may name the channels that it may subscribe to itself`, async (stage) => {
    const channel = stage.channel("log");
    const listener = await open(stage, { token: connectionToken("ada"), subs: { [channel]: {} } });
    await listener.hears((push) => push.connect?.subs?.[channel]);
    await stage.api.count(channel, 1, 3);
    await listener.hears((push) => push.pub?.data.n === 3);
  });

  test(`a listener by ${way} recovers from a position`, async (stage) => {
    const channel = stage.channel("log");
    await stage.api.count(channel, 1, 5);
    const { epoch } = await stage.api.call("history", { channel });
    const listener = await open(stage, { token: connectionToken("ada"), subs: { [channel]: { recover: true, epoch, offset: 2 } } });
    const { connect } = await listener.hears((push) => push.connect?.subs?.[channel]);
    const { recovered, publications } = connect.subs[channel];
    assert.equal(recovered, true);
    assert.deepEqual(publications.map(({ data }) => data.n), [3, 4, 5]);
  });

  test(`a listener by ${way} is subscribed, unsubscribed and sent away by the application`, async (stage) => {
    const user = `user-${stage.channel()}`;
    const channel = stage.channel();
    const listener = await open(stage, { token: connectionToken(user) });
    await listener.hears((push) => push.connect);
    await stage.api.call("subscribe", { user, channel });
    await listener.hears((push) => push.channel === channel && push.subscribe);
    await stage.api.call("unsubscribe", { user, channel });
    await listener.hears((push) => push.channel === channel && push.unsubscribe?.code === 2000);
    await stage.api.call("disconnect", { user });
    if (way === "WebSocket") {
      assert.deepEqual(await listener.ended(), { code: 3503, reason: "force disconnect" });
    } else {
      const { disconnect } = await listener.hears((push) => push.disconnect, "the word of the end");
      assert.deepEqual([disconnect.code, disconnect.reason], [3503, "force disconnect"]);
      await listener.over();
    }
  });

  test(`a listener by ${way} ends with its token`, async (stage) => {
    const listener = await open(stage, { token: connectionToken("ada", { exp: inSeconds(2) }) });
    await listener.hears((push) => push.connect);
    if (way === "WebSocket") assert.equal((await listener.ended()).code, 3005);
    else await listener.hears((push) => push.disconnect?.code === 3005);
  });
}

test("listeners with a bad token are told so", async (stage) => {
  for (const [way, open] of Object.entries(ways)) {
    const listener = await open(stage, { token: "nonsense" });
    if (way === "WebSocket") assert.deepEqual(await listener.ended(), { code: 3500, reason: "invalid token" });
    else await listener.hears((push) => push.disconnect?.code === 3500, way);
  }
});

test("an EventSource as browsers have it hears publications and comes back by itself", async (stage) => {
  const channel = stage.channel();
  const request = JSON.stringify({ token: connectionToken("ada", { channels: [channel] }) });
  const proxy = await stage.proxy();
  const source = new EventSource(`http://${proxy.address}/connection/uni_sse?cf_connect=${encodeURIComponent(request)}`);
  stage.later(() => source.close());
  const said = [];
  source.onmessage = ({ data }) => said.push(JSON.parse(data));
  source.onerror = () => {};
  await until("welcome", () => said.some((push) => push.connect));
  proxy.drop();
  await until("a second welcome", () => said.filter((push) => push.connect).length === 2);
  await stage.api.publish(channel, "again");
  await until("the publication", () => said.some((push) => push.pub?.data === "again"));
});

test("streams say that no cache or proxy may keep them", async (stage) => {
  const request = encodeURIComponent(JSON.stringify({ token: connectionToken("ada") }));
  for (const path of [`/connection/uni_sse?cf_connect=${request}`, `/connection/sse?cf_connect=${encodeURIComponent(JSON.stringify({ id: 1, connect: { token: connectionToken("ada") } }))}`]) {
    const stream = await Stream.open(stage.server.address, path);
    stage.later(() => stream.end());
    assert.match(stream.headers["cache-control"], /no-cache|no-store/);
    assert.equal(stream.headers["x-accel-buffering"], "no");
  }
});

test("routes that are switched off are not there", async (stage) => {
  const { address } = await stage.serve({ http_stream: { enabled: false }, sse: { enabled: false } });
  for (const path of ["sse", "http_stream", "uni_sse", "uni_http_stream"]) {
    const stream = await Stream.open(address, `/connection/${path}`, { body: "{}" });
    stream.end();
    assert.equal(stream.status, 404, path);
  }
});

test("a command for a session of nobody ends nothing", async (stage) => {
  const post = (body) => fetch(`http://${stage.server.address}/emulation`, { method: "POST", body, headers: { "Content-Type": "application/json" } });
  const ada = await stage.connect();
  const unknown = await post(JSON.stringify({ session: "00000000-0000-4000-8000-000000000000", node: "nobody", data: "{}" }));
  assert.equal(unknown.status, 404);
  assert.equal((await post("{")).status, 400);
  assert.equal(ada.sdk.state, "connected");
});

test("a stream that its reader leaves ends its presence", async (stage) => {
  const channel = stage.channel();
  const listener = await ways["event stream"](stage, { token: connectionToken("ada", { channels: [channel] }) });
  await listener.hears((push) => push.connect);
  listener.end();
  await until("nobody there", async () => Object.keys(await stage.api.presence(channel)).length === 0);
});
