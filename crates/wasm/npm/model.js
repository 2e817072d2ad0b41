// A model in the memory of this thread. The functions are those of the package, without promises.

import init, { Engine } from "./engine.js";

let ready;

/** Compiles the engine once. Under node, where nothing is fetched from a file, the bytes are read. */
export function prepare(engine) {
  ready ??= (async () => {
    let source = engine ?? new URL("engine.wasm", import.meta.url);
    if (source instanceof URL && source.protocol === "file:" && typeof process !== "undefined") {
      const { readFile } = await import("node:fs/promises");
      source = await readFile(source);
    }
    await init({ module_or_path: source });
  })();
  return ready.catch((error) => {
    // The next one may try again.
    ready = undefined;
    throw error;
  });
}

/** A model from the bytes of a single file; the engine has to be prepared. */
export class LocalModel {
  #engine;

  constructor(bytes) {
    this.#engine = guarded(() => new Engine(bytes));
    this.info = JSON.parse(guarded(() => this.#engine.info()));
  }

  predict(texts, pairs) {
    return JSON.parse(this.#call((engine) => engine.predict(texts, pairs)));
  }

  logits(texts, pairs) {
    return split(this.#call((engine) => engine.logits(texts, pairs)), texts.length);
  }

  embed(texts) {
    return split(this.#call((engine) => engine.embed(texts)), texts.length);
  }

  tag(texts) {
    return JSON.parse(this.#call((engine) => engine.tag(texts)));
  }

  answer(question, context) {
    return JSON.parse(this.#call((engine) => engine.answer(question, context)));
  }

  tokenize(text, pair) {
    return JSON.parse(this.#call((engine) => engine.tokenize(text, pair)));
  }

  dispose() {
    this.#engine?.free();
    this.#engine = undefined;
  }

  #call(question) {
    if (!this.#engine) throw new Error("the model was disposed of: load it again");
    try {
      return guarded(() => question(this.#engine));
    } catch (error) {
      // What it holds in memory is not to be trusted any more.
      if (error.cause instanceof WebAssembly.RuntimeError) this.#engine = undefined;
      throw error;
    }
  }
}

function guarded(work) {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    throw new Error("the engine stopped, as it does when memory runs out: load the model again", { cause: error });
  }
}

/** The rows of a matrix. */
function split(numbers, rows) {
  const width = rows ? numbers.length / rows : 0;
  return Array.from({ length: rows }, (_, row) => numbers.slice(row * width, (row + 1) * width));
}
