// The page: a model by address (also `?model=ADDRESS`), by file or dropped, and its answers while one types.

import { load } from "../npm/index.js";

const at = (id) => document.getElementById(id);
const make = (tag, text, name) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (name) node.className = name;
  return node;
};
const MOST_LABELS = 5;
const bytes = (count) =>
  count < 1e6 ? `${Math.round(count / 1e3)} kB` : `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} MB`;
const percent = (share) => `${(100 * share).toFixed(1)} %`;

const TASKS = {
  classify: ["sorts texts", "could you dim the lights in the living room"],
  "multi-label": ["marks texts", "the button is red and nothing happens"],
  score: ["scores texts", "what a delightful film"],
  tag: ["finds names", "Ada Lovelace met Charles Babbage in London."],
  answer: ["finds answers", "Where did they meet?"],
  embed: ["compares texts", "A man is playing a guitar."],
};

let model;
let loaded = 0;
let engine = 0;
let times = [];

async function begin(source, name) {
  at("progress").hidden = false;
  at("progress").removeAttribute("value");
  say(`Loading ${name} …`);
  const started = performance.now();
  try {
    const next = await load(source, {
      onProgress: ({ loaded: count, total }) => {
        loaded = count;
        if (total) at("progress").value = count / total;
      },
    });
    model?.dispose();
    model = next;
  } catch (error) {
    say(`${name} cannot be used: ${error.message}`, true);
    return;
  } finally {
    at("progress").hidden = true;
  }
  const seconds = (performance.now() - started) / 1000;
  engine ||= performance.getEntriesByType("resource").concat()
    .filter((entry) => entry.name.endsWith("engine.wasm"))
    .reduce((sum, entry) => sum + entry.decodedBodySize, 0) || (await size("../npm/engine.wasm"));
  times = [];
  const [does, example] = TASKS[model.info.task];
  const { layers, hidden, precision, labels } = model.info;
  say(`${name}: ${does}${labels.length ? ` (${labels.length} labels)` : ""}, ${layers} layers of ${hidden}, ${precision}. Ready after ${seconds.toFixed(2)} s.`);
  const isPair = model.info.requiresPairs || model.info.task === "embed";
  at("second-box").hidden = !isPair;
  at("second-label").textContent = model.info.task === "answer" ? "Text to look for the answer in" : "Text to compare with";
  if (isPair && !at("second").value) {
    at("second").value = model.info.task === "answer" ? "Ada Lovelace met Charles Babbage in London, at a party in June 1833." : "Someone plays an instrument.";
  }
  at("text").disabled = false;
  at("text").value ||= example;
  await show();
}

async function size(address) {
  const response = await fetch(address, { method: "HEAD" });
  return Number(response.headers.get("content-length"));
}

function say(text, isBad = false) {
  at("about").textContent = text;
  at("about").className = isBad ? "bad" : "";
}

// Only the latest text is answered: while one is computed, others may come.
let again = false;
let busy = false;
async function show() {
  again = true;
  if (busy || !model) return;
  busy = true;
  while (again) {
    again = false;
    try {
      await answer(at("text").value, at("second").value);
    } catch (error) {
      at("result").replaceChildren(make("p", error.message, "bad"));
    }
  }
  busy = false;
}

async function answer(text, second) {
  const { task, requiresPairs } = model.info;
  const started = performance.now();
  const found = await {
    classify: () => model.predict(text, requiresPairs ? second : undefined),
    "multi-label": () => model.predict(text),
    score: () => model.predict(text, requiresPairs ? second : undefined),
    tag: () => model.tag(text),
    answer: () => model.answer(text, second),
    embed: () => model.embed([text, second]),
  }[task]();
  times = [...times.slice(-9), performance.now() - started];
  at("result").replaceChildren(drawn(task, found, text, second));
  const { ids, truncated } = await model.tokenize(text);
  facts({
    "milliseconds": times.toSorted((a, b) => a - b)[times.length >> 1].toFixed(1),
    [truncated ? "tokens, the rest is cut" : "tokens"]: ids.length,
    "model": bytes(loaded),
    "engine": bytes(engine),
  });
}

function drawn(task, found, text, second) {
  if (task === "tag") return marked(text, found);
  if (task === "answer") return marked(second, found ? [{ ...found, label: percent(found.score) }] : []);
  if (task === "score") return make("p", `${found[0].score.toFixed(3)}`, "number");
  if (task === "embed") {
    const [a, b] = found;
    const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
    return make("p", `Alike by ${(dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))).toFixed(3)} (1 is the same)`);
  }
  const list = make("ol", undefined, "bars");
  for (const { label, score } of found.slice(0, MOST_LABELS)) {
    const item = make("li");
    const bar = make("progress");
    bar.value = score;
    bar.setAttribute("aria-hidden", "true");
    item.append(bar, make("span", label), make("span", percent(score), "number"));
    list.append(item);
  }
  return list;
}

function marked(text, spans) {
  const words = make("p", undefined, "words");
  let from = 0;
  for (const { start, end, label } of spans) {
    const mark = make("mark", text.slice(start, end));
    mark.append(make("small", label));
    words.append(text.slice(from, start), mark);
    from = end;
  }
  words.append(text.slice(from));
  return words;
}

function facts(all) {
  at("facts").replaceChildren(
    ...Object.entries(all).map(([name, value]) => {
      const fact = make("div");
      fact.append(make("dt", name), make("dd", String(value)));
      return fact;
    }),
  );
}

at("text").addEventListener("input", show);
at("second").addEventListener("input", show);
at("file").addEventListener("change", ({ target }) => target.files[0] && begin(target.files[0], target.files[0].name));
at("from-address").addEventListener("submit", (event) => {
  event.preventDefault();
  const address = at("address").value.trim();
  if (address) begin(address, address.split("/").at(-1));
});
for (const name of ["dragenter", "dragover"]) {
  at("drop").addEventListener(name, (event) => {
    event.preventDefault();
    at("drop").classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) at("drop").addEventListener(name, () => at("drop").classList.remove("over"));
at("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  const file = event.dataTransfer.files[0];
  if (file) begin(file, file.name);
});

const wanted = new URLSearchParams(location.search).get("model");
if (wanted) {
  at("address").value = wanted;
  begin(wanted, wanted.split("/").at(-1));
}
