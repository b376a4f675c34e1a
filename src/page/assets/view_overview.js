// Overview: what it came to, over time, and what most of it went to.
import { ask } from "./api.js";
import { DEFAULTS, go, href, isFiltered, question, toggled } from "./address.js";
import { budgets } from "./budgets.js";
import { calendar, heatScale } from "./calendar.js";
import { chart, chartTable, legend } from "./chart.js";
import { card, h } from "./dom.js";
import * as format from "./format.js";
import { ranked } from "./lists.js";
import { emptyRange, firstRun } from "./states.js";
import { METRICS, kpis, metricOf, sum } from "./totals.js";

export const ranged = true;
export const title = () => "Overview";

const BY = [["project", "Project"], ["model", "Model"], ["team", "Team"]];
const WIDTH_MIN = 280;
const CARD_PADDING = 34;

export function load(state, signal, width) {
  const inner = Math.max(WIDTH_MIN, Math.round(width - CARD_PADDING));
  return ask("overview", question(state, { by: state.by, metric: metricOf(state), width: inner }), signal);
}

export function draw(place, data, state) {
  if (data.first === null) return place.replaceChildren(firstRun());
  place.replaceChildren(heading(data));
  if (isNothing(data.total)) {
    const days = Object.keys(data.calendar.days).length;
    return place.append(emptyRange(state), days ? h("div", { class: "grid below" }, calendarCard(place, data, state)) : "");
  }
  place.append(h("div", { class: "grid" },
    kpis(data, state),
    budgets(data),
    chartCard(data, state),
    calendarCard(place, data, state),
    list("Top projects", data.projects, "half", (it) => filterRow(state, "project", it), "No session had a project."),
    list("Top models", data.models, "half", (it) => ({ ...filterRow(state, "model", it), name: it.key === null ? "unknown" : format.model(it.key) }), "No model was used."),
    toolsCard(data, state),
    promptsCard(data, state),
  ), footnotes(data));
}

function heading(data) {
  return h("div", { class: "heading" }, h("h1", {}, "Overview"),
    h("p", {}, format.range(data.since, data.until)));
}

function chartCard(data, state) {
  const metric = METRICS[metricOf(state)];
  const units = { hour: "hour", day: "day", week: "week", month: "month" };
  const name = `${metric.name} by ${units[data.chart.unit]}`;
  const words = `${name}, ${format.range(data.since, data.until)}: ${metric.format(metric.of(data.total))} in all`;
  const pick = (first, last) => go(href(state, zoomed(data.chart, first, last)));
  const series = data.chart.series.map((it) => ({ ...it, name: seriesName(it, state) }));
  const chartData = { ...data.chart, series };
  const zoomedIn = state.since !== DEFAULTS.since || state.until;
  const side = h("div", { class: "chart-tools" },
    zoomedIn && state.until ? h("a", { class: "link", href: href(state, { since: DEFAULTS.since, until: "" }) }, "Reset zoom") : null,
    h("div", { class: "segments small", role: "group", "aria-label": "Stacked by" }, BY.map(([value, label]) =>
      h("a", { href: href(state, { by: value }), "aria-current": state.by === value ? "true" : null }, label))));
  return card(name, { side, note: metric.words },
    chart(chartData, { words, format: metric.format, pick }),
    legend(series, { format: metric.format, link: (it) => it.other ? null : toggled(state, state.by, it.key ?? "") }),
    h("details", { "data-focus": "chart-table" }, h("summary", { class: "link" }, "Show as a table"), chartTable(chartData, name, metric.format)));
}

/** A stretch of whole buckets as a range for the address. */
function zoomed({ unit }, first, last) {
  const whole = unit !== "hour";
  const day = (at) => whole ? format.localDay(at) : at;
  return { since: day(first.since), until: day(last.until) };
}

function seriesName(it, state) {
  if (it.other) return `${it.other} more`;
  if (it.key === null) return `no ${state.by}`;
  return state.by === "model" ? format.model(it.key) : it.key;
}

function calendarCard(place, data, state) {
  const width = place.querySelector(".heading").clientWidth - CARD_PADDING;
  const pick = (day) => {
    const next = new Date(`${day}T12:00:00`);
    next.setDate(next.getDate() + 1);
    go(href(state, { since: day, until: format.localDay(next) }));
  };
  const picked = state.until && data.chart?.unit === "hour" ? format.localDay(data.since) : null;
  const active = Object.values(data.calendar.days).filter((it) => it > 0).length;
  return card("Calendar", { note: "Cost by day over the last year" },
    h("div", { class: "heat-wrap" }, calendar(data.calendar.days, width, data.calendar.today, pick, picked)),
    h("div", { class: "heat-foot" }, h("span", {}, `${format.plural(active, "active day")} in the last year`), heatScale()));
}

function list(name, rows, size, row, empty) {
  return card(name, { className: size }, ranked(rows.map(row), empty));
}

function filterRow(state, dimension, it) {
  return {
    name: it.key ?? "not set", unset: it.key === null, amount: format.money(it.cost_usd), value: it.cost_usd,
    side: `${format.compact(sum(it.tokens))} tokens`, href: toggled(state, dimension, it.key ?? ""),
    current: isFiltered(state, dimension, it.key ?? ""), title: `Filter by ${it.key ?? "what is not set"}`,
  };
}

function toolsCard(data, state) {
  const side = h("a", { class: "link", href: href(state, { view: "tools" }) }, "All tools");
  return card("Top tools", { className: "half", side }, ranked(data.tools.map((it) => ({
    name: it.tool ?? "unknown", amount: format.compact(it.calls), value: it.calls,
    side: it.failures ? `${format.ratioWhole(it.failures / it.calls)} failed` : null,
  })), "No tool was called."));
}

function promptsCard(data, state) {
  return card("Most expensive prompts", { className: "half" }, ranked(data.prompts.map((it) => ({
    name: `${it.project ?? "no project"} · ${format.dayTime(it.at)}`,
    amount: format.money(it.cost_usd), value: it.cost_usd ?? 0,
    side: format.plural(it.requests, "request"),
    href: href({ ...state }, { view: "session", id: it.session }), title: "Show the session",
  })), "No prompt was sent."));
}

function footnotes(data) {
  const notes = ["Costs are list prices, as Claude Code computes them; under a subscription they are not a bill.",
    `Cache hits are tokens read from the cache out of all input tokens, those written to it included. Days are those of ${data.time_zone}.`];
  if (data.previous) notes.push(`“Before” is ${format.range(data.previous.since, data.previous.until)}.`);
  if (data.imported.requests) notes.push(`Imported from transcripts, and priced by ccotel’s own table: ${format.money(data.imported.cost_usd)} of this, in ${format.plural(data.imported.requests, "request")}.`);
  if (!data.total.counted) notes.push("With this filter, cost and tokens are what events say; lines, commits and active time are not known by it.");
  if (data.total.unpriced_requests) notes.push(`${format.plural(data.total.unpriced_requests, "imported request")} used a model without a known price, and cost nothing here.`);
  return h("div", { class: "footnotes" }, notes.map((note) => h("p", {}, note)));
}

const isNothing = (total) => total.cost_usd === 0 && total.requests === 0 && total.prompts === 0 && sum(total.tokens) === 0;
