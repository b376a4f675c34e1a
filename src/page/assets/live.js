// Hears of news: one request that the agent answers when there are any. Nothing is asked while the
// tab is hidden.
import { ask } from "./api.js";

const PAUSE_MS = 2_000;
const PAUSE_MAX_MS = 60_000;

let running = null;

export function start(onNews, onState) {
  if (running) return;
  running = new AbortController();
  loop(onNews, onState);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) running?.abort();
    else {
      running = new AbortController();
      loop(onNews, onState);
    }
  });
}

export function stop() {
  running?.abort();
  running = null;
}

let seen = null;

async function loop(onNews, onState) {
  const mine = running;
  let pause = PAUSE_MS;
  while (mine === running && !mine.signal.aborted) {
    try {
      const { stamp } = await ask("live", new URLSearchParams(seen === null ? {} : { seen }), mine.signal);
      onState("on");
      pause = PAUSE_MS;
      const before = seen;
      seen = stamp;
      if (before !== null && stamp !== before) await onNews();
    } catch (error) {
      if (mine.signal.aborted) return;
      onState("off");
      if (error.kind === "unauthenticated") {
        stop();
        return onNews();
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(pause * 2, PAUSE_MAX_MS);
    }
  }
}
