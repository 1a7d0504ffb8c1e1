// Runs the cases one after the other, each on a server that answers. The last line counts them.
// usage: node run.mjs BINARY [NAME...]      (CHROMIUM: the browser, default /usr/bin/chromium)

import { mkdirSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { cases } from "./cases.mjs";
import { Server } from "./server.mjs";

const CASE_MS_MAX = 90_000;
const [binary, ...wanted] = process.argv.slice(2);
const pictures = fileURLToPath(new URL("../../target/browser", import.meta.url));
mkdirSync(pictures, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const world = { browser, binary, pictures, server: await Server.start(binary) };
let passed = 0;
let failed = 0;

for (const [name, run] of Object.entries(cases)) {
  if (wanted.length && !wanted.some((part) => name.includes(part))) continue;
  const begin = Date.now();
  try {
    const late = pause(CASE_MS_MAX, null, { ref: false }).then(() => { throw new Error(`not done after ${CASE_MS_MAX} ms`); });
    const people = await Promise.race([run(world), late]);
    const complaints = people.flatMap((person) => person.complaints.map((text) => `${person.name}: ${text}`));
    if (complaints.length) throw new Error(`the browser complained:\n${complaints.join("\n")}`);
    passed += 1;
    console.log(`ok      ${name} (${Date.now() - begin} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name} (${Date.now() - begin} ms)\n${error.stack ?? error}`);
    await keepPictures(name);
  }
  for (const context of browser.contexts()) await context.close();
  if (world.server.child.exitCode !== null || world.server.child.signalCode !== null) {
    world.server = await Server.start(binary);
  }
}

async function keepPictures(name) {
  const pages = browser.contexts().flatMap((context) => context.pages());
  for (const [index, page] of pages.entries()) {
    const path = `${pictures}/failed-${name.replace(/[^a-z0-9]+/gi, "-")}-${index + 1}.png`;
    await page.screenshot({ path, timeout: 5_000 }).then(() => console.log(`picture: ${path}`), () => {});
  }
}

await browser.close();
await world.server.end("SIGTERM");
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
