// Runs one scenario in a browser of its own. What it is given comes in the environment; what fails is
// said on standard error, and the exit code is 1. A message of the console, an exception of the page, or
// a request to another host fails every scenario.
import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as access from "./access.mjs";
import * as appearance from "./appearance.mjs";
import * as filters from "./filters.mjs";
import * as states from "./states.mjs";
import * as views from "./views.mjs";

const given = process.env;
const require = createRequire(join(given.CCOTEL_TEST_PAGE_MODULES, "here.cjs"));
const { chromium } = require("playwright-core");
const SCENARIOS = { ...access, ...appearance, ...filters, ...states, ...views };
const ZONE = "Europe/Paris";

const profile = mkdtempSync(join(tmpdir(), "ccotel-chromium-"));
const url = new URL(given.PAGE_URL);
const problems = [];

async function open(browser, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 }, colorScheme: "light", timezoneId: ZONE, locale: "en-GB", ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.expectedErrors = [];
  page.on("console", (message) => {
    if (!["error", "warning"].includes(message.type())) return;
    if (page.expectedErrors.some((it) => it.test(message.text()))) return;
    problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`exception: ${error.stack}`));
  page.on("request", (request) => {
    const host = new URL(request.url()).host;
    if (host !== url.host && !request.url().startsWith("data:") && !page.foreignAllowed) problems.push(`a request to ${host}`);
  });
  return page;
}

/** Goes to a path with the token, and waits for what is drawn. */
async function go(page, path = "/", hash = url.hash) {
  await page.goto(`${url.origin}${path}${hash}`);
  await settled(page);
}

async function settled(page) {
  await page.waitForSelector("main:not([aria-busy]) h1");
}

const browser = await chromium.launch({
  executablePath: given.PAGE_CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", `--crash-dumps-dir=${profile}`],
});
try {
  const scenario = SCENARIOS[given.PAGE_SCENARIO];
  if (!scenario) throw new Error(`there is no scenario ${given.PAGE_SCENARIO}`);
  await scenario({
    open: (options) => open(browser, options), go, settled, url, given, require,
    report: given.PAGE_REPORT ? JSON.parse(given.PAGE_REPORT) : null,
  });
  if (problems.length) throw new Error(problems.join("\n"));
} catch (error) {
  console.error([...problems, error.stack].join("\n"));
  process.exitCode = 1;
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
