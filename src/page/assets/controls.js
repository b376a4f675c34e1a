// The range and the filters, above every view that has them.
import { ask } from "./api.js";
import { go, href, isFiltered, question, toggled } from "./address.js";
import { h, icon } from "./dom.js";
import { localDay, range as rangeWords } from "./format.js";

const RANGES = [["today", "Today"], ["7d", "7 days"], ["30d", "30 days"], ["90d", "90 days"], ["365d", "1 year"]];
const NAMES = { project: "Project", team: "Team", model: "Model", repo: "Repository", branch: "Branch", user: "User", query_source: "Source", tool: "Tool" };

export const filterName = (name) => NAMES[name] ?? name.replace(/^tag:/, "");

export function controls(place, state) {
  const custom = state.until || !RANGES.some(([value]) => value === state.since);
  place.replaceChildren(
    h("div", { class: "segments", role: "group", "aria-label": "Range" }, RANGES.map(([value, words]) =>
      h("a", { href: href(state, { since: value, until: "" }), "aria-current": !custom && value === state.since ? "true" : null }, words))),
    customRange(state, custom),
    ...state.filters.map(([name, value]) => h("span", { class: "chip" },
      h("span", {}, `${filterName(name)}: `, h("b", {}, value || "not set")),
      h("a", { href: toggled(state, name, value), "aria-label": `Remove the filter ${filterName(name)} ${value || "not set"}` }, icon("close", 14)))),
    filterMenu(state));
}

function customRange(state, custom) {
  const today = localDay(Date.now());
  const field = (label, name, value) => h("label", {}, label,
    h("input", { type: "date", name, value, max: today, required: true }));
  const given = /^\d{4}-\d{2}-\d{2}/;
  const first = given.test(state.since) ? localDay(asDate(state.since)) : today;
  const last = given.test(state.until) ? localDay(asDate(state.until) - 1) : today;
  const body = h("form", { class: "menu-body", onsubmit: (event) => {
    event.preventDefault();
    const data = new FormData(event.target);
    let [from, to] = [data.get("from"), data.get("to")];
    if (from > to) [from, to] = [to, from];
    go(href(state, { since: from, until: to === today ? "" : dayAfter(to) }));
  } }, field("From", "from", first), field("To, this day included", "to", last),
  h("button", { class: "button primary", type: "submit" }, "Show"));
  const words = custom ? spoken(state) : "Custom";
  return menu([icon("calendar", 15), words], body, custom ? "Range" : "Custom range");
}

function asDate(text) {
  return text.length === 10 ? new Date(`${text}T00:00:00`) : new Date(text);
}

function spoken({ since, until }) {
  const [start, end] = [asDate(since), until ? asDate(until) : new Date()];
  return Number.isNaN(start - end) ? since : rangeWords(start, end);
}

function dayAfter(day) {
  const next = new Date(`${day}T12:00:00`);
  next.setDate(next.getDate() + 1);
  return localDay(next);
}

function filterMenu(state) {
  const list = h("div", { class: "options" });
  const which = h("select", { "aria-label": "Filter by" });
  const body = h("div", { class: "menu-body" }, h("label", {}, "Filter by", which), list);
  const details = menu([icon("plus", 15), "Filter"], body, "Add a filter");
  let options = null;
  const draw = () => list.replaceChildren(...(options[which.value] ?? []).map((value) =>
    h("a", { href: toggled(state, which.value, value ?? ""), "aria-current": isFiltered(state, which.value, value ?? "") ? "true" : null },
      h("span", {}, value ?? "not set"), isFiltered(state, which.value, value ?? "") ? h("span", {}, "✓") : null)));
  which.addEventListener("change", draw);
  details.addEventListener("toggle", async () => {
    if (!details.open || options) return;
    list.replaceChildren(h("span", { class: "muted" }, "Looking…"));
    try {
      options = (await ask("filters", question({ ...state, filters: [] }))).filters;
    } catch (error) {
      list.replaceChildren(h("span", { class: "muted" }, error.message));
      return;
    }
    const names = Object.keys(options).filter((name) => options[name].length > 0);
    if (names.length === 0) list.replaceChildren(h("span", { class: "muted" }, "There is nothing to filter by in this range"));
    else {
      which.replaceChildren(...names.map((name) => h("option", { value: name }, filterName(name))));
      draw();
    }
  });
  return details;
}

/** A button that opens a small panel; Escape and a click elsewhere close it. */
function menu(label, body, name) {
  const summary = h("summary", { class: "button", "aria-label": name === "Range" ? null : name }, label);
  const details = h("details", { class: "menu" }, summary, body);
  details.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !details.open) return;
    details.open = false;
    summary.focus();
  });
  const outside = (event) => { if (!details.contains(event.target)) details.open = false; };
  details.addEventListener("toggle", () => {
    if (details.open) {
      document.addEventListener("pointerdown", outside);
      const overflow = body.getBoundingClientRect().right - document.documentElement.clientWidth + 12;
      if (overflow > 0) body.style.left = `${-overflow}px`;
    } else document.removeEventListener("pointerdown", outside);
  });
  return details;
}
