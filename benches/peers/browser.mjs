// A student in Chromium: attar beside onnxruntime-web and transformers.js, where they are there, in turns, in one run; text in, logits out.
//
//     npm install playwright-core onnxruntime-web @huggingface/transformers    (anywhere; NODE_PATH names its node_modules)
//     benches/peers/browser_onnx.py STUDENT onnx                               (the peers' model, by PyTorch's exporter)
//     node benches/peers/browser.mjs STUDENT.attar --onnx onnx [--texts FILE] [--rounds 11] [--json FILE]
//
// STUDENT.attar is the same student as a single file in int8 (`attar export single`). Every engine runs on one thread of a page of its own, with SIMD,
// its fastest documented way (onnxruntime-web: WebAssembly, all graph optimizations; f32 and int8. transformers.js: its bundle for browsers with
// its own tokenizer, `q8` on `wasm`). onnxruntime-web brings no tokenizer: it is given attar's ids, so that its time is that of the model alone and
// the others' is that of the text.
//
// A round gives each engine one turn at each kind of work: a text alone (all texts of the file one after the other) and 16 at a time,
// padded where an engine needs that. Figures are medians over rounds of a turn's time by text. First answer: from the page being empty to the
// logits of a first text, everything loaded over loopback, median of five fresh pages. Bytes of engine: scripts and WebAssembly that were loaded,
// as they lie on the disk and packed by gzip. Answers are compared before anything counts.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";

import { chromium, serve } from "../../crates/wasm/tests/browser.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    onnx: { type: "string" },
    texts: { type: "string" },
    rounds: { type: "string", default: "11" },
    json: { type: "string" },
  },
});
const root = join(import.meta.dirname, "../..");
const require = createRequire(import.meta.url);
const found = (name) => {
  const paths = [import.meta.dirname, ...(process.env.NODE_PATH ?? "").split(":").filter(Boolean)];
  try {
    return dirname(require.resolve(name, { paths }));
  } catch {
    return undefined;
  }
};
const BATCH = 16;
const texts = options.texts
  ? readFileSync(options.texts, "utf8").split("\n").filter(Boolean).slice(0, 128)
  : Array.from({ length: 64 }, (_, i) => ["could you dim the lights in the living room please", "what is the exchange rate between dollars and yen", "i lost my card and need a new one", "play something quiet"][i % 4] + ` ${i}`);

const ort = found("onnxruntime-web");
const hugging = found("@huggingface/transformers");
const folders = { npm: join(root, "crates/wasm/npm"), models: dirname(positionals[0]), ...(ort && { ort }), ...(hugging && { hugging }), ...(options.onnx && { onnx: options.onnx }) };
const site = await serve(folders, { "/": "<!doctype html><title>empty</title>" });
const model = `/models/${positionals[0].split("/").at(-1)}`;

/** How a page gets from nothing to a function that answers lists of texts. */
const engines = {
  "attar int8": {
    files: ["npm/index.js", "npm/model.js", "npm/engine.js", "npm/engine.wasm"],
    begin: async ({ model }) => {
      const { load } = await import("/npm/index.js");
      const student = await load(model, { worker: false });
      window.tokenize = async (text) => (await student.tokenize(text)).ids;
      window.answer = (texts) => student.logits(texts);
    },
  },
};
for (const [name, file] of ort && options.onnx ? [["onnxruntime-web int8", "model.int8.onnx"], ["onnxruntime-web f32", "model.onnx"]] : []) {
  engines[name] = {
    files: ["ort/ort.wasm.min.mjs", "ort/ort-wasm-simd-threaded.mjs", "ort/ort-wasm-simd-threaded.wasm"],
    file,
    begin: async ({ file, encoded }) => {
      const ort = await import("/ort/ort.wasm.min.mjs");
      ort.env.wasm.wasmPaths = "/ort/";
      ort.env.wasm.numThreads = 1;
      const session = await ort.InferenceSession.create(`/onnx/${file}`, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
      window.answer = async (texts) => {
        const rows = texts.map((text) => encoded[text]);
        const width = Math.max(...rows.map((ids) => ids.length));
        const [ids, mask] = [new BigInt64Array(rows.length * width), new BigInt64Array(rows.length * width)];
        rows.forEach((row, r) => row.forEach((id, t) => ((ids[r * width + t] = BigInt(id)), (mask[r * width + t] = 1n))));
        const shape = [rows.length, width];
        const { logits } = await session.run({ input_ids: new ort.Tensor("int64", ids, shape), attention_mask: new ort.Tensor("int64", mask, shape) });
        const classes = logits.dims[1];
        return texts.map((_, r) => logits.data.slice(r * classes, (r + 1) * classes));
      };
    },
  };
}

if (ort && hugging && options.onnx) {
  engines["transformers.js q8"] = {
    files: ["hugging/transformers.min.js", "ort/ort-wasm-simd-threaded.asyncify.mjs", "ort/ort-wasm-simd-threaded.asyncify.wasm"],
    begin: async () => {
      const { AutoModelForSequenceClassification, AutoTokenizer, env } = await import("/hugging/transformers.min.js");
      Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: "/onnx/", useBrowserCache: false });
      Object.assign(env.backends.onnx.wasm, { wasmPaths: "/ort/", numThreads: 1 });
      const tokenizer = await AutoTokenizer.from_pretrained("transformers");
      const student = await AutoModelForSequenceClassification.from_pretrained("transformers", { dtype: "q8", device: "wasm" });
      window.answer = async (texts) => {
        const { logits } = await student(tokenizer(texts, { padding: true, truncation: true }));
        const classes = logits.dims[1];
        return texts.map((_, r) => logits.data.slice(r * classes, (r + 1) * classes));
      };
    },
  };
}

