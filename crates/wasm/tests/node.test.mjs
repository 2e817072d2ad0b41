// The package under node: node --test, with the folder that `cargo test -p attar-wasm -- --ignored` prepares.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";

import { load } from "../npm/index.js";
import { cases, folder, near, tolerance } from "./cases.mjs";

const bytes = (name) => new Uint8Array(readFileSync(join(folder, `${name}.attar`)));

test("a comparison that finds nothing wrong can fail", () => {
  near({ a: [1, 0.5], b: "x" }, { a: [1, 0.50001], b: "x" }, 1e-4, "same");
  for (const other of [{ a: [1, 0.6], b: "x" }, { a: [2, 0.5], b: "x" }, { a: [1, 0.5], b: "y" }, { a: [1], b: "x" }, null]) {
    assert.throws(() => near(other, { a: [1, 0.5], b: "x" }, 1e-4, "other"));
  }
});

for (const { name, info, calls } of cases) {
  test(`${name} answers as it does natively`, async () => {
    const model = await load(bytes(name));
    // The weights in memory are laid out for the instructions at hand.
    near({ ...model.info, bytes: 0 }, { ...info, bytes: 0 }, 0, "info");
    assert.ok(model.info.bytes > 0);
    for (const { call, values, answer } of calls) {
      near(await model[call](...values), answer, tolerance(name), `${name}.${call}(${JSON.stringify(values).slice(0, 80)})`);
    }
    model.dispose();
    await assert.rejects(model.tokenize("a"), /load it again/);
  });
}

test("one text has one answer, a list has a list", async () => {
  const model = await load(bytes("classes"));
  const [one] = await model.predict(["lights on"]);
  assert.deepEqual(await model.predict("lights on"), one);
  assert.deepEqual(await model.predict([]), []);
  assert.ok((await model.logits("lights on")) instanceof Float32Array);
  assert.deepEqual(await model.predict("a", "b"), (await model.predict(["a"], ["b"]))[0]);
});

test("half a surrogate pair is no reason to stop", async () => {
  const model = await load(bytes("classes"));
  assert.deepEqual(await model.tokenize("a \ud83d b"), await model.tokenize("a \ufffd b"));
});

test("errors are sentences", async () => {
  const model = await load(bytes("classes"));
  await assert.rejects(model.predict(7), /a text is a string, got number/);
  await assert.rejects(model.predict(["a", "b"], ["c"]), /2 texts and 1 second texts/);
  await assert.rejects(model.tag("a"), /no token classification head: use a model that tags words/);
  await assert.rejects(load(new Uint8Array([1, 2, 3])), /attar export single/);
  const damaged = bytes("classes");
  damaged[damaged.length >> 1] ^= 1;
  await assert.rejects(load(damaged), /damaged/);
  // The first model is none the worse for it.
  assert.equal((await model.predict("a")).length, 3);
});

test("an address is loaded with progress, and a wrong one is told", async () => {
  const server = createServer((request, response) => {
    if (request.url !== "/classes") return response.writeHead(404).end();
    const body = bytes("classes");
    response.writeHead(200, { "content-length": body.length }).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const origin = `http://127.0.0.1:${server.address().port}`;
    const seen = [];
    const model = await load(`${origin}/classes`, { onProgress: (progress) => seen.push(progress) });
    const length = bytes("classes").length;
    assert.deepEqual(seen.at(-1), { loaded: length, total: length });
    assert.ok(seen.every(({ loaded }, at) => at === 0 || loaded > seen[at - 1].loaded));
    assert.equal(model.labels.length, 3);
    await assert.rejects(load(`${origin}/other`), /404/);
    await assert.rejects(load(`${origin}/classes`, { signal: AbortSignal.abort() }), { name: "AbortError" });
  } finally {
    server.close();
  }
  const fromBlob = await load(new Blob([bytes("classes")]));
  assert.equal(fromBlob.labels[0], "no");
});
