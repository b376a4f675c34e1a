// What a range came to, with the change against the time before. A click on one shows it over time.
import { href } from "./address.js";
import { h } from "./dom.js";
import * as format from "./format.js";

/** What can be shown over time. */
export const METRICS = {
  cost: { name: "Cost", words: "List-price equivalent", format: format.money, of: (it) => it.cost_usd },
  tokens: { name: "Tokens", format: format.compact, of: (it) => sum(it.tokens) },
  active: { name: "Active time", format: format.seconds, of: (it) => it.active_seconds },
  lines: { name: "Lines changed", format: format.compact, of: (it) => it.lines_added + it.lines_removed },
  commits: { name: "Commits", format: format.count, of: (it) => it.commits },
};

export const metricOf = (state) => state.metric in METRICS ? state.metric : "cost";

export function sum(tokens) {
  return tokens.input + tokens.output + tokens.cache_read + tokens.cache_creation;
}

export function kpis({ total, previous_total: before }, state) {
  const metric = metricOf(state);
  // With a filter that counters do not know, some things are not known.
  const known = (words) => total.counted ? words : "–";
  const unknown = () => total.counted ? null : h("span", { class: "delta" }, "not known by this filter");
  const linked = (name, value, of, metricName, delta) => h("a", {
    class: "kpi", href: href(state, { metric: metricName }), "aria-current": metric === metricName ? "true" : null,
  }, h("span", { class: "label" }, name), h("span", { class: "value" }, value), delta ?? change(of, total, before));
  const plain = (name, value, delta, address) => h(address ? "a" : "div", { class: "kpi", href: address },
    h("span", { class: "label" }, name), h("span", { class: "value" }, value), delta);
  return h("div", { class: "card kpis", role: "group", "aria-label": "Totals of the range" },
    linked("Cost, list price", format.money(total.cost_usd), METRICS.cost.of, "cost"),
    linked("Tokens", format.compact(sum(total.tokens)), METRICS.tokens.of, "tokens"),
    plain("Sessions", format.count(total.sessions), change((it) => it.sessions, total, before), href(state, { view: "sessions" })),
    linked("Active time", known(format.seconds(total.active_seconds)), METRICS.active.of, "active", unknown()),
    plain("Cache hits", format.ratio(total.cache_hit_ratio), points(total.cache_hit_ratio, before?.cache_hit_ratio)),
    linked("Lines changed", known(format.compact(METRICS.lines.of(total))), METRICS.lines.of, "lines",
      unknown() ?? h("span", { class: "delta" }, `+${format.compact(total.lines_added)} −${format.compact(total.lines_removed)}`)),
    linked("Commits", known(format.count(total.commits)), METRICS.commits.of, "commits",
      unknown() ?? (total.pull_requests ? h("span", { class: "delta" }, format.plural(total.pull_requests, "pull request")) : null)));
}

function change(of, total, before) {
  if (!before) return h("span", { class: "delta" }, "\u00a0");
  const [now, then] = [of(total), of(before)];
  if (then === 0) return h("span", { class: "delta" }, now === 0 ? "as before" : "none before");
  const share = now / then - 1;
  const words = Math.abs(share) < 0.005 ? "as before" : share > 9.995 ? `×${format.compact(Math.round(now / then))}` : `${share > 0 ? "+" : "−"}${format.ratioWhole(Math.abs(share))}`;
  return h("span", { class: "delta" }, h("b", {}, words), words === "as before" ? "" : " vs before");
}

function points(now, then) {
  if (now === null || then === null || then === undefined) return h("span", { class: "delta" }, "of input tokens");
  const moved = (now - then) * 100;
  if (Math.abs(moved) < 0.05) return h("span", { class: "delta" }, "as before");
  return h("span", { class: "delta" }, h("b", {}, `${moved > 0 ? "+" : "−"}${Math.abs(moved).toFixed(1)} pts`), " vs before");
}