const browser = await chromium();
const fresh = async (engine, encoded) => {
  const page = await browser.newPage();
  await page.goto(site.origin);
  const asked = site.requests.length;
  const first = await page.evaluate(
    `(async () => { const begun = performance.now(); await (${engine.begin})(${JSON.stringify({ model, file: engine.file, encoded })}); const [row] = await window.answer(${JSON.stringify(texts.slice(0, 1))}); return { ms: performance.now() - begun, row: [...row] }; })()`,
  );
  // The bytes of an engine are those of files that it loads.
  for (const file of engine.files) assert.ok(site.requests.slice(asked).includes(`/${file}`), `${file} was not loaded`);
  return { page, first };
};

const encoded = {};
{
  const { page } = await fresh(engines["attar int8"]);
  for (const text of texts) encoded[text] = await page.evaluate((text) => window.tokenize(text), text);
  await page.close();
}
const running = {};
for (const [name, engine] of Object.entries(engines)) running[name] = { firsts: [], alone: [], batch: [], ...(await fresh(engine, encoded)) };

// All say the same, or nothing is compared.
const best = (row) => row.indexOf(Math.max(...row));
const answers = {};
for (const [name, { page }] of Object.entries(running)) {
  answers[name] = await page.evaluate(async (texts) => {
    const rows = [];
    for (const text of texts) rows.push([...(await window.answer([text]))[0]]);
    return rows;
  }, texts);
}
const exact = answers["onnxruntime-web f32"] ?? answers["attar int8"];
for (const [name, rows] of Object.entries(answers)) {
  running[name].same = rows.filter((row, at) => best(row) === best(exact[at])).length / rows.length;
  assert.ok(running[name].same >= 0.9, `${name} answers otherwise: ${running[name].same}`);
}

const turn = (page, size) =>
  page.evaluate(
    async ({ texts, size }) => {
      await window.answer(texts.slice(0, size));
      const begun = performance.now();
      for (let at = 0; at < texts.length; at += size) await window.answer(texts.slice(at, at + size));
      return (performance.now() - begun) / texts.length;
    },
    { texts, size },
  );
const names = Object.keys(running);
for (let round = 0; round < Number(options.rounds); round++) {
  for (let place = 0; place < names.length; place++) {
    const mine = running[names[(round + place) % names.length]];
    mine.alone.push(await turn(mine.page, 1));
    mine.batch.push(await turn(mine.page, BATCH));
  }
}
for (let again = 0; again < 5; again++) {
  for (const name of names) {
    const { page, first } = await fresh(engines[name], encoded);
    running[name].firsts.push(first.ms);
    await page.close();
  }
}
await browser.close();
site.end();

const median = (all) => all.toSorted((a, b) => a - b)[all.length >> 1];
const size = (files) => files.map((file) => readFileSync(join(folders[file.split("/")[0]], file.split("/").slice(1).join("/"))));
const rows = names.map((name) => {
  const { alone, batch, firsts, same } = running[name];
  const files = size(engines[name].files);
  const bytes = files.reduce((sum, file) => sum + file.length, 0);
  const packed = files.reduce((sum, file) => sum + gzipSync(file, { level: 9 }).length, 0);
  return { name, alone: median(alone), batch: median(batch), first: median(firsts), same, bytes, packed };
});
const tokens = texts.map((text) => encoded[text].length);
console.log(`${texts.length} texts of ${(tokens.reduce((a, b) => a + b) / tokens.length).toFixed(1)} tokens, medians of ${options.rounds} alternating rounds`);
console.log(`${"engine".padEnd(22)} ${"ms a text, alone".padStart(17)} ${`of ${BATCH}`.padStart(8)} ${"first answer, ms".padStart(17)} ${"engine, bytes".padStart(14)} ${"packed".padStart(10)} ${"same answer".padStart(12)}`);
for (const row of rows) {
  console.log(`${row.name.padEnd(22)} ${row.alone.toFixed(2).padStart(17)} ${row.batch.toFixed(2).padStart(8)} ${row.first.toFixed(0).padStart(17)} ${String(row.bytes).padStart(14)} ${String(row.packed).padStart(10)} ${row.same.toFixed(3).padStart(12)}`);
}
const [own, ...peers] = rows;
if (peers.length) {
  const fastest = (key) => Math.min(...peers.map((peer) => peer[key])) / own[key];
  console.log(`the fastest peer over attar: ${fastest("alone").toFixed(2)} alone, ${fastest("batch").toFixed(2)} of ${BATCH}, ${fastest("first").toFixed(2)} first answer; bytes of engine ${fastest("bytes").toFixed(1)}, packed ${fastest("packed").toFixed(1)}`);
}
if (options.json) writeFileSync(options.json, JSON.stringify({ texts: texts.length, tokens, rows }, null, 2));
