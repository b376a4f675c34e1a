// Over the chart that the agent has drawn: values under the pointer or the arrow keys, a range by
// dragging, and its numbers as a table.
import { h, say } from "./dom.js";
import { bucket as bucketWords } from "./format.js";

const DRAG_PIXELS = 6;
const TIP_ROWS_MAX = 8;

/** chart: { svg, width, plot, unit, buckets, series }. `pick(first, last)` gets buckets. */
export function chart(given, { words, format, pick }) {
  const { plot, buckets, series, unit, width } = given;
  const svg = document.importNode(new DOMParser().parseFromString(given.svg, "image/svg+xml").documentElement, true);
  svg.setAttribute("aria-hidden", "true");
  const band = h("div", { class: "band", hidden: true });
  const brush = h("div", { class: "brush", hidden: true });
  const tip = h("div", { class: "tip", hidden: true });
  const place = h("div", {
    class: "chart", tabindex: 0, role: "application", "data-focus": "chart",
    "aria-roledescription": "chart",
    "aria-label": `${words}. Arrow keys read the values, Enter shows one stretch of time alone, Shift with arrow keys picks several.`,
  }, svg, band, brush, tip);

  const step = (plot.right - plot.left) / buckets.length;
  const scale = () => place.clientWidth / width;
  const left = (index) => (plot.left + index * step) * scale();
  const at = (event) => {
    const x = (event.clientX - place.getBoundingClientRect().left) / scale();
    return Math.min(buckets.length - 1, Math.max(0, Math.floor((x - plot.left) / step)));
  };
  let focused = null;
  let anchor = null;

  const cover = (element, first, last) => {
    element.hidden = false;
    element.style.left = `${left(first)}px`;
    element.style.width = `${(last - first + 1) * step * scale()}px`;
    element.style.top = `${plot.top * scale()}px`;
    element.style.height = `${(plot.bottom - plot.top) * scale()}px`;
  };
  const showTip = (index) => {
    const shown = series.map((it, rank) => ({ ...it, rank, value: it.values[index] })).filter((it) => it.value !== 0);
    const total = shown.reduce((sum, it) => sum + it.value, 0);
    shown.sort((one, other) => other.value - one.value);
    tip.replaceChildren(
      h("div", { class: "when" }, h("span", {}, bucketWords(buckets[index], unit)), h("span", {}, format(total))),
      ...shown.slice(0, TIP_ROWS_MAX).map((it) => h("div", { class: "line" },
        h("i", { class: "swatch", "data-color": it.color ?? "" }), h("span", {}, it.name), h("b", {}, format(it.value)))));
    tip.hidden = false;
    const middle = left(index) + step * scale() / 2;
    const beside = step * scale() / 2 + 10;
    const room = place.clientWidth - middle - beside;
    tip.style.left = `${room > tip.offsetWidth ? middle + beside : Math.max(0, middle - beside - tip.offsetWidth)}px`;
    tip.style.top = `${plot.top * scale()}px`;
    return `${bucketWords(buckets[index], unit)}: ${format(total)}${shown.slice(0, 4).map((it) => `, ${it.name} ${format(it.value)}`).join("")}`;
  };
  const hide = () => { band.hidden = true; tip.hidden = true; };

  let down = null;
  place.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    down = { x: event.clientX, index: at(event), moved: false, pointer: event.pointerId };
    if (event.pointerType === "mouse") place.setPointerCapture(event.pointerId);
  });
  place.addEventListener("pointermove", (event) => {
    const index = at(event);
    if (down && Math.abs(event.clientX - down.x) > DRAG_PIXELS) down.moved = true;
    if (down?.moved) {
      hide();
      cover(brush, Math.min(down.index, index), Math.max(down.index, index));
      return;
    }
    cover(band, index, index);
    showTip(index);
  });
  place.addEventListener("pointerup", (event) => {
    if (!down) return;
    const [first, last] = [Math.min(down.index, at(event)), Math.max(down.index, at(event))];
    const inside = event.clientX !== undefined;
    const dragged = down.moved;
    down = null;
    brush.hidden = true;
    if (inside && (dragged || event.pointerType === "mouse")) pick(buckets[first], buckets[last]);
  });
  place.addEventListener("pointercancel", () => { down = null; brush.hidden = true; hide(); });
  place.addEventListener("pointerleave", () => { if (!down) hide(); });

  place.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
    if (event.key in moves) {
      event.preventDefault();
      const before = focused ?? (moves[event.key] > 0 ? -1 : buckets.length);
      focused = Math.min(buckets.length - 1, Math.max(0, before + moves[event.key]));
      if (event.shiftKey) anchor ??= Math.min(buckets.length - 1, Math.max(0, before));
      else anchor = null;
      if (anchor === null) brush.hidden = true;
      else cover(brush, Math.min(anchor, focused), Math.max(anchor, focused));
      cover(band, focused, focused);
      say(showTip(focused));
    } else if (event.key === "Enter" && focused !== null) {
      const other = anchor ?? focused;
      pick(buckets[Math.min(other, focused)], buckets[Math.max(other, focused)]);
    } else if (event.key === "Escape") {
      focused = anchor = null;
      brush.hidden = true;
      hide();
    }
  });
  place.addEventListener("blur", () => { focused = anchor = null; brush.hidden = true; hide(); });
  return place;
}

/** The numbers of the chart, for who would rather read them. */
export function chartTable({ buckets, series, unit }, caption, format) {
  return h("div", { class: "chart-table", tabindex: 0, role: "region", "aria-label": caption },
    h("table", { class: "data" }, h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "When"), series.map((it) => h("th", { scope: "col", class: "number" }, it.name)), h("th", { scope: "col", class: "number" }, "Total"))),
      h("tbody", {}, buckets.map((it, index) => h("tr", {},
        h("th", { scope: "row" }, bucketWords(it, unit)),
        series.map((one) => h("td", { class: "number" }, format(one.values[index]))),
        h("td", { class: "number" }, format(series.reduce((sum, one) => sum + one.values[index], 0))))))));
}

/** The legend: a click filters by what it stands for. */
export function legend(series, { format, link }) {
  return h("ul", { class: "legend", "aria-label": "What the colours stand for; a click filters" }, series.map((it) => {
    const inside = [h("i", { class: "swatch", "data-color": it.color ?? "", "aria-hidden": "true" }), h("span", { class: "name" }, it.name), h("b", {}, format(it.total))];
    const target = link(it);
    return h("li", {}, target ? h("a", { href: target, title: `Filter by ${it.name}` }, inside) : h("span", {}, inside));
  }));
}
