// Waiting, always with an end: for a condition, for an event, for time.

import { setTimeout as pause } from "node:timers/promises";

export const WAIT_MS_MAX = 10_000;
export { pause };

/** Polls until `condition` gives something true, and returns it. `what` may be a function, to show the state at the end. */
export async function until(what, condition, ms = WAIT_MS_MAX) {
  const end = Date.now() + ms;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${typeof what === "function" ? what() : what}`);
    await pause(10);
  }
}

/** The next event of this name that satisfies `wanted`. Call before what causes it. */
export function next(emitter, name, { wanted = () => true, ms = WAIT_MS_MAX } = {}) {
  const shown = new Error(`no "${name}" event within ${ms} ms`);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => { stop(); reject(shown); }, ms);
    const take = (context) => { if (wanted(context)) { stop(); resolve(context); } };
    const stop = () => { clearTimeout(timer); emitter.removeListener(name, take); };
    emitter.on(name, take);
  });
}
