// A plain HTTP client that listens to a stream of lines or events, as curl or an old device would.

import http from "node:http";
import { until } from "./wait.mjs";

export class Stream {
  /** Opens the stream; `body` makes it a POST. Waits for its head. */
  static async open(address, path, { body, headers = {} } = {}) {
    const stream = new Stream();
    stream.text = "";
    stream.ended = false;
    const [host, port] = address.split(":");
    stream.request = http.request({ host, port, path, method: body === undefined ? "GET" : "POST", headers, agent: false });
    stream.response = await new Promise((resolve, reject) => {
      stream.request.once("response", resolve).once("error", reject).end(body);
    });
    stream.request.on("error", () => {});
    stream.status = stream.response.statusCode;
    stream.headers = stream.response.headers;
    stream.response.setEncoding("utf8").on("data", (text) => { stream.text += text; });
    stream.response.on("error", () => {}).on("close", () => { stream.ended = true; });
    return stream;
  }

  /** What has come so far, one value a line or an event. */
  get said() {
    const lines = this.text.split("\n").slice(0, -1).map((line) => line.replace(/^data: /, "").trim());
    return lines.filter(Boolean).map((line) => JSON.parse(line));
  }

  hears(wanted, what = "a push") {
    return until(() => `${what}; has heard ${this.text}`, () => this.said.find(wanted));
  }

  async over() { await until(() => `the end of the stream; has heard ${this.text}`, () => this.ended); }

  end() { this.request.destroy(); }
}
