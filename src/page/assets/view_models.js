// Models: what they cost, and how fast they are.
import { ask } from "./api.js";
import { question, toggled } from "./address.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { meter, table } from "./lists.js";
import { emptyRange, firstRun } from "./states.js";
import { sum } from "./totals.js";

export const ranged = true;
export const title = () => "Models";
export const load = (state, signal) => ask("models", question(state), signal);

export function draw(place, data, state) {
  if (data.first === null) return place.replaceChildren(firstRun());
  const heading = h("div", { class: "heading" }, h("h1", {}, "Models"), h("p", {}, format.range(data.since, data.until)));
  if (data.rows.length === 0) return place.replaceChildren(heading, emptyRange(state));
  const all = data.rows.reduce((total, it) => total + it.cost_usd, 0) || 1;
  place.replaceChildren(heading,
    h("section", { class: "card", "aria-label": "Models" }, h("div", { class: "card-body flush" }, table("Models used in the range", [
      { head: "Model", value: (it) => it.model ?? "", cell: (it) => h("a", { class: "main-link", href: toggled(state, "model", it.model ?? ""), title: it.model ?? "" }, format.model(it.model)) },
      { head: "Cost", number: true, value: (it) => it.cost_usd, cell: (it) => [meter(it.cost_usd / all, format.money(it.cost_usd)), it.unpriced_requests ? h("span", { class: "sub" }, `${format.plural(it.unpriced_requests, "request")} without a price`) : null] },
      { head: "Requests", number: true, optional: true, value: (it) => it.requests, cell: (it) => format.count(it.requests) },
      { head: "Tokens", number: true, value: (it) => sum(it.tokens), cell: (it) => format.compact(sum(it.tokens)) },
      { head: "Cache hits", number: true, optional: true, value: (it) => it.cache_hit_ratio, cell: (it) => format.ratio(it.cache_hit_ratio) },
      { head: "Tokens/s", number: true, value: (it) => it.output_tokens_per_second, cell: (it) => it.output_tokens_per_second === null ? "–" : it.output_tokens_per_second.toFixed(1) },
      { head: "First token", number: true, optional: true, value: (it) => it.first_token_p50_ms, cell: (it) => format.milliseconds(it.first_token_p50_ms) },
      { head: "Median", number: true, optional: true, value: (it) => it.p50_ms, cell: (it) => format.milliseconds(it.p50_ms) },
      { head: "95th percentile", number: true, optional: true, value: (it) => it.p95_ms, cell: (it) => format.milliseconds(it.p95_ms) },
      { head: "Errors", number: true, optional: true, value: (it) => it.errors, cell: (it) => it.errors ? h("span", { class: "tag bad" }, format.count(it.errors)) : "–" },
    ], data.rows, { sort: 1 }))),
    h("div", { class: "footnotes" },
      h("p", {}, "Costs are list prices of the requests. Tokens a second are output tokens over the whole duration of their requests; the first token is known only where Claude Code sends it.")));
}
