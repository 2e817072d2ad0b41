// A model in a worker: messages are { id, call, values }, answers { id, value } or { id, error }.

import { LocalModel, prepare } from "./model.js";

let model;

const calls = {
  async load(bytes, engine) {
    await prepare(engine);
    model = new LocalModel(new Uint8Array(bytes));
    return model.info;
  },
};

self.addEventListener("message", async ({ data: { id, call, values } }) => {
  try {
    const value = call in calls ? await calls[call](...values) : model[call](...values);
    self.postMessage({ id, value });
  } catch (error) {
    self.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
});
