// A network between client and server that can be cut: bytes vanish both ways, and nobody is told until it comes back.

import net from "node:net";
import { pause } from "./wait.mjs";

export class Proxy {
  #server;
  #pairs = new Set();
  #dark = false;

  /** Forwards connections to `target` ("host:port"). */
  static async start(target) {
    const proxy = new Proxy();
    const [host, port] = target.split(":");
    proxy.#server = net.createServer((client) => proxy.#join(client, net.connect({ host, port: Number(port), noDelay: true })));
    await new Promise((resolve, reject) => proxy.#server.once("error", reject).listen(0, "127.0.0.1", resolve));
    proxy.address = `127.0.0.1:${proxy.#server.address().port}`;
    return proxy;
  }

  #join(client, server) {
    const pair = { client, server, lost: this.#dark };
    this.#pairs.add(pair);
    client.setNoDelay(true);
    const over = () => {
      // A lost network also loses the news of an end.
      if (this.#dark) return;
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const [from, to] of [[client, server], [server, client]]) {
      from.on("data", (bytes) => {
        if (this.#dark || pair.lost) { pair.lost = true; return; }
        if (!to.write(bytes)) { from.pause(); to.once("drain", () => from.resume()); }
      });
      from.on("error", over);
      from.on("close", over);
    }
  }

  /** Drops every byte for so long. Then connections that lost any are reset, as a middle box would. */
  async cut(ms) {
    this.#dark = true;
    await pause(ms);
    this.restore();
  }

  darken() { this.#dark = true; }

  restore() {
    this.#dark = false;
    for (const pair of [...this.#pairs]) this.#reset(pair);
  }

  /** Ends every connection at once, in the open. */
  drop() {
    for (const pair of [...this.#pairs]) this.#reset(pair);
  }

  #reset(pair) {
    this.#pairs.delete(pair);
    pair.client.resetAndDestroy();
    pair.server.resetAndDestroy();
  }

  get connections() { return this.#pairs.size; }

  async stop() {
    this.#dark = false;
    this.drop();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
