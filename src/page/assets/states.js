// What is shown where there is nothing to show: why, and what to do.
import { h } from "./dom.js";
import { href } from "./address.js";

function command(text) {
  const copy = h("button", { type: "button", "aria-label": `Copy ${text}`, onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = "Copied";
    } catch { copy.textContent = "Select it to copy"; }
  } }, "Copy");
  return h("div", { class: "command" }, h("span", {}, text), copy);
}

function state(title, text, ...more) {
  return h("div", { class: "state", "data-state": title }, h("h1", {}, title), text && h("p", {}, text), ...more);
}

export function firstRun() {
  const step = (text, line) => h("li", {}, h("span", {}, text), command(line));
  return state("Nothing has been counted yet",
    "This page fills by itself as soon as the first session runs. It stays open; there is nothing to reload.",
    h("ol", { class: "steps" },
      step("Run a session, in any repository:", "ccotel claude"),
      step("Or bring in what Claude Code has kept of earlier sessions:", "ccotel import"),
      step("Or look around with made-up data first:", "ccotel demo")));
}

export function emptyRange(now) {
  return state("Nothing in this range",
    now.filters.length ? "No session matches these filters in the range that is picked." : "No session ran in the range that is picked.",
    h("div", { class: "actions" },
      now.filters.length ? h("a", { class: "button primary", href: href(now, { filters: [] }) }, "Remove the filters") : null,
      h("a", { class: now.filters.length ? "button" : "button primary", href: href(now, { since: "365d", until: "" }) }, "Show the last year")));
}

/** Also of what failed: the words are the agent's own. */
export function failed(error, retry) {
  if (error.kind === "unauthenticated") {
    return state("Run ccotel open again",
      "The agent has been started anew since this page was opened, or this tab was opened by hand. What you see here is for you alone, so it asks for a new key:",
      command("ccotel open"));
  }
  const again = h("div", { class: "actions" }, h("button", { class: "button primary", type: "button", onclick: retry }, "Try again"));
  if (error.kind === "unreachable") {
    return state("The agent does not answer",
      "It may have been stopped or replaced. Nothing that it has counted is lost. If this stays, open the page anew:",
      command("ccotel open"), again);
  }
  if (error.kind === "damaged") {
    return state("The history is damaged", `${error.message}.`, command("ccotel agent restart"), again);
  }
  if (error.kind === "question") {
    return state("This address asks for something that is not there", `${error.message}.`,
      h("div", { class: "actions" }, h("a", { class: "button primary", href: "/" }, "Show the overview")));
  }
  if (error.kind === "no_session") {
    return state("No such session", `${error.message}.`,
      h("div", { class: "actions" }, h("a", { class: "button primary", href: "/sessions" }, "Show all sessions")));
  }
  return state("That did not work", `${error.message}.`, again);
}

export function loading() {
  return h("div", { class: "grid", "aria-hidden": "true" },
    ...[96, 340, 300].map((height) => h("div", { class: "skeleton", style: { height: `${height}px` } })));
}
