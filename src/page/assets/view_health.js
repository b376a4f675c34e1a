// Health: what runs, where records go, what is waiting, and what went wrong.
import { ask } from "./api.js";
import { zone } from "./address.js";
import { card, h } from "./dom.js";
import * as format from "./format.js";

export const ranged = false;
export const title = () => "Health";
export const load = (state, signal) => ask("health", new URLSearchParams({ tz: zone() }), signal);

const STATES = {
  ok: ["good", "In order"],
  idle: ["", "Nothing to send"],
  retrying: ["warn", "Not reachable, tried again by itself"],
  parked: ["bad", "Refuses us; needs a change"],
};

export function draw(place, { status, data }) {
  place.replaceChildren(
    h("div", { class: "heading" }, h("h1", {}, "Health"), verdict(status)),
    h("div", { class: "grid" }, agent(status), warnings(status.warnings), destinations(status.destinations), dataCard(data, status)));
}

function verdict({ warnings, destinations }) {
  const bad = destinations.filter((it) => it.state === "parked").length;
  const waiting = destinations.filter((it) => it.state === "retrying").length;
  if (bad) return h("span", { class: "tag bad" }, `${format.plural(bad, "destination")} need${bad === 1 ? "s" : ""} a change`);
  if (waiting) return h("span", { class: "tag warn" }, `${format.plural(waiting, "destination")} cannot be reached`);
  if (warnings.length) return h("span", { class: "tag warn" }, format.plural(warnings.length, "warning"));
  return h("span", { class: "tag good" }, "All in order");
}

function agent(status) {
  const { records, sessions } = status;
  const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  return card("Agent", {}, h("dl", { class: "facts" },
    fact("Version", status.version ?? "unknown"),
    fact("Running since", status.started ? format.dayTime(status.started) : "unknown"),
    fact("Listens on", status.addresses.join(", ")),
    fact("Sessions", `${format.count(sessions?.active ?? 0)} active, ${format.count(sessions?.today ?? 0)} today`),
    fact("Records received", format.count(records?.received ?? 0)),
    fact("Sent twice, counted once", format.count(records?.duplicate ?? 0)),
    fact("Rejected", format.count(records?.rejected ?? 0)),
    fact("Of other programs", format.count(records?.foreign ?? 0)),
    fact("On disk", format.bytes(status.disk_bytes)),
    fact("Restarts of the worker", format.count(status.worker?.restarts ?? 0))));
}

function warnings(list) {
  if (list.length === 0) return null;
  return card("Warnings", { flush: true }, h("ul", { class: "warnings" }, list.map((it) =>
    h("li", {}, h("span", {}, it.what), h("span", { class: "remedy" }, [it.remedy, format.dayTime(it.at)].filter(Boolean).join(" · "))))));
}

function destinations(list) {
  if (list.length === 0) {
    return card("Destinations", {}, h("p", { class: "muted" },
      "Records stay on this machine: nothing is forwarded. ", h("code", {}, "ccotel connect"), " adds Prometheus, Loki, VictoriaLogs or OTLP."));
  }
  return h("div", { class: "grid" }, list.map(destination));
}

function destination(it) {
  const [tone, words] = STATES[it.state] ?? ["", it.state];
  const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  const dropped = [["expired", "too old for it"], ["evicted", "dropped for want of disk"], ["compacted", "sent at a coarser time"], ["quarantined", "refused for good"]]
    .filter(([key]) => it[key] > 0).map(([key, why]) => `${format.count(it[key])} ${why}`).join(", ");
  const backlog = it.backlog.records === 0 ? "none"
    : `${format.plural(it.backlog.records, "record")} (${format.bytes(it.backlog.bytes)}), the oldest ${format.seconds(it.backlog.oldest_seconds)} old`;
  return card(it.name, { className: "half", side: h("span", { class: `tag ${tone}` }, words) },
    h("dl", { class: "facts" }, fact("Type", it.type), fact("Delivered", format.count(it.delivered)), fact("Backlog", backlog),
      fact("Not delivered as it was", dropped || "none"),
      fact("Last success", it.last_success ? format.dayTime(it.last_success) : "none yet"),
      it.next_try ? fact("Next try", format.dayTime(it.next_try)) : null),
    it.last_error ? h("p", { class: "notice bad" }, it.last_error) : null);
}

function dataCard(data, status) {
  const note = "How complete the numbers of this page are";
  if (!data) return card("Data", { note }, h("p", { class: "muted" }, "Nothing has been recorded yet."));
  if (data.problem) return card("Data", { note }, h("p", { class: "notice bad" }, data.problem));
  const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  const gap = data.cost_usd > 0 ? Math.abs(data.unexplained_usd) / data.cost_usd : 0;
  const lost = status.destinations.reduce((all, it) => all + it.expired + it.evicted + it.quarantined, 0);
  return card("Data", { note }, h("dl", { class: "facts" },
    fact("History since", format.shortDay(data.first)),
    fact("Counted in 30 days", format.money(data.cost_usd)),
    fact("Of it explained by events", data.cost_usd > 0 ? format.ratio(1 - Math.min(1, gap)) : "–"),
    fact("Of it imported", format.money(data.imported_usd)),
    fact("Never reached a destination", lost ? format.plural(lost, "record") : "none")),
  gap > 0.02 ? h("p", { class: "footnotes" }, `${format.money(Math.abs(data.unexplained_usd))} of the last 30 days has no events that say which session it was: events were lost, or their session still runs. Totals are right; lists by session, tool and prompt lack it.`) : null);
}
