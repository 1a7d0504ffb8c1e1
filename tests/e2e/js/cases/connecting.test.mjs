// Who gets in, who does not, and how long.

import assert from "node:assert/strict";
import { sockets } from "../client.mjs";
import { suite } from "../stage.mjs";
import { connectionToken, inSeconds, token } from "../token.mjs";
import { pause, until } from "../wait.mjs";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const INVALID_TOKEN = { code: 3500, reason: "invalid token" };
const BAD_REQUEST = { code: 3501, reason: "bad request" };

const { test, matrix } = suite({ client: { expired_close_delay: "1s" } });

matrix("a client with a token connects, has an id, and is seen under its user and info", async (stage, transport) => {
  const ada = await stage.connect({ transport, user: "ada", claims: { info: { name: "Ada Lovelace" } } });
  assert.match(ada.id, UUID);
  assert.equal(ada.diary.all("connected")[0].transport, transport.kind);
  const { channel } = await ada.subscribe(stage.channel());
  const { clients } = await ada.sdk.presence(channel);
  assert.deepEqual(Object.keys(clients), [ada.id]);
  assert.equal(clients[ada.id].user, "ada");
  assert.deepEqual(ada.codec.decode(clients[ada.id].connInfo), { name: "Ada Lovelace" });
});

matrix("a client without a token is refused for good", async (stage, transport) => {
  assert.deepEqual(await stage.client({ transport, user: null }).refused(), BAD_REQUEST);
});

for (const algorithm of ["HS256", "HS384", "HS512"]) {
  test(`a token signed with ${algorithm} is accepted`, async (stage) => {
    await stage.connect({ token: token({ sub: "ada", exp: inSeconds(60) }, { algorithm }) });
  });
}

const forged = {
  "signed with another key": token({ sub: "ada", exp: inSeconds(60) }, { key: "another secret that nobody was told of" }),
  "without a signature (alg none)": token({ sub: "ada", exp: inSeconds(60) }, { algorithm: "none" }),
  "that says HS256 over another's claims": connectionToken("ada").replace(/\.[^.]*\./, `.${Buffer.from('{"sub":"root"}').toString("base64url")}.`),
  "that is no token": "nonsense",
  "of a subscription": token({ sub: "ada", channel: "room", exp: inSeconds(60) }),
};
for (const [kind, forgery] of Object.entries(forged)) {
  matrix(`a token ${kind} is refused for good`, async (stage, transport) => {
    assert.deepEqual(await stage.client({ transport, token: forgery }).refused(), INVALID_TOKEN);
  });
}

matrix("an expired token makes the SDK fetch a new one, once, and connect", async (stage, transport) => {
  let asked = 0;
  const ada = await stage.connect({
    transport,
    token: connectionToken("ada", { exp: inSeconds(-10) }),
    getToken: async () => { asked += 1; return connectionToken("ada"); },
  });
  assert.equal(asked, 1);
  assert.equal(ada.diary.all("disconnected").length, 0);
});

test("a token that is not valid yet counts as expired", async (stage) => {
  let asked = 0;
  await stage.connect({
    token: connectionToken("ada", { nbf: inSeconds(600) }),
    getToken: async () => { asked += 1; return connectionToken("ada"); },
  });
  assert.equal(asked, 1);
});

matrix("the SDK refreshes its token before it ends and stays connected", async (stage, transport) => {
  let asked = 0;
  const ada = await stage.connect({
    transport,
    token: connectionToken("ada", { exp: inSeconds(2) }),
    getToken: async () => { asked += 1; return connectionToken("ada"); },
  });
  const id = ada.id;
  await until("a refresh", () => asked === 1);
  // Beyond the end of the first token and the delay that it is granted.
  await pause(3_500);
  assert.equal(ada.sdk.state, "connected");
  assert.equal(ada.diary.all("connected").length, 1);
  const { channel } = await ada.subscribe(stage.channel());
  assert.deepEqual(Object.keys(await ada.presence(channel)), [id]);
});

test("a connection whose token is not refreshed is closed with 3005 and may come back", async (stage) => {
  const raw = await stage.raw();
  const result = await raw.connect("ada", { token: connectionToken("ada", { exp: inSeconds(2) }) });
  assert.equal(result.expires, true);
  assert.ok(result.ttl >= 1 && result.ttl <= 2, `ttl ${result.ttl}`);
  assert.deepEqual(await raw.ended(), { code: 3005, reason: "connection expired" });
});

test("expire_at of 0 lets a connection live beyond its token", async (stage) => {
  const raw = await stage.raw();
  const result = await raw.connect("ada", { token: connectionToken("ada", { exp: inSeconds(1), expire_at: 0 }) });
  assert.equal(result.expires, undefined);
  await pause(3_200);
  assert.equal(raw.closed, undefined);
});

