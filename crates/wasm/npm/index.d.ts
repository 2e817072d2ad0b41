/** What a model is read from: a URL, a Request, a Response, a File or other Blob, or bytes. */
export type ModelSource = string | URL | Request | Response | Blob | ArrayBuffer | Uint8Array;

export interface LoadOptions {
  /** Called as bytes arrive; `total` is set if the server sends the size. */
  onProgress?: (progress: { loaded: number; total?: number }) => void;
  /** Cancels the loading. */
  signal?: AbortSignal;
  /** Whether the model computes in a worker of its own, so that a page stays responsive; by default where there are workers. */
  worker?: boolean;
  /** Where `engine.wasm` lies, if not beside `index.js`. */
  engine?: string | URL;
}

export interface ModelInfo {
  /** What the model does. */
  task: "classify" | "multi-label" | "score" | "tag" | "answer" | "embed";
  /** Whether it only accepts two texts at a time. */
  requiresPairs: boolean;
  labels: string[];
  layers: number;
  hidden: number;
  /** Numbers of a text's vector. */
  dimensions: number;
  /** Most tokens of a text; what is longer is cut. */
  maxTokens: number;
  vocabulary: number;
  precision: "int8" | "f32";
  /** Bytes of the weights in memory. */
  bytes: number;
  /** Sentences about what of the file is not used. */
  notes: string[];
}

export interface LabelScore {
  label: string;
  /** The label's probability; the number itself where the model predicts one. */
  score: number;
}

export interface Entity {
  label: string;
  score: number;
  text: string;
  /** `text.slice(start, end)` are the words. */
  start: number;
  end: number;
}

export interface Span {
  text: string;
  start: number;
  end: number;
  score: number;
  /** The score of there being no answer, for models that know such questions. */
  noAnswer: number;
}

export interface Tokenization {
  ids: number[];
  types: number[];
  tokens: string[];
  truncated: boolean;
}

/** A model. A list of texts is answered by a list; many texts at a time are faster than one after the other. */
export class Model {
  private constructor();
  readonly info: Readonly<ModelInfo>;
  readonly labels: string[];
  /** Labels with their probabilities, the most probable first. `pairs` are second texts, one for each. */
  predict(text: string, pair?: string): Promise<LabelScore[]>;
  predict(texts: string[], pairs?: string[]): Promise<LabelScore[][]>;
  /** Raw scores of the head, in the order of `labels`. */
  logits(text: string, pair?: string): Promise<Float32Array>;
  logits(texts: string[], pairs?: string[]): Promise<Float32Array[]>;
  /** Vectors. */
  embed(text: string): Promise<Float32Array>;
  embed(texts: string[]): Promise<Float32Array[]>;
  /** Entities in a text. */
  tag(text: string): Promise<Entity[]>;
  tag(texts: string[]): Promise<Entity[][]>;
  /** The words of a context that answer a question; null where it has no words. */
  answer(question: string, context: string): Promise<Span | null>;
  /** A text as the model reads it. */
  tokenize(text: string, pair?: string): Promise<Tokenization>;
  /** Ends the worker and frees the memory. */
  dispose(): void;
}

/** Loads a model from a single file (`attar export single`). */
export function load(source: ModelSource, options?: LoadOptions): Promise<Model>;
