// Numbers and times as people read them.
const LANGUAGE = "en-US";
const number = (options) => new Intl.NumberFormat(LANGUAGE, options);
const dollars = number({ style: "currency", currency: "USD" });
const dollarsWhole = number({ style: "currency", currency: "USD", maximumFractionDigits: 0 });
const dollarsFine = number({ style: "currency", currency: "USD", maximumFractionDigits: 4 });
const short = number({ notation: "compact", maximumFractionDigits: 1 });
const whole = number({ maximumFractionDigits: 0 });
const percent = number({ style: "percent", maximumFractionDigits: 1 });
const percentWhole = number({ style: "percent", maximumFractionDigits: 0 });

export function money(value) {
  if (value === null || value === undefined) return "no price";
  if (value !== 0 && Math.abs(value) < 0.005) return dollarsFine.format(value);
  return Math.abs(value) >= 10_000 ? dollarsWhole.format(value) : dollars.format(value);
}
export const compact = (value) => Math.abs(value) < 10_000 ? whole.format(value) : short.format(value);
export const count = (value) => whole.format(value);
export const ratio = (value) => value === null || value === undefined ? "–" : percent.format(value);
export const ratioWhole = (value) => percentWhole.format(value);
export const plural = (value, one, many = `${one}s`) => `${whole.format(value)} ${value === 1 ? one : many}`;

export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1000) return `${Math.round(value)} ms`;
  return value < 60_000 ? `${(value / 1000).toFixed(1)} s` : seconds(value / 1000);
}

export function seconds(value) {
  const rounded = Math.round(value);
  if (rounded < 60) return `${rounded} s`;
  if (rounded < 600) return rounded % 60 ? `${Math.floor(rounded / 60)} m ${rounded % 60} s` : `${rounded / 60} m`;
  const minutes = Math.floor(value / 60); // as in `ccotel report`
  if (minutes < 60) return `${minutes} m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 100) return minutes % 60 ? `${hours} h ${minutes % 60} m` : `${hours} h`;
  return `${whole.format(hours)} h`;
}

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${value < 10 && unit ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

const date = (options) => new Intl.DateTimeFormat("en", options);
const day = date({ weekday: "short", day: "numeric", month: "short" });
const dayYear = date({ day: "numeric", month: "short", year: "numeric" });
const dayLong = date({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
const clock = date({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockFine = date({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const monthYear = date({ month: "long", year: "numeric" });
const monthShort = date({ month: "short" });

export const time = (at) => clock.format(new Date(at));
export const timeFine = (at) => clockFine.format(new Date(at));
export const dayTime = (at) => `${day.format(new Date(at))}, ${clock.format(new Date(at))}`;
export const fullDay = (at) => dayLong.format(new Date(at));
export const shortMonth = (at) => monthShort.format(new Date(at));
export const shortDay = (at) => dayYear.format(new Date(at));

/** One stretch of a chart, in words. */
export function bucket({ since, until }, unit) {
  const start = new Date(since);
  if (unit === "hour") return `${day.format(start)}, ${clock.format(start)}–${clock.format(new Date(until))}`;
  if (unit === "day") return day.format(start);
  if (unit === "month") return monthYear.format(start);
  return `${day.format(start)} – ${day.format(new Date(new Date(until) - 1))}`;
}

/** A whole range, in words. Until is exclusive. */
export function range(since, until) {
  const [start, end] = [new Date(since), new Date(until)];
  if (end - start <= 86_400_000 * 1.05) {
    const sameDay = start.toDateString() === new Date(end - 1).toDateString();
    const midnight = start.getHours() + start.getMinutes() === 0;
    if (sameDay && midnight) return dayLong.format(start);
    return `${day.format(start)}, ${clock.format(start)} – ${sameDay ? "" : `${day.format(end)}, `}${clock.format(end)}`;
  }
  return `${dayYear.format(start)} – ${dayYear.format(new Date(end - 1))}`;
}

export function ago(at, now = Date.now()) {
  const passed = Math.max(0, (now - new Date(at)) / 1000);
  if (passed < 5) return "just now";
  return passed < 86_400 * 2 ? `${seconds(passed)} ago` : dayTime(at);
}

export function localDay(at) {
  const it = new Date(at);
  const two = (value) => String(value).padStart(2, "0");
  return `${it.getFullYear()}-${two(it.getMonth() + 1)}-${two(it.getDate())}`;
}

/** A name that may be missing. */
export const named = (value) => value ?? "not set";

/** claude-opus-4-8 is Opus 4.8; what is not named like that stays as it is. */
export function model(value) {
  const parts = /^claude-([a-z]+)-(\d+)(?:-(\d{1,2}))?(?:-\d{8})?$/.exec(value ?? "");
  if (!parts) return value ?? "unknown model";
  const [, family, major, minor] = parts;
  return `${family[0].toUpperCase()}${family.slice(1)} ${minor ? `${major}.${minor}` : major}`;
}
