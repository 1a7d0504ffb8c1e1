// A person with a browser of their own: what they do, and what they can see.

export class Person {
  /** Opens the page in a fresh profile and joins under this name. */
  static async arrive(browser, url, name, { hash = "", join = true, prepare = () => {}, ...look } = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce", ...look });
    const person = new Person();
    Object.assign(person, { name, context, complaints: [] });
    const page = person.page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.on("pageerror", (error) => person.complaints.push(String(error)));
    page.on("dialog", (dialog) => { person.complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on("console", (line) => {
      // The browser itself reports each attempt that finds no server; that is what some cases are about.
      if (["error", "warning"].includes(line.type()) && !/WebSocket connection to .* failed|net::ERR_/.test(line.text())) person.complaints.push(line.text());
    });
    await prepare(page);
    await page.goto(url + hash);
    if (join) await person.join(name);
    return person;
  }

  async join(name) {
    await this.page.fill("#profile-name", name);
    await this.page.press("#profile-name", "Enter");
    await this.link("online");
  }

  async say(text) {
    await this.page.fill("#composer", text);
    await this.page.press("#composer", "Enter");
  }

  /** Waits until this text stands in a bubble. */
  async reads(text) { await this.bubble(text).waitFor(); }

  bubble(text) { return this.page.locator(".bubble").filter({ hasText: text }); }

  async bubbles() { return this.page.locator(".bubble").allTextContents(); }

  async openRoom(name) { await this.page.click(`[data-room="${name}"]`); }

  /** Waits for a state of the connection; several are alternatives. */
  async link(...states) {
    await this.page.locator(states.map((state) => `body[data-link="${state}"]`).join(", ")).waitFor({ state: "attached" });
  }

  /** Waits until exactly these people are here; oneself first, the others by the alphabet. */
  async sees(...names) {
    const list = this.page.locator("#people-list .name");
    await this.page.waitForFunction(
      (names) => JSON.stringify([...document.querySelectorAll("#people-list .name")].map((name) => name.textContent)) === JSON.stringify(names),
      names,
    ).catch(async () => { throw new Error(`${this.name} should see ${names}, sees ${await list.allTextContents()}`); });
  }

  /** The browser's word for a tab in the background; headless pages are always in front. */
  async hide(isHidden) {
    await this.page.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, isHidden);
  }

  async text(selector) { return (await this.page.locator(selector).textContent()) ?? ""; }

  async picture(folder, name) {
    await this.page.waitForTimeout(150);
    await this.page.screenshot({ path: `${folder}/${name}.png` });
  }

  async leave() {
    await this.page.close({ runBeforeUnload: true }).catch(() => {});
    await this.context.close();
  }
}
