// What a test file has: a server of its own with a configuration of its own, and what a test takes is given back after it.

import { after, before, test as nodeTest } from "node:test";
import { Server } from "../../browser/server.mjs";
import { Api, API_KEY } from "./api.mjs";
import { Client, transports as allTransports } from "./client.mjs";
import { Proxy } from "./proxy.mjs";
import { Raw } from "./raw.mjs";
import { toml } from "./toml.mjs";
import { SECRET } from "./token.mjs";

const CASE_MS_MAX = 60_000;
const binary = process.env.RINGWAY;
if (!binary) throw new Error("RINGWAY names the server's binary; scripts/test-e2e does it");

/** What users may do in the channels that a test uses for no special reason. */
export const OPEN = {
  allow_subscribe_for_client: true,
  allow_publish_for_client: true,
  allow_presence_for_client: true,
  allow_history_for_client: true,
  presence: true,
};

/** A channel that remembers. */
export const LOG = { ...OPEN, history_size: 1000, history_ttl: "300s", force_recovery: true };

/** A configuration with these options on top of what every test needs. `undefined` takes one out. */
export function configuration(options = {}) {
  return toml(merge({
    client: { allowed_origins: ["*"], token: { hmac_secret_key: SECRET } },
    channel: { without_namespace: OPEN },
    http_api: { key: API_KEY },
    http_stream: { enabled: true },
    sse: { enabled: true },
    shutdown: { drain_window: "0s" },
  }, options));
}

function merge(base, more) {
  const merged = { ...base };
  for (const [key, value] of Object.entries(more)) {
    if (value === undefined) delete merged[key];
    else if (typeof value === "object" && !Array.isArray(value)) merged[key] = merge(merged[key] ?? {}, value);
    else merged[key] = value;
  }
  return merged;
}

/** A server with these options. Whoever starts it stops it. */
export async function serve(options, listen) {
  const server = await Server.start(binary, listen, configuration(options));
  server.api = new Api(server.internal);
  return server;
}

/**
 * The tests of one file. `options` may be a function, for what is known only when the file runs.
 * Gives `test(name, run)` and `matrix(name, run)`, which makes a test for each transport; `run` gets a Stage.
 */
export function suite(options = {}) {
  const world = {};
  before(async () => { world.server = await serve(typeof options === "function" ? await options() : options); });
  after(async () => { await world.server?.end("SIGTERM"); });
  const test = (name, run, { ms = CASE_MS_MAX } = {}) => nodeTest(name, { timeout: ms }, async () => {
    const stage = new Stage(world.server);
    try {
      await run(stage);
      if (world.server.child.exitCode !== null || world.server.child.signalCode !== null) throw new Error("the server has ended");
    } catch (error) {
      if (world.server.output) console.log(`the server said:\n${world.server.output.slice(-4000)}`);
      throw error;
    } finally {
      await stage.end();
    }
  });
  const matrix = (name, run, { transports = allTransports, ...more } = {}) => {
    for (const transport of transports) test(`${name} [${transport.name}]`, (stage) => run(stage, transport), more);
  };
  return { test, matrix };
}

/** What one test may use. */
class Stage {
  #ends = [];

  constructor(server) {
    this.server = server;
    this.api = server.api;
  }

  /** A channel that no other test uses. */
  channel(namespace = "", tail = "") {
    Stage.#count += 1;
    return `${namespace && `${namespace}:`}room-${Stage.#count}${tail}`;
  }

  static #count = 0;

  /** A client that has not connected. */
  client({ address = this.server.address, ...options } = {}) {
    const client = new Client(address, options);
    this.later(() => client.end());
    return client;
  }

  /** A client that has connected. */
  connect(options) { return this.client(options).connect(); }

  /** A WebSocket that speaks the protocol by hand. */
  async raw(options = {}) {
    const raw = await Raw.open(this.server.address, options);
    this.later(() => raw.end());
    return raw;
  }

  async proxy(target = this.server.address) {
    const proxy = await Proxy.start(target);
    this.later(() => proxy.stop());
    return proxy;
  }

  /** Another server, with options of its own. */
  async serve(options, listen) {
    const server = await serve(options, listen);
    this.later(async () => { if (server.child.exitCode === null && server.child.signalCode === null) await server.end("SIGTERM"); });
    return server;
  }

  /** Does this after the test, last things first. */
  later(end) { this.#ends.push(end); }

  async end() {
    for (const end of this.#ends.reverse()) await end();
  }
}
