// Elements without markup: text is always text, whatever is in it.
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [name, it] of Object.entries(value)) element.style.setProperty(name, it);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const ICONS = {
  sun: "M10 3V1.5M10 18.5V17M17 10h1.5M1.5 10H3M15 5l1-1M4 16l1-1M15 15l1 1M4 4l1 1M13.4 10a3.4 3.4 0 1 1-6.8 0 3.4 3.4 0 0 1 6.8 0Z",
  moon: "M16.6 11.6A6.9 6.9 0 0 1 8.4 3.4a6.9 6.9 0 1 0 8.2 8.2Z",
  close: "m6 6 8 8m0-8-8 8",
  plus: "M10 5v10M5 10h10",
  down: "m6 8 4 4 4-4",
  back: "m12 5-5 5 5 5",
  calendar: "M4 7.5h12M6.5 3v2.5M13.5 3v2.5M4 5.5h12v11H4z",
};

export function icon(name, size = 16) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 20 20", width: size, height: size, fill: "none", stroke: "currentColor", "stroke-width": 1.6, "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" })) svg.setAttribute(key, value);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export function card(title, { side = null, note = null, flush = false, className = "" } = {}, ...body) {
  const id = `card-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return h("section", { class: `card ${className}`, "aria-labelledby": id },
    h("div", { class: "card-head" }, h("div", {}, h("h2", { id }, title), note && h("p", {}, note)), side),
    h("div", { class: flush ? "card-body flush" : "card-body" }, ...body));
}

/** Says something to who does not see the page. */
export function say(text) {
  document.getElementById("said").textContent = text;
}