test("a refresh names the client and the new end", async (stage) => {
  const raw = await stage.raw();
  const { client } = await raw.connect("ada", { token: connectionToken("ada", { exp: inSeconds(60) }) });
  const { refresh } = await raw.ask({ id: 2, refresh: { token: connectionToken("ada", { exp: inSeconds(600) }) } });
  assert.equal(refresh.client, client);
  assert.equal(refresh.expires, true);
  assert.ok(refresh.ttl > 590 && refresh.ttl <= 600, `ttl ${refresh.ttl}`);
});

const refreshes = {
  "an expired token is closed with 3005": [connectionToken("ada", { exp: inSeconds(-5) }), { code: 3005, reason: "connection expired" }],
  "another user's token is refused for good": [connectionToken("grace"), INVALID_TOKEN],
  "a forged token is refused for good": [forged["signed with another key"], INVALID_TOKEN],
  "no token is refused for good": ["", BAD_REQUEST],
};
for (const [what, [fresh, end]] of Object.entries(refreshes)) {
  test(`a refresh with ${what}`, async (stage) => {
    const raw = await stage.raw();
    await raw.connect();
    raw.send({ id: 2, refresh: { token: fresh } });
    assert.deepEqual(await raw.ended(), end);
  });
}

test("connect and twelve subscribes in one frame are all answered, the connect first", async (stage) => {
  const raw = await stage.raw();
  const channels = Array.from({ length: 12 }, () => stage.channel());
  raw.send({ id: 1, connect: { token: connectionToken("ada") } }, ...channels.map((channel, index) => ({ id: index + 2, subscribe: { channel } })));
  for (let id = 1; id <= 13; id += 1) await raw.reply(id);
  assert.equal(raw.said[0].id, 1);
  assert.ok(raw.said.slice(1, 13).every((reply) => reply.subscribe));
  for (const channel of channels) assert.equal((await stage.api.call("presence_stats", { channel })).num_clients, 1);
});

test("subscribes behind an expired token are not answered and do not close the connection with a refusal for good", async (stage) => {
  const raw = await stage.raw();
  raw.send({ id: 1, connect: { token: connectionToken("ada", { exp: inSeconds(-5) }) } }, { id: 2, subscribe: { channel: stage.channel() } });
  const { error } = await raw.reply(1);
  assert.equal(error.code, 109);
  assert.equal(error.message, "token expired");
  await pause(300);
  assert.equal(raw.said.length, 1);
});

const breaches = {
  "a command before connect": [[{ id: 1, subscribe: { channel: "a" } }], BAD_REQUEST],
  "a second connect": [[{ id: 1, connect: { token: connectionToken("ada") } }, { id: 2, connect: { token: connectionToken("ada") } }], BAD_REQUEST],
  "a pong that nobody asked for": [[{ id: 1, connect: { token: connectionToken("ada") } }, {}], BAD_REQUEST],
  "a command that asks for nothing": [[{ id: 1, connect: { token: connectionToken("ada") } }, { id: 2 }], BAD_REQUEST],
  "a subscribe without a channel": [[{ id: 1, connect: { token: connectionToken("ada") } }, { id: 2, subscribe: {} }], BAD_REQUEST],
  "a send that nobody takes": [[{ id: 1, connect: { token: connectionToken("ada") } }, { send: { data: 1 } }], { code: 3508, reason: "not available" }],
};
for (const [what, [commands, end]] of Object.entries(breaches)) {
  test(`${what} ends the connection with ${end.code}`, async (stage) => {
    const raw = await stage.raw();
    raw.send(...commands);
    assert.deepEqual(await raw.ended(), end);
  });
}

test("a token without a user is anonymous, and refused where such tokens are", async (stage) => {
  const anonymous = token({ exp: inSeconds(60) });
  await stage.connect({ token: anonymous });
  const strict = await stage.serve({ client: { disallow_anonymous_connection_tokens: true } });
  const refusal = await stage.client({ address: strict.address, token: anonymous }).refused();
  assert.deepEqual(refusal, { code: 3507, reason: "permission denied" });
});

matrix("anonymous clients are welcome where the operator says so", async (stage, transport) => {
  const open = await stage.serve({ client: { allow_anonymous_connect_without_token: true } });
  const nobody = await stage.connect({ address: open.address, transport, user: null });
  assert.match(nobody.id, UUID);
}, { transports: sockets });

test("a client that never says connect is closed with 3502", async (stage) => {
  const hasty = await stage.serve({ client: { stale_close_delay: "300ms" } });
  const raw = await (await import("../raw.mjs")).Raw.open(hasty.address);
  stage.later(() => raw.end());
  assert.deepEqual(await raw.ended(), { code: 3502, reason: "stale" });
});

test("a user beyond the limit of connections is refused with 3504", async (stage) => {
  const narrow = await stage.serve({ client: { user_connection_limit: 2 } });
  const address = narrow.address;
  await stage.connect({ address });
  await stage.connect({ address });
  assert.deepEqual(await stage.client({ address }).refused(), { code: 3504, reason: "connection limit" });
  await stage.connect({ address, user: "grace" });
});
