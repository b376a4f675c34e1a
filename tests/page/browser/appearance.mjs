// How it looks, on which screens, and for whom.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const VIEWS = ["/", "/sessions", "/tools", "/models", "/health"];
const WIDTHS = [360, 768, 1440];

async function with_a_session(page, go) {
  await go(page, "/sessions");
  const address = await page.locator("tbody a").nth(2).getAttribute("href");
  return [...VIEWS, new URL(address, "http://x").pathname];
}

export async function nothing_scrolls_sideways({ open, go, settled }) {
  for (const width of WIDTHS) {
    const page = await open({ viewport: { width, height: 800 } });
    for (const path of await with_a_session(page, go)) {
      await go(page, path, "");
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `${path} at ${width}: ${wide} pixels too wide`);
      const cut = await page.evaluate(() => [...document.querySelectorAll("main *")].filter((it) => {
        const box = it.getBoundingClientRect();
        return box.width > 0 && box.right > document.documentElement.clientWidth + 1 && !it.closest(".scroll, .heat-wrap, .chart-table, .unseen, svg");
      }).map((it) => it.className || it.tagName));
      assert.deepEqual(cut, [], `${path} at ${width}`);
    }
    await settled(page);
    await page.context().close();
  }
}

export async function light_and_dark_follow_the_system_or_a_choice({ open, go, settled }) {
  const page = await open({ colorScheme: "dark" });
  await go(page);
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const bar = () => page.locator('.chart svg rect[fill="#000100"]').first().evaluate((it) => getComputedStyle(it).fill);
  const [dark, darkBar] = [await ground(), await bar()];
  await page.emulateMedia({ colorScheme: "light" });
  const [light, lightBar] = [await ground(), await bar()];
  assert.notEqual(dark, light);
  assert.notEqual(darkBar, lightBar, "the chart has the scheme's colours");
  await page.getByRole("button", { name: "Use dark colours" }).click();
  assert.equal(await ground(), dark);
  await page.reload();
  await settled(page);
  assert.equal(await ground(), dark, "the choice is kept");
  await page.getByRole("button", { name: "Use light colours" }).click();
  assert.equal(await ground(), light);
  await page.emulateMedia({ colorScheme: "dark" });
  assert.equal(await ground(), dark, "what the system has is no choice");
}

export async function nobody_is_shut_out({ open, go, require }) {
  const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  for (const [width, colorScheme] of [[1440, "light"], [1440, "dark"], [360, "light"]]) {
    const page = await open({ viewport: { width, height: 900 }, colorScheme });
    for (const path of [...await with_a_session(page, go), "/?project=nobody-has-it"]) {
      await go(page, path, "");
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
      const serious = violations.filter((it) => ["serious", "critical"].includes(it.impact));
      const words = serious.map((it) => `${it.id}: ${it.help}\n${it.nodes.slice(0, 4).map((node) => `  ${node.html.slice(0, 160)}\n  ${node.failureSummary}`).join("\n")}`);
      assert.equal(words.length, 0, `${path} at ${width}, ${colorScheme}:\n${words.join("\n")}`);
    }
    await page.context().close();
  }
}

export async function all_of_it_works_from_the_keyboard({ open, go, settled }) {
  const page = await open();
  await go(page);
  const focused = () => page.evaluate(() => {
    const it = document.activeElement;
    const style = getComputedStyle(it);
    return { name: it.getAttribute("aria-label") ?? it.textContent.trim(), ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1.5, tag: it.tagName, role: it.getAttribute("role") };
  });
  await page.evaluate(() => document.activeElement.blur());
  const seen = [];
  for (let step = 0; step < 90; step += 1) {
    await page.keyboard.press("Tab");
    const now = await focused();
    if (now.tag === "BODY") break;
    if (seen.length === 0) assert.equal(now.name, "Skip to content");
    assert.ok(now.ring, `${now.name} shows that it has the focus`);
    seen.push(now);
  }
  for (const wanted of [/^Overview$/, /^Use dark colours$/, /^30 days$/, /^Add a filter$/, /^Tokens/, /Arrow keys read the values/, /Show as a table/, /checkout/]) {
    assert.ok(seen.some((it) => wanted.test(it.name)), `${wanted} is reached: ${seen.map((it) => it.name).join(" | ")}`);
  }
  assert.equal(seen.filter((it) => it.role === "gridcell").length, 1, "the calendar is one stop");

  await page.locator(".chart").focus();
  await page.keyboard.press("End");
  await page.keyboard.press("Shift+ArrowLeft");
  await page.keyboard.press("Shift+ArrowLeft");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => Date.parse(url.searchParams.get("until")) - Date.parse(url.searchParams.get("since")) >= 2 * 86_400_000);
  await settled(page);
  await page.locator("table.heat td[tabindex='0']").focus();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowLeft");
  const day = await page.evaluate(() => document.activeElement.dataset.day);
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.searchParams.get("since") === day);
  await settled(page);
  await page.getByText("Filter", { exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.locator(".menu[open]").waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.locator(".menu[open]").count(), 0);
}

/** Kept where CCOTEL_TEST_SCREENSHOTS says. */
export async function pictures({ open, go, given }) {
  const folder = given.CCOTEL_TEST_SCREENSHOTS || mkdtempSync(join(tmpdir(), "ccotel-pictures-"));
  mkdirSync(folder, { recursive: true });
  const shots = [["overview-light", "/", 1440, "light", 1010], ["overview-dark", "/?by=model", 1440, "dark", 1010], ["sessions-light", "/sessions", 1440, "light", 900], ["models-dark", "/models", 1440, "dark", 620], ["tools-light", "/tools", 1440, "light", 760], ["health-light", "/health", 1440, "light", 760], ["overview-narrow", "/", 360, "light", 800], ["overview-narrow-dark", "/", 360, "dark", 800]];
  for (const [name, path, width, colorScheme, height] of shots) {
    const page = await open({ viewport: { width, height }, colorScheme });
    await go(page, path);
    await page.locator("#live", { hasText: "Live" }).waitFor();
    await picture(page, name);
    if (path === "/sessions") {
      await page.locator("tbody a").nth(3).click();
      await page.locator(".turn").first().waitFor();
      await picture(page, "session-light");
    }
    await page.context().close();
  }
  async function picture(page, name) {
    const file = join(folder, `${name}.png`);
    await page.screenshot({ path: file, animations: "disabled" });
    assert.ok(statSync(file).size > 10_000, `${name} shows something`);
  }
}
