// The server API over plain HTTP, as any back end calls it.

export const API_KEY = "a key of the end-to-end tests";

export class Api {
  constructor(address) { this.address = address; }

  /** One call: { status, body }. */
  async post(method, body, headers = { "X-API-Key": API_KEY }) {
    const response = await fetch(`http://${this.address}/api/${method}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await response.text();
    let parsed = null;
    try { parsed = JSON.parse(text); } catch { /* refusals are plain text */ }
    return { status: response.status, body: parsed, text };
  }

  /** The result of a call that has to succeed. */
  async call(method, body = {}) {
    const { status, body: reply, text } = await this.post(method, body);
    if (status !== 200 || !reply?.result) throw new Error(`${method} ${JSON.stringify(body)}: ${status} ${text}`);
    return reply.result;
  }

  publish(channel, data, more = {}) { return this.call("publish", { channel, data, ...more }); }

  async presence(channel) { return (await this.call("presence", { channel })).presence; }

  /** Publishes { n } for each n from `first` to `last`, in order. */
  async count(channel, first, last, more = {}) {
    for (let n = first; n <= last; n += 1) await this.publish(channel, { n }, more);
  }
}
