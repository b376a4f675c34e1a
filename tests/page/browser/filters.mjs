// Range and filters are in the address: it can be shared, and the back button works.
import assert from "node:assert/strict";

const cost = async (page) => Number((await page.locator(".kpi .value").first().innerText()).replace(/[$,]/g, ""));
const query = (page) => new URL(page.url()).searchParams;
const waitFor = (page, name, value) => page.waitForURL((url) => url.searchParams.get(name) === value);

export async function filters_are_in_the_address_and_the_back_button_works({ open, go, settled, url }) {
  const page = await open();
  await go(page);
  const all = await cost(page);
  await page.locator(".legend a", { hasText: "checkout" }).click();
  await waitFor(page, "project", "checkout");
  await settled(page);
  await page.locator(".chip", { hasText: "checkout" }).waitFor();
  const some = await cost(page);
  assert.ok(some > 0 && some < all, `${some} of ${all}`);
  const projects = page.locator("section", { has: page.getByRole("heading", { name: "Top projects" }) });
  assert.deepEqual(await projects.locator(".name").allInnerTexts(), ["checkout"]);

  // A bar of a list, on top.
  await page.locator("section", { hasText: "Top models" }).locator("a", { hasText: "Opus 4.8" }).first().click();
  await waitFor(page, "model", "claude-opus-4-8");
  await settled(page);
  const fewer = await cost(page);
  assert.ok(fewer > 0 && fewer < some);

  await page.goBack();
  await waitFor(page, "model", null);
  await page.waitForFunction((wanted) => document.querySelector(".kpi .value").textContent.replace(/[$,]/g, "") === wanted, some.toFixed(2));
  await page.reload();
  await settled(page);
  assert.equal(await cost(page), some, "a reload shows the same");
  const shared = await page.context().newPage();
  await shared.goto(page.url());
  await settled(shared);
  assert.equal(await cost(shared), some, "another tab shows the same");

  await page.getByRole("link", { name: /^Remove the filter Project/ }).click();
  await waitFor(page, "project", null);
  await settled(page);
  await page.waitForFunction((wanted) => document.querySelector(".kpi .value").textContent.replace(/[$,]/g, "") === wanted, all.toFixed(2));
  assert.ok(page.url().startsWith(url.origin));
}

export async function the_filter_menu_offers_what_there_is({ open, go, settled }) {
  const page = await open();
  await go(page, "/sessions");
  await page.getByText("Filter", { exact: true }).click();
  await page.getByLabel("Filter by").first().selectOption("team");
  await page.locator(".options a", { hasText: "payments" }).click();
  await waitFor(page, "team", "payments");
  await settled(page);
  const names = new Set(await page.locator("tbody .sub").allInnerTexts());
  assert.ok([...names].every((it) => ["checkout", "billing"].includes(it)), [...names].join());
  await page.getByText("Filter", { exact: true }).click();
  await page.locator(".options a").first().waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.locator(".menu[open]").count(), 0, "Escape closes it");
}

export async function dragging_over_the_chart_zooms({ open, go, settled }) {
  const page = await open();
  await go(page);
  const box = await page.locator(".chart svg").boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 100, { steps: 4 });
  await page.mouse.move(box.x + box.width * 0.75, box.y + 100, { steps: 4 });
  assert.ok(await page.locator(".brush").isVisible());
  await page.mouse.up();
  await page.waitForURL("**since=*until=*");
  await settled(page);
  const [since, until] = [query(page).get("since"), query(page).get("until")];
  const days = (Date.parse(until) - Date.parse(since)) / 86_400_000;
  assert.ok(days >= 6 && days <= 10, `${since} to ${until}`);
  await page.getByText("Show as a table").click();
  assert.equal(await page.locator(".chart-table tbody tr").count(), Math.round(days));

  // A click on one bar is that bar alone: a day, by the hour.
  const again = await page.locator(".chart svg").boundingBox();
  await page.mouse.click(again.x + again.width * 0.5, again.y + 120);
  await page.waitForURL((url) => Date.parse(url.searchParams.get("until")) - Date.parse(url.searchParams.get("since")) === 86_400_000);
  await page.getByRole("heading", { name: "Cost by hour" }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "Cost by day" }).waitFor();
  await page.goBack();
  await page.waitForURL((url) => !url.searchParams.has("since"));
}

export async function ranges_metrics_and_stacks_can_be_picked({ open, go, settled }) {
  const page = await open();
  await go(page);
  await page.getByRole("link", { name: "1 year" }).click();
  await waitFor(page, "since", "365d");
  await page.getByRole("heading", { name: "Cost by week" }).waitFor();
  await page.getByRole("link", { name: "Today" }).click();
  await page.getByRole("heading", { name: "Cost by hour" }).waitFor();
  await page.getByRole("link", { name: "7 days" }).click();
  await page.getByRole("heading", { name: "Cost by day" }).waitFor();
  await page.locator(".kpi", { hasText: "Tokens" }).click();
  await page.getByRole("heading", { name: "Tokens by day" }).waitFor();
  await page.getByRole("link", { name: "Team", exact: true }).click();
  await waitFor(page, "by", "team");
  await page.locator(".legend", { hasText: "payments" }).waitFor();
  await page.getByText("Custom", { exact: true }).click();
  const today = await page.locator("input[name=to]").inputValue();
  await page.locator("input[name=from]").fill(today);
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await waitFor(page, "since", today);
  await settled(page);
  await page.locator("table.heat td[data-level='4']").last().click();
  await page.waitForURL("**until=*");
  await page.getByRole("heading", { name: "Tokens by hour" }).waitFor();
}

export async function what_cannot_be_shown_is_said({ open, go, settled }) {
  const page = await open();
  page.expectedErrors.push(/400/);
  await go(page, "/?project=nobody-has-it");
  await page.getByText("No session matches these filters").waitFor();
  await page.getByRole("link", { name: "Remove the filters" }).click();
  await settled(page);
  await page.locator(".kpi").first().waitFor();
  for (const [path, words] of [["/?since=yesteryear", "is not a time"], ["/?since=2026-02-01&until=2026-01-01", "must be before"], ["/?colour=red", "not something to report by"]]) {
    await go(page, path);
    assert.match(await page.locator("main").innerText(), new RegExp(words), path);
  }
  page.expectedErrors.push(/404/);
  await go(page, "/sessions/nobody");
  await page.getByText("No such session").waitFor();
}
