// Where there is nothing to show: it says why, and what to do.
import assert from "node:assert/strict";

export async function the_first_run_says_what_to_do({ open, go, given }) {
  const page = await open();
  for (const path of ["/", "/sessions", "/tools", "/models"]) {
    await go(page, path);
    const words = await page.locator("main").innerText();
    for (const wanted of ["Nothing has been counted yet", "ccotel claude", "ccotel import", "ccotel demo"]) assert.ok(words.includes(wanted), `${path}: ${words}`);
  }
  await go(page, "/health");
  assert.match(await page.locator("main").innerText(), /All in order|warning/);
  assert.ok(given.PAGE_SCENARIO);
}

export async function a_damaged_history_is_said({ open, go }) {
  const page = await open();
  page.expectedErrors.push(/500/);
  await go(page);
  const words = await page.locator("main").innerText();
  assert.match(words, /The history is damaged/);
  assert.match(words, /ccotel agent restart/);
  await go(page, "/health");
  assert.match(await page.locator("main").innerText(), /is damaged/);
}

export async function an_agent_that_is_gone_is_said({ open, go, given, settled }) {
  const { execFileSync } = await import("node:child_process");
  const page = await open();
  page.expectedErrors.push(/ERR_CONNECTION|ERR_EMPTY|Failed to load/);
  await go(page);
  await page.locator("#live", { hasText: "Live" }).waitFor();
  execFileSync(given.PAGE_CCOTEL, ["agent", "stop"]);
  await page.locator("#live", { hasText: "Not connected" }).waitFor();
  await page.locator(".kpi").first().waitFor();
  await page.getByRole("link", { name: "Tools", exact: true }).click();
  await page.getByText("The agent does not answer").waitFor();
  await settled(page);
}
