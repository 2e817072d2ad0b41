"""Exports of attar in `transformers`, sentence-transformers and the reader of GGUF: the same numbers as attar's own.

    pip install numpy torch transformers sentence-transformers gguf
    python benches/peers/hf_export.py --model BUNDLE [--attar PATH]

Exports the bundle by `attar export hf` in f32 and, where it has no dense layer over its vector, in f16, loads it as its
notes say and holds logits or vectors of some texts against `attar predict` and `attar embed`: within 1e-4 in f32, a cosine of
0.9999 in f16. A bundle for vectors becomes a GGUF file too, whose tensors and keys are read back. Ends with 1 if something
differs, and with 77 and a reason where a program is not installed.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

TEXTS = ["turn on the lights", "what's the weather like in Paris tomorrow?", "book a table for two", "a", "it 's a charming and often affecting journey ."]
CLOSE, ALIKE = 1e-4, 0.9999


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--attar", default="attar")
    options = parser.parse_args()
    try:
        import numpy  # noqa: F401
        import sentence_transformers  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as problem:
        print(f"skipped: {problem}", file=sys.stderr)
        return 77
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for precision in ("f32", "f16"):
            failures += huggingface(options, folder / precision, precision)
        failures += gguf_file(options, folder / "model.gguf")
    print("\n".join(failures) or "all the same")
    return 1 if failures else 0


def huggingface(options, out, precision):
    export = [options.attar, "export", "hf", options.model, "--out", out, "--precision", precision]
    done = subprocess.run(export, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        is_told = precision == "f16" and "dense layer" in done.stderr
        print(f"{precision}: {done.stderr.strip()}")
        return [] if is_told else [f"hf {precision}: {done.stderr}"]
    config = json.loads((out / "config.json").read_text())
    is_sentence = (out / "modules.json").exists()
    if is_sentence:
        import sentence_transformers

        got = sentence_transformers.SentenceTransformer(str(out), device="cpu").encode(TEXTS)
        has_classifier = (out / "2_Classifier").exists()
        expected = attar(options, "predict", "logits") if has_classifier else attar(options, "embed", "vector")
    else:
        import torch
        import transformers

        tokenizer = transformers.AutoTokenizer.from_pretrained(out)
        model = getattr(transformers, config["architectures"][0]).from_pretrained(out).eval()
        with torch.no_grad():
            given = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
            got = model(**given).logits.float().numpy()
        expected = attar(options, "predict", "logits")
    return compare(f"hf {precision}", got, expected, precision)


def compare(name, got, expected, precision):
    import numpy as np

    got = np.asarray(got, np.float64)
    if got.shape != expected.shape:
        return [f"{name}: {got.shape} for {expected.shape}"]
    off = float(np.abs(got - expected).max())
    cosine = float(((got * expected).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(expected, axis=1)).min())
    print(f"{name}: off by {off:.1e}, cosine {cosine:.6f}")
    is_close = off <= CLOSE * max(1.0, float(np.abs(expected).max())) if precision == "f32" else cosine >= ALIKE
    return [] if is_close else [f"{name}: off by {off:.1e}, cosine {cosine:.6f}"]


def attar(options, command, key):
    import numpy as np

    call = [options.attar, command, options.model, "--json", "--precision", "f32", *TEXTS]
    output = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=True).stdout
    return np.array([json.loads(line)[key] for line in output.splitlines()])


def gguf_file(options, out):
    done = subprocess.run([options.attar, "export", "gguf", options.model, "--out", out], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        print(f"gguf: {done.stderr.strip()}")
        return [] if "has no room for" in done.stderr else [f"gguf: {done.stderr}"]
    try:
        import gguf
    except ImportError as problem:
        print(f"gguf: skipped: {problem}")
        return []
    reader = gguf.GGUFReader(str(out))
    fields = {name: field.contents() for name, field in reader.fields.items()}
    layers, width = fields["bert.block_count"], fields["bert.embedding_length"]
    shapes = {tensor.name: [int(length) for length in tensor.shape] for tensor in reader.tensors}
    failures = []
    if fields["general.architecture"] != "bert" or len(shapes) != 5 + 16 * layers:
        failures.append(f"gguf: {fields['general.architecture']} with {len(shapes)} tensors")
    if shapes["token_embd.weight"] != [width, len(fields["tokenizer.ggml.tokens"])]:
        failures.append(f"gguf: a table {shapes['token_embd.weight']}")
    known = {f"blk.{layer}.{part}" for layer in range(layers) for part in ("attn_q.weight", "ffn_down.bias", "layer_output_norm.weight")}
    failures += [f"gguf: no {name}" for name in known - shapes.keys()]
    print(f"gguf: {len(shapes)} tensors, {len(fields['tokenizer.ggml.tokens'])} pieces, begins {fields['tokenizer.ggml.tokens'][:3]}")
    return failures


if __name__ == "__main__":
    sys.exit(main())
