// The server under test: the real binary on free ports, stopped by its own process id.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const START_MS_MAX = 10_000;
const STOP_MS_MAX = 40_000;
/** Each process and the folder that it lives in. */
const running = new Map();

export class Server {
  /** Without the text of a configuration in development mode: anonymous clients welcome. Variables of the environment count in both. */
  static async start(binary, listen = "127.0.0.1:0", config = null, variables = {}) {
    const server = new Server();
    const folder = mkdtempSync(join(tmpdir(), "ringway-test-"));
    const ready = join(folder, "ready");
    const options = ["serve", "--listen", listen, "--internal", "127.0.0.1:0", "--ready-file", ready];
    if (config !== null) {
      writeFileSync(join(folder, "ringway.toml"), config);
      options.push("--config", "ringway.toml");
    }
    server.output = "";
    const env = { ...process.env, ...variables };
    server.child = spawn(binary, options, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
    running.set(server.child, folder);
    for (const stream of [server.child.stdout, server.child.stderr]) stream.on("data", (text) => { server.output += text; });
    server.ended = new Promise((resolve, reject) => {
      server.child.once("error", reject);
      server.child.once("close", (code, signal) => { forget(server.child); resolve({ code, signal }); });
    });
    Object.assign(server, await server.#ready(ready));
    return server;
  }

  async #ready(file) {
    let ended = false;
    this.ended.then(() => { ended = true; }, () => { ended = true; });
    for (const end = Date.now() + START_MS_MAX; Date.now() < end && !ended; await pause(20)) {
      try {
        const { public: address, internal } = JSON.parse(readFileSync(file, "utf8"));
        return { address, internal };
      } catch { /* not written yet, or only in part */ }
    }
    this.child.kill("SIGKILL");
    throw new Error(`the server did not start:\n${this.output}`);
  }

  get url() { return `http://${this.address}/`; }

  /** Replaces the configuration, all at once, for the next SIGHUP. */
  rewrite(config) {
    const folder = running.get(this.child);
    writeFileSync(join(folder, "draft"), config);
    renameSync(join(folder, "draft"), join(folder, "ringway.toml"));
  }

  signal(name) { this.child.kill(name); }

  /** Sends the signal and waits for the end: { code, signal }. */
  async end(name) {
    this.signal(name);
    const late = pause(STOP_MS_MAX, "late", { ref: false });
    const end = await Promise.race([this.ended, late]);
    if (end === "late") throw new Error(`the server did not end after ${name}:\n${this.output}`);
    return end;
  }
}

function forget(child) {
  rmSync(running.get(child), { recursive: true, force: true });
  running.delete(child);
}

process.on("exit", () => {
  for (const child of [...running.keys()]) {
    child.kill("SIGKILL");
    forget(child);
  }
});
