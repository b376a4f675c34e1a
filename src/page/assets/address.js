// The address says everything that is shown: the view, the range, the filters. So it can be shared,
// and the back button works.
const OWN = new Set(["since", "until", "by", "metric"]);
const VIEWS = new Set(["sessions", "tools", "models", "health"]);
export const DEFAULTS = { since: "30d", until: "", by: "project", metric: "cost" };

export function read() {
  const [, first = "", id = ""] = location.pathname.split("/");
  const query = new URLSearchParams(location.search);
  const own = (name) => query.get(name) || DEFAULTS[name];
  return {
    view: first === "sessions" && id ? "session" : VIEWS.has(first) ? first : "overview",
    id: id ? decodeURIComponent(id) : null,
    since: own("since"),
    until: own("until"),
    by: own("by"),
    metric: own("metric"),
    filters: [...query].filter(([name]) => !OWN.has(name)),
  };
}

/** The address of the state with some of it changed. */
export function href(state, changes = {}) {
  const next = { ...state, ...changes };
  const path = next.view === "overview" ? "/"
    : next.view === "session" ? `/sessions/${encodeURIComponent(next.id)}` : `/${next.view}`;
  const query = new URLSearchParams();
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    if (next[name] && next[name] !== usual) query.set(name, next[name]);
  }
  for (const [name, value] of next.filters) query.append(name, value);
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** With a filter more; one that is there already goes away. */
export function toggled(state, name, value) {
  const same = ([n, v]) => n === name && v === value;
  const filters = state.filters.some(same)
    ? state.filters.filter((it) => !same(it))
    : [...state.filters, [name, value]];
  return href(state, { filters });
}

export function isFiltered(state, name, value) {
  return state.filters.some(([n, v]) => n === name && v === value);
}

/** What the API is asked with. */
export function question(state, more = {}) {
  const query = new URLSearchParams({ since: state.since, tz: zone() });
  if (state.until) query.set("until", state.until);
  for (const [name, value] of state.filters) query.append(name, value);
  for (const [name, value] of Object.entries(more)) query.set(name, value);
  return query;
}

export function zone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

export function go(address, { replace = false } = {}) {
  if (address === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"]({}, "", address);
  dispatchEvent(new Event("ccotel:address"));
}
