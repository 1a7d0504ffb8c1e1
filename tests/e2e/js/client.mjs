// A client with the official SDK, unchanged, over one of its transports; it remembers everything that it was told.

import { Centrifuge as Json } from "centrifuge";
import { Centrifuge as Protobuf } from "centrifuge/build/protobuf";
import EventSource from "eventsource";
import WebSocket from "ws";
import { connectionToken } from "./token.mjs";
import { next, until } from "./wait.mjs";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** How payloads look in the hands of the application. */
const codecs = {
  json: { sdk: Json, encode: (value) => value, decode: (data) => data },
  protobuf: {
    sdk: Protobuf,
    encode: (value) => encoder.encode(JSON.stringify(value)),
    decode: (data) => (data?.length ? JSON.parse(decoder.decode(data)) : null),
  },
};

/** Every way in that the SDK knows. Those with emulation send commands as requests of their own, in any order. */
export const transports = [
  { name: "WebSocket JSON", kind: "websocket", codec: codecs.json },
  { name: "WebSocket Protobuf", kind: "websocket", codec: codecs.protobuf },
  { name: "HTTP stream JSON", kind: "http_stream", codec: codecs.json, emulation: true },
  { name: "HTTP stream Protobuf", kind: "http_stream", codec: codecs.protobuf, emulation: true },
  { name: "SSE JSON", kind: "sse", codec: codecs.json, emulation: true },
];
export const sockets = transports.filter((transport) => transport.kind === "websocket");
export const [JSON_SOCKET, PROTOBUF_SOCKET] = sockets;

/** Reconnects at once, so that tests wait for the server and not for a back-off. */
const HURRY = { minReconnectDelay: 50, maxReconnectDelay: 250 };
const HURRY_SUBSCRIBE = { minResubscribeDelay: 50, maxResubscribeDelay: 250 };

const CLIENT_EVENTS = ["connecting", "connected", "disconnected", "error", "message",
  "subscribing", "subscribed", "unsubscribed", "publication", "join", "leave"];
const SUBSCRIPTION_EVENTS = ["subscribing", "subscribed", "unsubscribed", "error", "publication", "join", "leave"];

/** What an emitter has said: { name, context } in order. */
class Diary {
  constructor(emitter, names) {
    this.entries = [];
    for (const name of names) emitter.on(name, (context) => this.entries.push({ name, context }));
  }

  all(name) { return this.entries.filter((entry) => entry.name === name).map((entry) => entry.context); }

  show() { return this.entries.map(({ name, context }) => `${name} ${JSON.stringify(context)}`).join("\n").slice(-3000); }
}

export class Client {
  /** `address` is "host:port" of the server or of a proxy. `user` gets a token; null: none is sent. */
  constructor(address, { transport = JSON_SOCKET, user = "ada", claims = {}, path = "", tls = false, ...options } = {}) {
    const { sdk: Sdk } = transport.codec;
    const http = `${tls ? "https" : "http"}://${address}`;
    this.codec = transport.codec;
    this.sockets = [];
    const remembered = this.sockets;
    const endpoint = {
      websocket: `${tls ? "wss" : "ws"}://${address}/connection/websocket${path}`,
      http_stream: `${http}/connection/http_stream`,
      sse: `${http}/connection/sse`,
    }[transport.kind];
    this.sdk = new Sdk([{ transport: transport.kind, endpoint }], {
      // Only so that tests can reach the socket below; nothing of it is changed.
      websocket: class extends WebSocket { constructor(...given) { super(...given); remembered.push(this); } },
      eventsource: EventSource,
      emulationEndpoint: `${http}/emulation`,
      ...HURRY,
      ...(user !== null && { token: connectionToken(user, claims) }),
      ...options,
      ...("data" in options && { data: this.codec.encode(options.data) }),
    });
    this.diary = new Diary(this.sdk, CLIENT_EVENTS);
    this.subscriptions = [];
  }

  /** Connects, and waits until it is. */
  async connect(ms) {
    this.sdk.connect();
    await this.connected(ms);
    return this;
  }

