// A client that writes the protocol by hand, for what the SDKs never do: JSON lines over a WebSocket.

import WebSocket from "ws";
import { connectionToken } from "./token.mjs";
import { until } from "./wait.mjs";

export class Raw {
  /** Opens the socket; says nothing yet. */
  static async open(address, { path = "/connection/websocket", headers, protocols = [] } = {}) {
    const raw = new Raw();
    raw.said = [];
    raw.pings = 0;
    raw.frames = [];
    raw.socket = new WebSocket(`ws://${address}${path}`, protocols, { headers });
    raw.socket.on("message", (data, binary) => {
      raw.frames.push(data);
      if (!binary) for (const line of data.toString().split("\n")) if (line.trim()) raw.said.push(JSON.parse(line));
    });
    raw.socket.on("ping", () => { raw.pings += 1; });
    raw.socket.on("close", (code, reason) => { raw.closed = { code, reason: reason.toString() }; });
    await new Promise((resolve, reject) => {
      raw.socket.once("open", resolve);
      raw.socket.once("error", reject);
      raw.socket.once("unexpected-response", (_, response) => reject(Object.assign(new Error(`status ${response.statusCode}`), { status: response.statusCode })));
    });
    raw.socket.on("error", () => {});
    return raw;
  }

  /** Connects as this user; gives the connect result. */
  async connect(user = "ada", more = {}) {
    return (await this.ask({ id: 1, connect: { token: connectionToken(user), ...more } })).connect;
  }

  /** Several commands in one frame. */
  send(...commands) { this.socket.send(commands.map((command) => JSON.stringify(command)).join("\n")); }

  /** One command and its reply. */
  async ask(command) {
    this.send(command);
    return this.reply(command.id);
  }

  reply(id) {
    return until(() => `the reply ${id}; has heard ${JSON.stringify(this.said)}, ${JSON.stringify(this.closed)}`, () => this.said.find((reply) => reply.id === id));
  }

  get pushes() { return this.said.filter((reply) => reply.push).map((reply) => reply.push); }

  push(wanted, what = "a push") {
    return until(() => `${what}; has heard ${JSON.stringify(this.said)}`, () => this.pushes.find(wanted));
  }

  /** Waits for the close: { code, reason }. */
  async ended(ms) {
    return until(() => `a close; has heard ${JSON.stringify(this.said)}`, () => this.closed, ms);
  }

  end() { this.socket.terminate(); }
}
