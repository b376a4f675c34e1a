// Tools: how often, how well, how long, and how often they were turned down.
import { ask } from "./api.js";
import { question } from "./address.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { meter, table } from "./lists.js";
import { emptyRange, firstRun } from "./states.js";

export const ranged = true;
export const title = () => "Tools";
export const load = (state, signal) => ask("tools", question(state), signal);

export function draw(place, data, state) {
  if (data.first === null) return place.replaceChildren(firstRun());
  const heading = h("div", { class: "heading" }, h("h1", {}, "Tools"), h("p", {}, format.range(data.since, data.until)));
  if (data.rows.length === 0) return place.replaceChildren(heading, emptyRange(state));
  const most = Math.max(...data.rows.map((it) => it.calls));
  place.replaceChildren(heading,
    h("section", { class: "card", "aria-label": "Tools" }, h("div", { class: "card-body flush" }, table("Tools called in the range", [
      { head: "Tool", value: (it) => it.tool ?? "", cell: (it) => h("strong", {}, it.tool ?? "unknown") },
      { head: "Calls", number: true, value: (it) => it.calls, cell: (it) => meter(it.calls / most, format.count(it.calls)) },
      { head: "Succeeded", number: true, value: (it) => share(it), cell: (it) => it.calls ? meter(share(it), format.ratio(share(it)), share(it) < 0.9) : "–" },
      { head: "Failed", number: true, optional: true, value: (it) => it.failures, cell: (it) => it.failures ? format.count(it.failures) : "–" },
      { head: "Rejected", number: true, value: (it) => it.rejections, cell: (it) => it.rejections ? format.count(it.rejections) : "–" },
      { head: "Median", number: true, optional: true, value: (it) => it.p50_ms, cell: (it) => format.milliseconds(it.p50_ms) },
      { head: "95th percentile", number: true, optional: true, value: (it) => it.p95_ms, cell: (it) => format.milliseconds(it.p95_ms) },
    ], data.rows, { sort: 1 }))),
    h("div", { class: "footnotes" },
      h("p", {}, "Rejected by you, a hook or the configuration: such a call never ran, so it is in no other column. Durations are those of calls that ran.")));
}

const share = (it) => it.calls ? 1 - it.failures / it.calls : null;
