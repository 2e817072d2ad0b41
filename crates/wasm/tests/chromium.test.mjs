// The package and its page in Chromium: node --test, with the folder that `cargo test -p attar-wasm -- --ignored` prepares,
// playwright-core and axe-core where NODE_PATH points, and Chromium at /usr/bin/chromium or where CHROMIUM says.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { chromium, optional, serve } from "./browser.mjs";
import { cases, folder, near, tolerance } from "./cases.mjs";

const here = join(import.meta.dirname, "..");
let browser;
let site;

before(async () => {
  site = await serve({ npm: join(here, "npm"), demo: join(here, "demo"), models: folder }, { "/": "<!doctype html><title>empty</title>" });
  browser = await chromium();
});

after(async () => {
  await browser?.close();
  site?.end();
});

for (const { name, calls } of cases) {
  test(`${name} answers in a worker as it does natively`, async () => {
    const page = await browser.newPage();
    await page.goto(site.origin);
    const found = await page.evaluate(
      async ({ name, calls }) => {
        const { load } = await import("/npm/index.js");
        const seen = [];
        const model = await load(`/models/${name}.attar`, { onProgress: (progress) => seen.push(progress) });
        const answers = [];
        for (const { call, values } of calls) answers.push(await model[call](...values));
        model.dispose();
        const { loaded, total } = seen.at(-1);
        const plain = (value) => (value instanceof Float32Array ? [...value] : Array.isArray(value) ? value.map(plain) : value);
        return { answers: answers.map(plain), whole: loaded === total, refused: await model.tokenize("a").catch((error) => error.message) };
      },
      { name, calls: calls.slice(0, 60).map(({ call, values }) => ({ call, values })) },
    );
    assert.ok(found.whole);
    assert.match(found.refused, /load it again/);
    found.answers.forEach((answer, at) => near(answer, calls[at].answer, tolerance(name), `${name} ${calls[at].call} ${at}`));
    await page.close();
  });
}

test("the page answers while one types, and asks nobody else", async () => {
  const page = await browser.newPage();
  const outside = [];
  page.on("request", (request) => request.url().startsWith(site.origin) || /^(blob|data):/.test(request.url()) || outside.push(request.url()));
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(error.message));
  await page.goto(`${site.origin}/demo/index.html?model=/models/classes.attar`);
  await page.getByText("sorts texts (3 labels)").waitFor();
  const first = await page.locator("ol.bars li").first().textContent();
  assert.match(first, /(no|yes|perhaps).*%/);
  await page.locator("#text").fill("something else entirely, 42 times");
  await page.waitForFunction((first) => document.querySelector("ol.bars li").textContent !== first, first);
  assert.match(await page.locator("#facts").textContent(), /milliseconds.*tokens.*model.*engine/s);
  // A file of the visitor's.
  await page.locator("#file").setInputFiles({ name: "tags.attar", mimeType: "application/zip", buffer: readFileSync(join(folder, "tags.attar")) });
  await page.getByText("finds names").waitFor();
  await page.locator("#text").fill("Ada Lovelace met Charles Babbage in London.");
  await page.locator(".words").waitFor();
  // What is no model is told, and the model before it stays.
  await page.locator("#file").setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("hello") });
  await page.getByText("notes.txt cannot be used").waitFor();
  assert.deepEqual(outside, []);
  assert.deepEqual(problems, []);
  await page.close();
});

for (const colorScheme of ["light", "dark"]) {
  for (const width of [1100, 360]) {
    test(`the page can be used by all, ${colorScheme}, ${width} wide`, async () => {
      const page = await browser.newPage({ colorScheme, viewport: { width, height: 800 } });
      await page.goto(`${site.origin}/demo/index.html?model=/models/classes.attar`);
      await page.locator("ol.bars li").first().waitFor();
      const scrolls = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
      assert.ok(!scrolls, "nothing sticks out");
      if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, `demo-${colorScheme}-${width}.png`) });
      // Its policy keeps other scripts out of the page, so they come in another way.
      const session = await page.context().newCDPSession(page);
      await session.send("Runtime.evaluate", { expression: optional("axe-core").source });
      const { violations } = await page.evaluate(() => window.axe.run());
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`), []);
      await page.close();
    });
  }
}
