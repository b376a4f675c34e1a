// The page: an address says what is shown; a view asks for it and draws it.
import * as access from "./access.js";
import * as live from "./live.js";
import { go, href, read } from "./address.js";
import { controls } from "./controls.js";
import { h, icon, say } from "./dom.js";
import { failed, loading } from "./states.js";
import * as health from "./view_health.js";
import * as models from "./view_models.js";
import * as overview from "./view_overview.js";
import * as session from "./view_session.js";
import * as sessions from "./view_sessions.js";
import * as tools from "./view_tools.js";

const VIEWS = { overview, sessions, session, tools, models, health };
const RESIZE_PIXELS = 12;

const main = document.getElementById("main");
const bar = document.getElementById("controls");

let asking = null;
let drawn = null;

/** Shows what the address says. With `quietly`, what is on the screen stays until the new is there. */
async function show({ quietly = false, moved = false } = {}) {
  const state = read();
  const view = VIEWS[state.view];
  asking?.abort();
  const mine = asking = new AbortController();
  mark(state);
  const same = drawn?.view === state.view && drawn?.id === state.id;
  if (!same) {
    main.replaceChildren(loading());
    scrollTo(0, 0);
  }
  if (!quietly) {
    main.setAttribute("aria-busy", "true");
    bar.hidden = !view.ranged;
    if (view.ranged) controls(bar, state);
  }
  try {
    const data = await view.load(state, mine.signal, innerWidthOf(main));
    draw(() => view.draw(main, data, state));
    document.title = `${view.title(state, data)} · ccotel`;
    drawn = state;
    if (moved) {
      say(`${view.title(state, data)} shown`);
      if (!same) main.focus({ preventScroll: true });
    }
    live.start(() => show({ quietly: true }), showLive);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.kind === undefined) throw error;
    // News that cannot be had leave what is there; why is shown above.
    if (quietly && error.kind === "unreachable") return;
    drawn = null;
    bar.hidden = true;
    document.title = "ccotel";
    main.replaceChildren(failed(error, () => show()));
  } finally {
    if (mine === asking) main.removeAttribute("aria-busy");
  }
}

function innerWidthOf(element) {
  const style = getComputedStyle(element);
  return element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
}

/** Draws anew, and puts the focus back to where it was. */
function draw(it) {
  const active = document.activeElement;
  const key = main.contains(active) ? active.dataset.focus ?? active.getAttribute("href") : null;
  const open = [...main.querySelectorAll("details[open][data-focus]")].map((details) => details.dataset.focus);
  it();
  for (const name of open) main.querySelector(`details[data-focus="${CSS.escape(name)}"]`)?.setAttribute("open", "");
  if (!key) return;
  const again = main.querySelector(`[data-focus="${CSS.escape(key)}"], [href="${CSS.escape(key)}"]`);
  again?.focus({ preventScroll: true });
}

function mark(state) {
  const section = state.view === "session" ? "sessions" : state.view;
  for (const link of document.querySelectorAll("[data-view]")) {
    link.href = href({ ...state, view: link.dataset.view, id: null });
    const current = link.dataset.view === section && !link.classList.contains("brand");
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function showLive(state) {
  const place = document.getElementById("live");
  const words = { on: "Live", off: "Not connected" };
  place.hidden = false;
  if (place.dataset.state !== state) place.textContent = words[state];
  place.dataset.state = state;
  place.title = state === "on" ? "What sessions send is shown as it comes" : "The agent does not answer; it is tried again";
}

function themeButton() {
  const button = document.getElementById("theme");
  const paint = () => {
    const dark = window.ccotelTheme.isDark();
    button.replaceChildren(icon(dark ? "sun" : "moon", 18));
    button.setAttribute("aria-label", dark ? "Use light colours" : "Use dark colours");
    button.title = button.getAttribute("aria-label");
  };
  button.addEventListener("click", () => { window.ccotelTheme.toggle(); paint(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  paint();
}

/** Links of our own are followed without loading the page again. */
function followLinks() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='/']");
    if (!link || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });
  addEventListener("ccotel:address", () => show({ moved: true }));
  addEventListener("popstate", () => show({ moved: true }));
  // A fresh `ccotel open` may arrive in a tab that is here already.
  addEventListener("hashchange", () => { access.takeFromAddress(); show(); });
}

/** Charts are drawn for a width. */
function followWidth() {
  let width = main.clientWidth;
  let timer = 0;
  new ResizeObserver(() => {
    if (Math.abs(main.clientWidth - width) < RESIZE_PIXELS) return;
    clearTimeout(timer);
    timer = setTimeout(() => { width = main.clientWidth; show({ quietly: true }); }, 200);
  }).observe(main);
}

document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
access.takeFromAddress();
themeButton();
followLinks();
followWidth();
show();