  async connected(ms) {
    await until(() => `connected; has seen:\n${this.diary.show()}`, () => {
      if (this.sdk.state === "disconnected") throw new Error(`refused:\n${this.diary.show()}`);
      return this.sdk.state === "connected";
    }, ms);
  }

  /** Connects, and waits for the refusal: { code, reason }. */
  async refused() {
    const end = next(this.sdk, "disconnected");
    this.sdk.connect();
    return end;
  }

  get id() { return this.diary.all("connected").at(-1)?.client; }

  /** A subscription that is not made yet. */
  subscription(channel, options = {}) {
    const subscription = new Subscription(this, channel, options);
    this.subscriptions.push(subscription);
    return subscription;
  }

  /** Subscribes, and waits until it is done. */
  async subscribe(channel, options = {}) { return this.subscription(channel, options).subscribe(); }

  publish(channel, value) { return this.sdk.publish(channel, this.codec.encode(value)); }

  async rpc(method, value) { return this.codec.decode((await this.sdk.rpc(method, this.codec.encode(value))).data); }

  async presence(channel) { return (await this.sdk.presence(channel)).clients; }

  async history(channel, options) {
    const { publications, ...position } = await this.sdk.history(channel, options);
    return { ...position, publications: publications.map((publication) => this.read(publication)) };
  }

  /** A publication with its payload as a value. */
  read(publication) { return { ...publication, data: this.codec.decode(publication.data) }; }

  /** Publications of server-side subscriptions. */
  received(channel) {
    return this.diary.all("publication").filter((context) => context.channel === channel).map((context) => this.read(context));
  }

  /** Payloads of a server-side subscription, once there are so many. */
  async hears(channel, count) {
    await until(() => `${count} publications in ${channel}; has seen:\n${this.diary.show()}`, () => this.received(channel).length >= count);
    return this.received(channel).map((publication) => publication.data);
  }

  end() {
    this.sdk.disconnect();
    for (const socket of this.sockets) socket.terminate();
  }
}

class Subscription {
  constructor(client, channel, options) {
    this.client = client;
    this.channel = channel;
    this.sdk = client.sdk.newSubscription(channel, {
      ...HURRY_SUBSCRIBE,
      ...options,
      ...("data" in options && { data: client.codec.encode(options.data) }),
    });
    this.diary = new Diary(this.sdk, SUBSCRIPTION_EVENTS);
  }

  async subscribe() {
    this.sdk.subscribe();
    await this.subscribed();
    return this;
  }

  /** Waits until it is subscribed, for the `count`th time at least. */
  async subscribed(count = 1, ms) {
    await until(
      () => `subscribed to ${this.channel} (${count}); has seen:\n${this.diary.show()}\nclient:\n${this.client.diary.show()}`,
      () => {
        if (this.sdk.state === "unsubscribed") throw new Error(`refused:\n${this.diary.show()}`);
        return this.sdk.state === "subscribed" && this.diary.all("subscribed").length >= count;
      },
      ms,
    );
  }

  /** Subscribes, and waits for the refusal: { code, reason }. */
  async refused() {
    const end = next(this.sdk, "unsubscribed");
    this.sdk.subscribe();
    const { code, reason } = await end;
    return { code, reason };
  }

  /** What the last subscribe reply said. */
  get state() { return this.diary.all("subscribed").at(-1); }

  get received() { return this.diary.all("publication").map((context) => this.client.read(context)); }

  /** The payloads, once there are so many. */
  async hears(count, ms) {
    await until(
      () => `${count} publications in ${this.channel}, has ${this.received.length}; has seen:\n${this.diary.show()}`,
      () => this.received.length >= count,
      ms,
    );
    return this.received.map((publication) => publication.data);
  }

  publish(value) { return this.sdk.publish(this.client.codec.encode(value)); }

  async history(options) {
    const { publications, ...position } = await this.sdk.history(options);
    return { ...position, publications: publications.map((publication) => this.client.read(publication)) };
  }
}
