// Every view says what the command line says, and what happens shows without a reload.
import assert from "node:assert/strict";

const text = (page, selector) => page.locator(selector).first().innerText();
const kpi = (page, name) => page.locator(".kpi", { hasText: name }).locator(".value").innerText();

export async function every_view_shows_what_there_is({ open, go, settled, report }) {
  const page = await open();
  await go(page);
  const dollars = `$${report.total.cost_usd.toFixed(2)}`;
  assert.equal((await kpi(page, "Cost, list price")).replaceAll(",", ""), dollars);
  assert.equal(await kpi(page, "Sessions"), String(report.total.sessions));
  assert.equal(await kpi(page, "Commits"), String(report.total.commits));
  assert.match(await kpi(page, "Cache hits"), /^\d+(\.\d)?%$/);
  const { tokens } = report.total;
  const ratio = tokens.cache_read / (tokens.input + tokens.cache_read + tokens.cache_creation);
  assert.equal(parseFloat(await kpi(page, "Cache hits")).toFixed(1), (ratio * 100).toFixed(1));
  for (const card of ["Top projects", "Top models", "Top tools", "Most expensive prompts"]) {
    assert.ok(await page.locator("section", { hasText: card }).locator("li").count() > 0, card);
  }
  assert.match(await text(page, ".footnotes"), /list prices.+not a bill/s);
  const budgets = page.locator(".budgets li");
  assert.equal(await budgets.count(), 2);
  assert.match(await budgets.first().innerText(), /This month.+all sessions.+used up.+of \$0\.01/s);
  assert.equal(await budgets.first().getAttribute("data-level"), "over");
  assert.match(await budgets.last().innerText(), /checkout.+this week.+0%.+of \$1,000,000/s);
  assert.equal(await budgets.last().getAttribute("data-level"), null);

  await page.getByRole("link", { name: "Sessions", exact: true }).click();
  await page.waitForURL("**/sessions");
  await settled(page);
  assert.ok(await page.locator("tbody tr").count() > 10);
  await page.locator("tbody a").first().click();
  await page.waitForURL("**/sessions/*");
  await settled(page);
  const kinds = await page.locator("[data-kind]").evaluateAll((all) => [...new Set(all.map((it) => it.dataset.kind))]);
  assert.ok(kinds.includes("request") && kinds.includes("tool"), kinds.join());
  assert.match(await text(page, ".turn h3"), /Prompt 1/);
  // What the prompts came to is what the session came to.
  const amounts = await page.locator(".turn-head .amount").allInnerTexts();
  const sum = amounts.reduce((all, it) => all + Number(it.replace("$", "")), 0);
  const total = Number((await text(page, ".facts dd")).replace("$", ""));
  assert.ok(Math.abs(sum - total) < 0.01 * amounts.length, `${sum} and ${total}`);

  await page.getByRole("link", { name: "Tools", exact: true }).click();
  await page.waitForURL("**/tools");
  await settled(page);
  const bash = page.getByRole("row", { name: /^Bash/ });
  assert.match(await bash.innerText(), /%/);
  await page.getByRole("button", { name: "Tool" }).click();
  const names = await page.locator("tbody th").allInnerTexts();
  assert.deepEqual(names, [...names].sort((one, other) => one.localeCompare(other)), "sorted by name");

  await page.getByRole("link", { name: "Models", exact: true }).click();
  await page.waitForURL("**/models");
  await settled(page);
  assert.match(await page.getByRole("row", { name: /Opus 4.8/ }).innerText(), /\$[\d,.]+.+\d+\.\d/s);

  await page.getByRole("link", { name: "Health", exact: true }).click();
  await page.waitForURL("**/health");
  await settled(page);
  const health = await text(page, "main");
  assert.match(health, /Records stay on this machine/);
  assert.match(health, /History since/);
}

