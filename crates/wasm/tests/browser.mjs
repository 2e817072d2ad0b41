// A page of the package in Chromium, for tests and measurements: a server of these files and a browser.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".json": "application/json" };

/** Packages of npm that no one has to install to use attar: from NODE_PATH, or from node_modules here or above. */
export function optional(name) {
  const require = createRequire(import.meta.url);
  const paths = [import.meta.dirname, ...(process.env.NODE_PATH ?? "").split(":").filter(Boolean)];
  return require(require.resolve(name, { paths }));
}

/** Serves folders by the first part of an address, and whatever else `pages` holds. */
export async function serve(folders, pages = {}) {
  const requests = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://x").pathname);
    requests.push(path);
    const [, first, ...rest] = path.split("/");
    const file = folders[first] && join(folders[first], normalize(`/${rest.join("/")}`));
    const body = pages[path] ?? (file && existsSync(file) ? readFileSync(file) : undefined);
    if (body === undefined) return response.writeHead(404).end();
    const headers = { "content-type": TYPES[extname(path)] ?? (pages[path] ? "text/html" : "application/octet-stream"), "content-length": Buffer.byteLength(body) };
    response.writeHead(200, headers).end(request.method === "HEAD" ? undefined : body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { origin: `http://127.0.0.1:${server.address().port}`, requests, end: () => server.close() };
}

export async function chromium() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return optional("playwright-core").chromium.launch({ executablePath, args: ["--no-sandbox"] });
}
