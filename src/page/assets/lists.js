// Ranked lists and tables.
import { h } from "./dom.js";

/** What came first, second, …: a bar behind each name. Rows: { name, unset, amount, side, value, href, label }. */
export function ranked(rows, empty) {
  if (rows.length === 0) return h("p", { class: "muted" }, empty);
  const most = Math.max(...rows.map((row) => row.value), 0) || 1;
  return h("ol", { class: "ranked" }, rows.map((row) => h("li", {},
    h("div", { class: "fill", "aria-hidden": "true", style: { width: `${Math.max(0, row.value) / most * 100}%` } }),
    h(row.href ? "a" : "div", { class: "row", href: row.href, "aria-current": row.current ? "true" : null, title: row.title },
      h("span", { class: row.unset ? "name unset" : "name" }, row.name),
      row.side && h("span", { class: "side" }, row.side),
      h("span", { class: "amount" }, row.amount)))));
}

/**
 * A table that can be sorted. Columns: { head, cell(row), value(row), number, optional, first }.
 */
export function table(caption, columns, rows, { sort = null, down = true } = {}) {
  let by = sort;
  let descending = down;
  const body = h("tbody");
  const heads = columns.map((column, index) => {
    const classes = [column.number && "number", column.optional && "optional"].filter(Boolean).join(" ");
    if (!column.value) return h("th", { scope: "col", class: classes }, column.head);
    const mark = h("span", { "aria-hidden": "true" });
    const head = h("th", { scope: "col", class: classes },
      h("button", { type: "button", onclick: () => {
        descending = by === index ? !descending : !!column.number;
        by = index;
        draw();
      } }, column.head, mark));
    return head;
  });
  const draw = () => {
    heads.forEach((head, index) => {
      const mine = index === by;
      if (mine) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
      const mark = head.querySelector("button > span");
      if (mark) mark.textContent = mine ? (descending ? "↓" : "↑") : "";
    });
    const sorted = by === null ? rows : [...rows].sort((one, other) => {
      const [mine, theirs] = [columns[by].value(one), columns[by].value(other)];
      const order = mine === null ? 1 : theirs === null ? -1
        : typeof mine === "string" ? mine.localeCompare(theirs) : mine - theirs;
      return descending && mine !== null && theirs !== null ? -order : order;
    });
    body.replaceChildren(...sorted.map((row) => h("tr", {}, columns.map((column, index) => {
      const classes = [column.number && "number", column.optional && "optional", column.clip && "clip"].filter(Boolean).join(" ");
      return h(index === 0 ? "th" : "td", index === 0 ? { scope: "row", class: `cell ${classes}` } : { class: classes }, column.cell(row));
    }))));
  };
  draw();
  return h("div", { class: "scroll", tabindex: "-1" }, h("table", { class: "data" },
    h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, heads)), body));
}

/** A share as a small bar with its number. */
export function meter(share, text, bad = false) {
  return [h("span", { class: "meter", "aria-hidden": "true" },
    h("span", { class: bad ? "fill bad" : "fill", style: { width: `${Math.min(1, Math.max(0, share)) * 100}%` } })), h("span", { class: "meter-number" }, text)];
}
