// Models on the user's own machine: `const model = await load("student.attar")`. See index.d.ts.

import { LocalModel, prepare } from "./model.js";

/** Loads a model, in a worker where workers exist. */
export async function load(source, { onProgress, signal, worker = typeof Worker !== "undefined", engine } = {}) {
  const bytes = await read(source, onProgress, signal);
  // Relative to the page, in a worker too.
  const at = engine && new URL(engine, globalThis.location?.href ?? import.meta.url);
  if (!worker) {
    await prepare(at);
    return new Model(new LocalBackend(new LocalModel(bytes)));
  }
  const backend = new WorkerBackend();
  try {
    // A buffer transferred to a worker is lost here: the caller's own bytes are copied first.
    const given = source instanceof Uint8Array || source instanceof ArrayBuffer;
    const whole = given ? bytes.slice().buffer : bytes.buffer;
    backend.info = await backend.call("load", [whole, at?.href], [whole]);
  } catch (error) {
    backend.end();
    throw error;
  }
  return new Model(backend);
}

export class Model {
  #backend;

  constructor(backend) {
    this.#backend = backend;
    this.info = Object.freeze(backend.info);
  }

  get labels() {
    return this.info.labels;
  }

  async predict(texts, pairs) {
    return this.#each("predict", texts, pairs);
  }

  async logits(texts, pairs) {
    return this.#each("logits", texts, pairs);
  }

  async embed(texts) {
    return this.#each("embed", texts);
  }

  async tag(texts) {
    return this.#each("tag", texts);
  }

  async answer(question, context) {
    return this.#backend.call("answer", [string(question, "question"), string(context, "context")]);
  }

  async tokenize(text, pair) {
    return this.#backend.call("tokenize", [string(text, "text"), pair === undefined ? undefined : string(pair, "pair")]);
  }

  dispose() {
    this.#backend.end();
  }

  /** The answers to a list of texts, or the one to a text. */
  async #each(call, texts, pairs) {
    const isList = Array.isArray(texts);
    const values = [strings(texts, "text")];
    if (call === "predict" || call === "logits") values.push(pairs === undefined ? [] : strings(pairs, "pair"));
    const answers = await this.#backend.call(call, values);
    return isList ? answers : answers[0];
  }
}

/** A model in this thread. */
class LocalBackend {
  #model;

  constructor(model) {
    this.#model = model;
    this.info = model.info;
  }

  async call(name, values) {
    return this.#model[name](...values);
  }

  end() {
    this.#model.dispose();
  }
}

/** A model in a worker. */
class WorkerBackend {
  #worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  #waiting = new Map();
  #last = 0;
  #ended;

  constructor() {
    this.#worker.addEventListener("message", ({ data: { id, value, error } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      error === undefined ? resolve(value) : reject(new Error(error));
    });
    this.#worker.addEventListener("error", (event) => {
      this.#stop(new Error(`the worker could not start: ${event.message ?? "worker.js, model.js, engine.js and engine.wasm lie beside index.js"}`));
    });
  }

  call(name, values, transfer = []) {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call: name, values }, transfer);
    });
  }

  end() {
    this.#stop(new Error("the model was disposed of: load it again"));
  }

  #stop(why) {
    this.#ended ??= why;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(why);
    this.#waiting.clear();
  }
}

/** The bytes of a source, whatever it is. */
async function read(source, onProgress, signal) {
  if (source instanceof Uint8Array) return source;
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (typeof Blob !== "undefined" && source instanceof Blob) source = new Response(source.stream(), { headers: { "content-length": source.size } });
  const response = source instanceof Response ? source : await fetch(source, { signal });
  if (!response.ok) throw new Error(`${response.url || source}: the server answered ${response.status} ${response.statusText}`.trim());
  // With a content encoding the header gives the compressed length.
  const stated = response.headers.get("content-encoding") ? null : Number(response.headers.get("content-length"));
  const total = stated || undefined;
  const parts = [];
  let loaded = 0;
  for await (const part of chunks(response.body)) {
    signal?.throwIfAborted();
    parts.push(part);
    loaded += part.length;
    onProgress?.({ loaded, total });
  }
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

async function* chunks(stream) {
  const reader = stream.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
}

function strings(texts, what) {
  return (Array.isArray(texts) ? texts : [texts]).map((text) => string(text, what));
}

function string(text, what) {
  if (typeof text !== "string") throw new TypeError(`a ${what} is a string, got ${text === null ? "null" : typeof text}`);
  // Half a surrogate pair is no text; it becomes what every encoder makes of it.
  return text.toWellFormed?.() ?? text;
}
