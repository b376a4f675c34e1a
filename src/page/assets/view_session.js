// One session: what happened, in order, with what each prompt came to.
import { ask } from "./api.js";
import { href, zone } from "./address.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { sum } from "./totals.js";

export const ranged = false;
/** The source of most requests, which needs no word. */
const MAIN = "repl_main_thread";
export const title = (state, data) => `Session of ${format.dayTime(data.started)}`;
export const load = (state, signal) => ask("session", new URLSearchParams({ id: state.id, tz: zone() }), signal);

export function draw(place, data, state) {
  const turns = byPrompt(withoutAccepted(data.events));
  place.replaceChildren(
    h("p", {}, h("a", { class: "link", href: href(state, { view: "sessions", id: null }) }, "← Sessions")),
    h("div", { class: "heading" }, h("h1", {}, `${data.project ?? "Session"} · ${format.dayTime(data.started)}`),
      h("p", {}, data.session), data.imported ? h("span", { class: "tag" }, "imported") : null),
    h("div", { class: "grid" }, facts(data), timeline(turns, data)),
    h("div", { class: "footnotes" },
      h("p", {}, "Costs are list prices. Bars show when within its prompt something ran, and for how long."),
      data.left_out ? h("p", {}, `The first ${format.plural(data.left_out, "event")} are not shown; the sums are of all.`) : null));
}

function facts(data) {
  const fact = (name, value, large) => value === null || value === undefined ? null
    : h("div", {}, h("dt", {}, name), h("dd", { class: large ? "large" : null }, value));
  return h("section", { class: "card", "aria-label": "What it came to" }, h("div", { class: "card-body facts-only" }, h("dl", { class: "facts" },
    fact("Cost, list price", format.money(data.cost_usd), true),
    fact("Tokens", format.compact(sum(data.tokens)), true),
    fact("Cache hits", format.ratio(data.cache_hit_ratio), true),
    fact("Prompts", format.count(data.prompts), true),
    fact("Requests", format.count(data.requests), true),
    fact("Tool calls", format.count(data.tool_calls), true),
    fact("Errors", format.count(data.errors), true),
    fact("From first to last", format.seconds((Date.parse(data.last) - Date.parse(data.started)) / 1000), true),
    fact("Models", data.models.map(format.model).join(", ") || null),
    fact("Team", data.team), fact("Repository", data.repo), fact("Branch", data.branch), fact("User", data.user), fact("Plan", data.plan), fact("Claude Code", data.version))));
}

/** That a tool was accepted is told with the tool, where it ran. */
function withoutAccepted(events) {
  const ran = new Set(events.filter((it) => it.kind === "tool").map((it) => it.tool_use).filter(Boolean));
  return events.filter((it) => it.kind !== "decision" || !it.accepted || !ran.has(it.tool_use));
}

function byPrompt(events) {
  const turns = [];
  let turn = null;
  const known = new Map();
  for (const event of events) {
    if (event.kind === "prompt") {
      turn = { prompt: event, id: event.prompt, items: [], number: turns.filter((it) => it.prompt).length + 1 };
      turns.push(turn);
      if (event.prompt) known.set(event.prompt, turn);
      continue;
    }
    const mine = known.get(event.prompt) ?? (event.prompt === null ? turn : null);
    if (mine) mine.items.push(event);
    else {
      const other = { prompt: null, id: event.prompt, items: [event] };
      turns.push(other);
      turn ??= other;
      if (event.prompt) known.set(event.prompt, other);
    }
  }
  return turns;
}

function timeline(turns, data) {
  return h("section", { class: "card", "aria-labelledby": "timeline" },
    h("div", { class: "card-head" }, h("h2", { id: "timeline" }, "Timeline"), h("p", {}, `${format.fullDay(data.started)}`)),
    h("div", { class: "card-body flush" }, turns.map(drawTurn)));
}

function drawTurn(turn) {
  const begins = turn.items.map((it) => Date.parse(it.at) - (it.duration_ms ?? 0));
  const start = Math.min(...begins, turn.prompt ? Date.parse(turn.prompt.at) : Infinity);
  const end = Math.max(...turn.items.map((it) => Date.parse(it.at)), start + 1);
  const requests = turn.items.filter((it) => it.kind === "request");
  const tools = turn.items.filter((it) => it.kind === "tool").length;
  const cost = requests.reduce((all, it) => all + (it.cost_usd ?? 0), 0);
  const name = turn.prompt ? `Prompt ${turn.number}` : "Without a prompt";
  const about = [turn.prompt?.command && `/${turn.prompt.command.replace(/^\//, "")}`,
    turn.prompt?.length && format.plural(turn.prompt.length, "character"),
    format.plural(requests.length, "request"), tools && format.plural(tools, "tool call"),
    turn.items.length > 0 && format.seconds((end - start) / 1000)].filter(Boolean).join(" · ");
  return h("article", { class: "turn" },
    h("div", { class: "turn-head" }, h("h3", {}, name),
      h("span", { class: "muted" }, `${format.timeFine(start)} · ${about}`),
      h("span", { class: "amount" }, format.money(cost))),
    h("ol", {}, turn.items.map((it) => drawItem(it, start, end - start))));
}

function drawItem(it, start, span) {
  const at = Date.parse(it.at);
  const begun = at - (it.duration_ms ?? 0);
  const { what, detail, failed } = describe(it);
  return h("li", { class: "lane", "data-kind": it.kind, "data-failed": failed },
    h("span", { class: "at" }, format.timeFine(begun)),
    h("span", { class: "what" }, h("span", { class: "dot", "aria-hidden": "true" }), h("span", { title: what }, what)),
    h("span", { class: "detail", title: detail }, detail),
    h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "lane-bar", style: {
      left: `${Math.max(0, begun - start) / span * 100}%`, width: `${(it.duration_ms ?? 0) / span * 100}%` } })),
    h("span", { class: "took" }, it.duration_ms === null || it.duration_ms === undefined ? "" : format.milliseconds(it.duration_ms)),
    h("span", { class: "cost" }, it.kind === "request" ? format.money(it.cost_usd) : ""));
}

function describe(it) {
  if (it.kind === "request") {
    const parts = [`${format.compact(it.tokens.input)} in`, `${format.compact(it.tokens.output)} out`,
      `${format.compact(it.tokens.cache_read)} from cache`, it.tokens.cache_creation && `${format.compact(it.tokens.cache_creation)} to cache`,
      it.first_token_ms && `first token ${format.milliseconds(it.first_token_ms)}`, it.source && it.source !== MAIN && it.source.replace(/^agent:(builtin:)?/, "agent ")];
    return { what: format.model(it.model), detail: parts.filter(Boolean).join(" · ") };
  }
  if (it.kind === "tool") {
    const failed = it.success === false;
    return { what: it.tool ?? "unknown tool", detail: failed ? ["failed", it.error_type].filter(Boolean).join(": ") : "", failed };
  }
  if (it.kind === "decision") {
    const words = it.accepted === null ? "decided" : it.accepted ? "accepted" : "rejected";
    return { what: `${it.tool ?? "a tool"} ${words}`, detail: it.source ? `by ${it.source.replaceAll("_", " ")}` : "", failed: it.accepted === false };
  }
  const parts = [it.class && it.class.replaceAll("_", " "), it.attempt > 1 && `attempt ${it.attempt}`, it.model && format.model(it.model)];
  return { what: it.status ? `Error ${it.status}` : "Request failed", detail: parts.filter(Boolean).join(" · ") };
}
