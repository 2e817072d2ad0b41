// The page of a server in Chromium: node --test, with the addresses of servers that `cargo test -p attar-serve -- --ignored` starts,
// playwright-core and axe-core where NODE_PATH points, and Chromium at /usr/bin/chromium or where CHROMIUM says.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { chromium, optional } from "../../wasm/tests/browser.mjs";

const { ATTAR_OPEN: open, ATTAR_KEYED: keyed } = process.env;
let browser;

before(async () => {
  browser = await chromium();
});

after(() => browser?.close());

/** A page that notes what it asks of others, and what goes wrong in it. */
async function visit(address, options = {}) {
  const page = await browser.newPage(options);
  const outside = [];
  const problems = [];
  page.on("request", (request) => request.url().startsWith(address) || request.url().startsWith("data:") || outside.push(request.url()));
  page.on("pageerror", (error) => problems.push(error.message));
  await page.goto(address);
  return { page, outside, problems };
}

const first = (page, panel) => page.locator(`#result-${panel} ol.bars li`).first();

test("two bundles answer side by side while one types, and nobody else is asked", async () => {
  const { page, outside, problems } = await visit(open);
  await page.getByText("6 bundles, served here").waitFor();
  await page.locator("#bundle-1").selectOption("topics");
  await first(page, 1).waitFor();
  assert.match(await first(page, 0).textContent(), /(lights|music|weather).*%/);
  assert.match(await first(page, 1).textContent(), /(bug|ui).*%/);
  const before = await page.locator("#result-0").textContent();
  await page.locator("#text").fill("Ada never wrote notes on the engine in London");
  await page.waitForFunction((before) => document.getElementById("result-0").textContent !== before, before);
  assert.match(await page.locator("#facts-0").textContent(), /milliseconds.*tokens.*joules.*megabytes/s);
  assert.deepEqual(outside, []);
  assert.deepEqual(problems, []);
  await page.close();
});

test("each kind of bundle shows what it is for", async () => {
  const { page, problems } = await visit(open);
  await page.locator("#result-0 ol.bars").waitFor();
  for (const [bundle, shown] of [["vectors", "ol.bars"], ["pairs", "ol.bars"], ["tags", "mark, p"], ["answers", "mark, p"]]) {
    await page.locator("#bundle-0").selectOption(bundle);
    await page.waitForResponse((answer) => answer.url().includes(`/models/${bundle}/`) && answer.ok());
    await page.locator("#result-0").locator(shown).first().waitFor();
    assert.equal(await page.locator("#result-0 .bad").count(), 0, bundle);
  }
  // What a bundle cannot answer is told in its place.
  await page.route("**/models/answers/answer", (route) => route.fulfill({ status: 503, json: { error: "busy, come back later" } }));
  await page.locator("#text").fill("Who never built it?");
  await page.getByText("busy, come back later").waitFor();
  assert.deepEqual(problems, []);
  await page.close();
});

test("texts are shown as texts, whatever is in them", async () => {
  const { page, problems } = await visit(open);
  await page.locator("#bundle-0").selectOption("tags");
  await page.locator("#text").fill("<img src=x onerror=alert(1)> Ada <b>London</b>");
  await page.waitForResponse((answer) => answer.url().includes("/models/tags/") && answer.ok());
  await page.locator("#result-0 p").first().waitFor();
  assert.equal(await page.locator("#result-0 img, #result-0 b").count(), 0);
  assert.deepEqual(problems, []);
  await page.close();
});

test("where keys are wanted the page asks for one", async () => {
  const { page } = await visit(keyed);
  await page.getByText("This server wants a key").waitFor();
  await page.locator("#key").fill("secret");
  await page.locator("#key").press("Tab");
  await first(page, 0).waitFor();
  await page.close();
});

for (const colorScheme of ["light", "dark"]) {
  for (const width of [1100, 360]) {
    test(`the page can be used by all, ${colorScheme}, ${width} wide`, async () => {
      const { page } = await visit(open, { colorScheme, viewport: { width, height: 800 } });
      await first(page, 0).waitFor();
      const scrolls = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
      assert.ok(!scrolls, "nothing sticks out");
      if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, `serve-${colorScheme}-${width}.png`) });
      // Its policy keeps other scripts out of the page, so they come in another way.
      const session = await page.context().newCDPSession(page);
      await session.send("Runtime.evaluate", { expression: optional("axe-core").source });
      const { violations } = await page.evaluate(() => window.axe.run());
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`), []);
      await page.close();
    });
  }
}
