// Budgets, and the limits of a subscription: how much of each is used, and until when.
import { card, h } from "./dom.js";
import * as format from "./format.js";

const PERIODS = { daily: "Today", weekly: "This week", monthly: "This month" };
const WINDOWS = { five_hour: "Five-hour limit", seven_day: "Seven-day limit" };
const NEAR = 0.8;

export function budgets({ budgets = [], rate_limits: limits = {} }) {
  const rows = [...budgets.map(budget), ...Object.entries(limits).map(limit)];
  if (rows.length === 0) return null;
  const note = budgets.length ? "Calendar periods of this machine, at list price; nothing is stopped" : null;
  return card(budgets.length ? "Budgets" : "Limits", { note }, h("ul", { class: "budgets" }, rows.map(row)));
}

function budget(it) {
  const share = it.spent_usd / it.budget_usd;
  const period = PERIODS[it.period] ?? it.period;
  return {
    name: it.project ?? (it.team === null ? period : `Team ${it.team}`),
    side: it.project ?? it.team ? period.toLowerCase() : "all sessions",
    amount: `${format.money(it.spent_usd)} of ${format.money(it.budget_usd)}`, share,
    note: share >= 1 ? "used up" : share >= NEAR ? "nearly used up" : null,
  };
}

function limit([window, it]) {
  return {
    name: WINDOWS[window] ?? window,
    side: it.resets_at ? `until ${format.dayTime(it.resets_at * 1000)}` : "of the subscription",
    amount: "", share: it.used_percent / 100,
    note: it.used_percent >= 100 ? "used up" : null,
  };
}

/** Rounded down: what is not used up is not 100 %. */
const whole = (share) => Math.floor(share * 100 + 1e-9) / 100;

function row({ name, side, amount, share, note }) {
  const level = share >= 1 ? "over" : share >= NEAR ? "near" : null;
  return h("li", { "data-level": level },
    h("div", { class: "line" }, h("span", { class: "name" }, name), h("span", { class: "side" }, side),
      note && h("span", { class: level === "over" ? "tag bad" : "tag warn" }, note)),
    h("div", { class: "line" }, h("b", {}, format.ratioWhole(whole(share))), h("span", { class: "side" }, amount)),
    h("div", { class: "gauge", "aria-hidden": "true" },
      h("div", { class: "fill", style: { width: `${Math.min(1, share) * 100}%` } })));
}
