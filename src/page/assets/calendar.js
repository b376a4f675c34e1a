// The calendar: a column a week, a row a weekday, darker where more was spent. One tab stop, arrow
// keys inside.
import { h } from "./dom.js";
import { fullDay, localDay, money, shortMonth } from "./format.js";

const CELL_PIXELS = 15;
const CELL_PIXELS_MAX = 22;
const GAP_PIXELS = 3;
const HEAD_PIXELS = 40;
const WEEKS_MIN = 12;
const WEEKS_MAX = 53;
const WEEKDAYS = ["Mon", "", "Wed", "", "Fri", "", ""];
const LEVELS = 4;

/** days: { "2026-11-14": cost }. `pick(day)` gets a day. */
export function calendar(days, width, today, pick, picked = null) {
  const weeks = Math.min(WEEKS_MAX, Math.max(WEEKS_MIN, Math.floor((width - HEAD_PIXELS) / CELL_PIXELS)));
  const cell = Math.min(CELL_PIXELS_MAX, Math.floor((width - HEAD_PIXELS) / weeks)) - GAP_PIXELS;
  const last = noon(today);
  const first = new Date(last);
  first.setDate(first.getDate() - ((first.getDay() + 6) % 7) - (weeks - 1) * 7);
  const level = levels(Object.values(days));
  const rows = WEEKDAYS.map((name) => h("tr", { role: "row" }, h("th", { scope: "row", role: "rowheader" }, name)));
  const months = h("tr", { role: "row" }, h("th", { role: "columnheader" }, h("span", { class: "unseen" }, "Weekday")));
  const cells = [];
  let month = -1;
  for (let week = 0; week < weeks; week += 1) {
    const monday = new Date(first);
    monday.setDate(first.getDate() + week * 7);
    const named = monday.getMonth() !== month && (week > 0 || monday.getDate() < 22) && week < weeks - 1;
    if (monday.getMonth() !== month) month = monday.getMonth();
    months.append(h("th", { role: "columnheader" }, named ? shortMonth(monday) : ""));
    for (let weekday = 0; weekday < 7; weekday += 1) {
      const at = new Date(monday);
      at.setDate(monday.getDate() + weekday);
      if (at > last) {
        rows[weekday].append(h("td", { class: "none", role: "gridcell" }));
        continue;
      }
      const day = localDay(at);
      const words = `${fullDay(at)}: ${days[day] ? money(days[day]) : "nothing"}`;
      const place = h("td", { role: "gridcell", tabindex: -1, "data-day": day, "data-focus": `day-${day}`, "data-level": level(days[day] ?? 0), title: words, "aria-label": words, "aria-selected": day === picked ? "true" : "false" });
      cells.push(place);
      rows[weekday].append(place);
    }
  }
  cells.at(-1).tabIndex = 0;
  const table = h("table", { class: "heat", role: "grid", "aria-label": "Cost by day; Enter shows one day alone", style: { "--cell": `${cell}px` } },
    h("thead", { role: "rowgroup" }, months), h("tbody", { role: "rowgroup" }, rows));
  table.addEventListener("click", ({ target }) => { if (target.dataset.day) pick(target.dataset.day); });
  table.addEventListener("keydown", (event) => move(event, cells, pick));
  return table;
}

function move(event, cells, pick) {
  const now = cells.indexOf(event.target);
  if (now < 0) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    return pick(cells[now].dataset.day);
  }
  const by = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -7, ArrowRight: 7, Home: -now, End: cells.length - 1 - now }[event.key];
  if (by === undefined) return;
  event.preventDefault();
  const next = cells[Math.min(cells.length - 1, Math.max(0, now + by))];
  cells[now].tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

/** By rank, so that one wild day does not make all others pale. */
function levels(values) {
  const spent = values.filter((value) => value > 0).sort((one, other) => one - other);
  return (value) => {
    if (value <= 0 || spent.length === 0) return 0;
    const below = spent.findIndex((it) => it >= value);
    return 1 + Math.min(LEVELS - 1, Math.floor((below < 0 ? spent.length - 1 : below) / spent.length * LEVELS));
  };
}

function noon(day) {
  return new Date(`${day}T12:00:00`);
}

export function heatScale() {
  return h("span", { class: "heat-scale", "aria-hidden": "true" }, "Less ", [0, 1, 2, 3, 4].map((it) => h("i", { "data-level": it })), " More");
}
