// The token: it arrives in the fragment of the address, is kept for this tab, and leaves the address
// at once. A tab that was opened from another one asks it over a channel that only this page's own
// address can hear.
const KEY = "ccotel-token";
const FORM = /^[0-9a-f]{32}$/;
const OTHER_TABS_WAIT_MS = 300;

let known = null;
const channel = "BroadcastChannel" in window ? new BroadcastChannel("ccotel-access") : null;

/** Takes the token out of the address, if it is there. */
export function takeFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return;
  history.replaceState(history.state, "", location.pathname + location.search);
  if (FORM.test(given)) keep(given);
}

/** The token of this tab, or of another one; null where none has it. */
export async function token() {
  return known ??= kept() ?? await ofAnotherTab();
}

/** The agent did not know it. */
export function forget() {
  known = null;
  try { sessionStorage.removeItem(KEY); } catch { /* it was never kept */ }
}

function keep(value) {
  known = value;
  try { sessionStorage.setItem(KEY, value); } catch { /* until the next reload, then */ }
}

function kept() {
  try { return sessionStorage.getItem(KEY); } catch { return null; }
}

function ofAnotherTab() {
  if (!channel) return null;
  return new Promise((resolve) => {
    const done = (value) => {
      channel.removeEventListener("message", hear);
      clearTimeout(timer);
      resolve(value);
    };
    const hear = ({ data }) => {
      if (!FORM.test(data?.token ?? "")) return;
      keep(data.token);
      done(data.token);
    };
    const timer = setTimeout(() => done(null), OTHER_TABS_WAIT_MS);
    channel.addEventListener("message", hear);
    channel.postMessage({ wanted: true });
  });
}

channel?.addEventListener("message", ({ data }) => {
  if (data?.wanted && known) channel.postMessage({ token: known });
});