export async function imported_usage_is_told_apart({ open, go, settled, report }) {
  const page = await open();
  await go(page, "/?since=365d");
  const { imported_cost_usd: imported, cost_usd: all } = report.total;
  assert.ok(imported > 0 && imported < all, `${imported} of ${all}`);
  const note = await page.locator(".footnotes p", { hasText: "Imported from transcripts" }).innerText();
  assert.ok(note.includes(`$${imported.toFixed(2)}`), note);
  assert.equal((await kpi(page, "Cost, list price")).replaceAll(",", ""), `$${all.toFixed(2)}`);
  const long_ago = new Date(Date.now() - 70 * 86_400_000).toISOString().slice(0, 10);
  await go(page, `/sessions?since=365d&until=${long_ago}`);
  await page.getByRole("button", { name: "Session" }).click();
  await page.locator("tbody tr").first().locator("a").click();
  await page.locator(".turn").first().waitFor();
  await settled(page);
  assert.equal(await text(page, ".heading .tag"), "imported");
  assert.doesNotMatch(await text(page, ".turn-head .amount"), /no price/);
  await go(page, "/");
  assert.equal(await page.locator(".footnotes p", { hasText: "Imported" }).count(), 0, "none in the last 30 days");
}

export async function the_table_has_the_numbers_of_the_chart({ open, go, report }) {
  const page = await open();
  await go(page);
  await page.getByText("Show as a table").click();
  const cells = await page.locator(".chart-table tbody tr td:last-child").allInnerTexts();
  const sum = cells.reduce((all, it) => all + Number(it.replace(/[$,]/g, "")), 0);
  assert.ok(Math.abs(sum - report.total.cost_usd) < 0.005 * cells.length, `${sum} and ${report.total.cost_usd}`);
  assert.equal(cells.length, 30);
}

export async function values_show_under_the_pointer({ open, go }) {
  const page = await open();
  await go(page);
  const box = await page.locator(".chart svg").boundingBox();
  await page.mouse.move(box.x + box.width - 12, box.y + box.height / 2);
  await page.locator(".tip").waitFor();
  const shown = await text(page, ".tip");
  assert.match(shown, /\$\d/);
  await page.getByText("Show as a table").click();
  const last = await page.locator(".chart-table tbody tr").last().locator("td").last().innerText();
  await page.locator(".chart").focus();
  await page.keyboard.press("End");
  assert.ok((await text(page, ".tip")).includes(last), `${await text(page, ".tip")} has ${last}`);
  assert.ok((await page.locator("#said").innerText()).includes(last), "a screen reader hears it");
}

export async function what_happens_shows_without_a_reload({ open, go, given }) {
  const page = await open();
  await go(page, "/?since=today");
  await page.locator("#live", { hasText: "Live" }).waitFor();
  await page.evaluate(() => { window.stayed = true; });
  const before = Number(await kpi(page, "Sessions"));
  await send(given.AGENT_ENDPOINT);
  await page.waitForFunction((wanted) => [...document.querySelectorAll(".kpi")].some((it) => it.textContent.includes("Sessions") && it.querySelector(".value").textContent === wanted), String(before + 1));
  assert.equal(await page.evaluate(() => window.stayed), true);
  await page.getByRole("link", { name: "Sessions", exact: true }).click();
  await page.waitForURL("**/sessions*");
  await page.locator("tbody tr", { hasText: "live-update" }).waitFor();
}

/** One prompt and one request, as Claude Code sends them. */
async function send(endpoint) {
  const now = `${Date.now()}000000`;
  const value = (it) => typeof it === "number" ? { doubleValue: it } : { stringValue: it };
  const attributes = (all) => Object.entries(all).map(([key, it]) => ({ key, value: value(it) }));
  const record = (name, more) => ({
    timeUnixNano: now, body: { stringValue: `claude_code.${name}` }, eventName: `claude_code.${name}`,
    attributes: attributes({ "event.name": name, "session.id": "77777777-0000-4000-8000-000000000000", "prompt.id": "77777777-0000-4000-9000-000000000000", ...more }),
  });
  const body = { resourceLogs: [{
    resource: { attributes: attributes({ "service.name": "claude-code", project: "live-update", team: "payments" }) },
    scopeLogs: [{ scope: { name: "com.anthropic.claude_code.events" }, logRecords: [
      record("user_prompt", { prompt_length: "12" }),
      record("api_request", { model: "claude-opus-4-8", cost_usd: 0.25, input_tokens: 100, output_tokens: 10, cache_read_tokens: 0, cache_creation_tokens: 0, duration_ms: 900 }),
    ] }],
  }] };
  const answer = await fetch(`${endpoint}/v1/logs`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.text());
}
