// Sessions of the range, the newest first.
import { ask } from "./api.js";
import { href, question } from "./address.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { table } from "./lists.js";
import { emptyRange, firstRun } from "./states.js";
import { sum } from "./totals.js";

export const ranged = true;
export const title = () => "Sessions";
export const load = (state, signal) => ask("sessions", question(state), signal);

export function draw(place, data, state) {
  if (data.first === null) return place.replaceChildren(firstRun());
  const heading = h("div", { class: "heading" }, h("h1", {}, "Sessions"), h("p", {}, format.range(data.since, data.until)));
  if (data.rows.length === 0) return place.replaceChildren(heading, emptyRange(state));
  place.replaceChildren(heading,
    h("section", { class: "card", "aria-label": "Sessions" }, h("div", { class: "card-body flush" }, table("Sessions of the range", columns(state), data.rows, { sort: 0 }))),
    h("div", { class: "footnotes" },
      data.more ? h("p", {}, `These are the ${format.plural(data.rows.length, "session")} that ended last; a shorter range or a filter shows others.`) : null,
      h("p", {}, "Cost is the list price of the requests that a session made in this range.")));
}

const columns = (state) => [
  { head: "Session", value: (it) => Date.parse(it.started), number: false, cell: (it) => [
    h("a", { class: "main-link", href: href(state, { view: "session", id: it.session }) }, format.dayTime(it.started)),
    h("span", { class: "sub" }, [it.project ?? "no project", it.imported ? "imported" : null].filter(Boolean).join(" · "))] },
  { head: "Models", optional: true, clip: true, value: (it) => it.models.join(), cell: (it) => it.models.map(format.model).join(", ") || "–" },
  { head: "Branch", optional: true, clip: true, value: (it) => it.branch, cell: (it) => it.branch ?? "–" },
  { head: "Prompts", number: true, optional: true, value: (it) => it.prompts, cell: (it) => format.count(it.prompts) },
  { head: "Requests", number: true, optional: true, value: (it) => it.requests, cell: (it) => format.count(it.requests) },
  { head: "Tools", number: true, optional: true, value: (it) => it.tool_calls, cell: (it) => format.count(it.tool_calls) },
  { head: "Errors", number: true, optional: true, value: (it) => it.errors, cell: (it) => it.errors ? h("span", { class: "tag bad" }, format.count(it.errors)) : "–" },
  { head: "Lasted", number: true, optional: true, value: (it) => Date.parse(it.last) - Date.parse(it.started), cell: (it) => format.seconds((Date.parse(it.last) - Date.parse(it.started)) / 1000) },
  { head: "Tokens", number: true, value: (it) => sum(it.tokens), cell: (it) => format.compact(sum(it.tokens)) },
  { head: "Cost", number: true, value: (it) => it.cost_usd, cell: (it) => [format.money(it.cost_usd), it.unpriced_requests ? h("span", { class: "sub" }, "not all priced") : null] },
];
