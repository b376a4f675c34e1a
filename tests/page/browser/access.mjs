// Who may see the page, and how it comes by its token.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";

export async function the_token_leaves_the_address_and_stays_in_the_tab({ open, go, settled, url }) {
  const page = await open();
  await go(page);
  assert.equal(page.url(), `${url.origin}/`, "the fragment is gone");
  assert.equal(await page.evaluate(() => history.length), 2, "and not a step back");
  assert.equal(await page.evaluate(() => sessionStorage.getItem("ccotel-token")), url.hash.slice("#token=".length));
  assert.deepEqual(await page.context().cookies(), []);
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);
  await page.reload();
  await settled(page);
  await page.locator(".kpi").first().waitFor();
  // A link that is opened in a new tab asks the tab it came from.
  const other = await page.context().newPage();
  await other.goto(`${url.origin}/models`);
  await settled(other);
  await other.locator("table.data").waitFor();
}

export async function the_redirect_file_opens_the_page({ open, settled, given, url }) {
  const page = await open();
  page.foreignAllowed = true;
  await page.goto(`file://${given.PAGE_FILE}`);
  await page.waitForURL(`${url.origin}/`);
  await settled(page);
  await page.locator(".kpi").first().waitFor();
}

export async function a_stale_token_is_told_to_open_again({ open, go, url }) {
  const page = await open();
  page.expectedErrors.push(/401/);
  await go(page, "/", `#token=${"0123456789abcdef".repeat(2)}`);
  assert.match(await page.locator("main").innerText(), /Run ccotel open again/);
  assert.equal(page.url(), `${url.origin}/`);
  assert.equal(await page.evaluate(() => sessionStorage.getItem("ccotel-token")), null, "it is forgotten");
  const none = await open();
  await go(none, "/sessions", "");
  assert.match(await none.locator("main").innerText(), /Run ccotel open again/);
  // A fresh one in the same tab.
  await none.evaluate((hash) => { location.hash = hash; }, url.hash);
  await none.locator("table.data").waitFor();
}

export async function another_page_cannot_ask({ open, url }) {
  const server = createServer((_, answer) => {
    answer.setHeader("content-type", "text/html");
    answer.end("<!doctype html><title>another page</title><body></body>");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const page = await open();
  page.foreignAllowed = true;
  page.expectedErrors.push(/./);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const token = url.hash.slice("#token=".length);
  const asked = await page.evaluate(async ([origin, token]) => {
    const tries = {
      plain: () => fetch(`${origin}/api/v1/overview`),
      token: () => fetch(`${origin}/api/v1/overview`, { headers: { Authorization: `Bearer ${token}` } }),
      blind: () => fetch(`${origin}/api/v1/overview`, { mode: "no-cors" }),
    };
    const found = {};
    for (const [name, it] of Object.entries(tries)) {
      found[name] = await it().then(async (answer) => `${answer.type} ${answer.status} ${(await answer.text()).length}`, (error) => error.name);
    }
    const frame = document.createElement("iframe");
    frame.src = `${origin}/`;
    document.body.append(frame);
    await new Promise((resolve) => { frame.onload = resolve; });
    try { found.frame = frame.contentDocument?.body?.innerText ?? "closed"; } catch (error) { found.frame = error.name; }
    const script = document.createElement("script");
    script.src = `${origin}/assets/theme.js`;
    found.script = await new Promise((resolve) => { script.onload = () => resolve("ran"); script.onerror = () => resolve("blocked"); document.body.append(script); });
    return found;
  }, [url.origin, token]);
  server.close();
  server.closeAllConnections();
  assert.equal(asked.plain, "TypeError");
  assert.equal(asked.token, "TypeError");
  assert.match(asked.blind, /TypeError|opaque 0 0/);
  assert.equal(asked.frame, "closed");
  assert.equal(asked.script, "blocked");
}
