// Looks at a page of `attar report` in a browser: axe-core's rules in light and dark, wide and narrow, nothing fetched,
// nothing wider than the window, and pictures of all of them.
//
//   npm install --prefix tools playwright-core axe-core
//   NODE_PATH=tools/node_modules node benches/page/check.cjs report.html pictures
//
// CHROMIUM names the browser (default: /usr/bin/chromium). Exits with 1 if anything is wrong.
const fs = require("fs");
const path = require("path");
const { pathToFileURL } = require("url");
const { chromium } = require("playwright-core");

const [page_file, pictures = "pictures"] = process.argv.slice(2);
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

async function main() {
  fs.mkdirSync(pictures, { recursive: true });
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
  let wrong = 0;
  const complain = (what) => {
    wrong += 1;
    console.log(what);
  };
  for (const scheme of ["light", "dark"]) {
    for (const [name, width] of [["wide", 1280], ["narrow", 390]]) {
      const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height: 900 }, bypassCSP: true });
      const page = await context.newPage();
      const asked = [];
      page.on("request", (request) => asked.push(request.url()));
      await page.goto(pathToFileURL(path.resolve(page_file)).href);
      if (asked.length !== 1) complain(`${scheme} ${name}: asked for ${asked.slice(1).join(", ")}`);
      const across = await page.evaluate(() => document.documentElement.scrollWidth);
      if (across > width) complain(`${scheme} ${name}: ${across} pixels wide in a window of ${width}`);
      await page.evaluate(axe);
      const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      for (const violation of found.violations) {
        const where = violation.nodes.slice(0, 3).map((node) => node.target.join(" ")).join("; ");
        complain(`${scheme} ${name}: ${violation.id} (${violation.impact}), ${violation.nodes.length} times: ${where}`);
      }
      await page.screenshot({ path: path.join(pictures, `${scheme}-${name}.png`), fullPage: true });
      if (scheme === "light" && name === "wide") await page.pdf({ path: path.join(pictures, "page.pdf"), format: "A4", printBackground: true });
      if (scheme === "dark" && name === "wide") await page.pdf({ path: path.join(pictures, "page-dark.pdf"), format: "A4" });
      await context.close();
    }
  }
  await browser.close();
  console.log(wrong === 0 ? "nothing wrong" : `${wrong} wrong`);
  process.exit(wrong === 0 ? 0 : 1);
}

main();
