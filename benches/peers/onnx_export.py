"""Exports of attar in other programs: logits, accuracy and speed in stock onnxruntime and OpenVINO, beside torch's own export.

    pip install numpy tokenizers onnxruntime openvino torch transformers onnx onnxscript
    python benches/peers/onnx_export.py --model BUNDLE --data ROWS.tsv [--attar PATH] [--threads 1] [--rows N] [--json FILE]

`--data` has a header with the columns `text` (or `sentence`) and `label`, names as the model has them or their numbers.
Exports the bundle in f32 and int8 by `attar export onnx`, runs both graphs in both programs on all rows, padded in
batches of 32 sorted by length, and holds them against `attar predict` in f32: logits within 1e-4 in f32, accuracy within 0.2
points in int8. Ends with 1 if one is not, and with 77 and a reason where a program is not installed.

Speed is the time of the same batches, the least of three rounds, in turns; torch's export is made of `transformers`' encoder
with the bundle's own mean and classifier over it, by the exporter whose patterns onnxruntime's fusions know. In
int8 it is quantized by onnxruntime (`quantize_dynamic`, a scale for each channel).
"""

import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tempfile
import time

MAX_LOGIT, MAX_POINTS, BATCH, ROUNDS = 1e-4, 0.2, 32, 3


def main():
    options = arguments()
    try:
        import numpy  # noqa: F401
        import onnxruntime  # noqa: F401
        import openvino  # noqa: F401
        import tokenizers  # noqa: F401
    except ImportError as problem:
        print(f"skipped: {problem}", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory() as folder:
        return compare(options, pathlib.Path(folder))


def compare(options, folder):
    import numpy as np

    rows = read(options.data, options.rows)
    texts = [text for text, _ in rows]
    labels, expected = predicted(options, texts)
    gold = np.array([labels.index(label) if label in labels else int(label) for _, label in rows])
    batches = encoded(options.model, texts)
    report = {"model": str(options.model), "rows": len(rows), "threads": options.threads}
    report["attar f32"] = {"accuracy": accuracy(expected, gold)}
    runs, files = {}, {}
    for precision in ("f32", "int8"):
        files[precision] = folder / f"{precision}.onnx"
        subprocess.run(
            [options.attar, "export", "onnx", options.model, "--out", files[precision], "--precision", precision], check=True
        )
    if options.torch:
        files["torch f32"], files["torch int8"] = torch_exports(options.model, folder)
    for name, file in files.items():
        runs[f"onnxruntime {name}"] = onnxruntime_runner(file, options.threads)
        runs[f"openvino {name}"] = openvino_runner(file, options.threads)
    outputs = {}
    for name, run in runs.items():
        outputs[name] = in_order([run(inputs) for _, inputs in batches], batches, len(rows))
        report[name] = {
            "accuracy": accuracy(outputs[name], gold),
            "largest difference of a logit": float(np.abs(outputs[name] - expected).max()),
        }
    for _ in range(ROUNDS):
        for name, run in runs.items():
            begin = time.perf_counter()
            for _, inputs in batches:
                run(inputs)
            seconds = time.perf_counter() - begin
            report[name]["seconds"] = min(seconds, report[name].get("seconds", seconds))
    for name, file in files.items():
        report.setdefault("bytes", {})[name] = file.stat().st_size
    failures = []
    for engine in ("onnxruntime", "openvino"):
        off = report[f"{engine} f32"]["largest difference of a logit"]
        if not off <= MAX_LOGIT * max(1.0, float(np.abs(expected).max())):
            failures.append(f"{engine} f32: a logit is off by {off:.1e}")
        lost = 100 * (report["attar f32"]["accuracy"] - report[f"{engine} int8"]["accuracy"])
        if lost > MAX_POINTS:
            failures.append(f"{engine} int8: {lost:.2f} points lost")
    report["failures"] = failures
    text = json.dumps(report, indent=2)
    print(text)
    if options.json:
        pathlib.Path(options.json).write_text(text + "\n")
    return 1 if failures else 0


def read(path, most):
    with open(path, newline="", encoding="utf-8") as file:
        quoting = csv.QUOTE_NONE if str(path).endswith(".tsv") else csv.QUOTE_MINIMAL
        table = csv.DictReader(file, delimiter="\t" if str(path).endswith(".tsv") else ",", quoting=quoting)
        rows = [(row.get("text") or row.get("sentence") or "", row["label"]) for row in table]
    return rows[:most]


def predicted(options, texts):
    """Labels of the model, and the logits of `attar predict` in f32."""
    import numpy as np

    command = [options.attar, "predict", options.model, "--json", "--precision", "f32"]
    lines = "".join(text.replace("\n", " ") + "\n" for text in texts)
    output = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True).stdout
    answers = [json.loads(line) for line in output.splitlines()]
    return [label for label, _ in answers[0]["probabilities"]], np.array([answer["logits"] for answer in answers], np.float32)


def encoded(model, texts):
    """Batches of texts sorted by length: their places, and the inputs of a graph."""
    import numpy as np
    import tokenizers

    folder = pathlib.Path(model)
    folder = folder / "student" if (folder / "student" / "config.json").exists() else folder
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    settings = folder / "sentence_bert_config.json"
    limit = json.loads(settings.read_text()).get("max_seq_length") if settings.exists() else None
    tokenizer.enable_truncation(limit or 512)
    tokenizer.no_padding()
    all_ids = [encoding.ids for encoding in tokenizer.encode_batch_fast([text.replace("\n", " ") for text in texts])]
    order = sorted(range(len(texts)), key=lambda row: -len(all_ids[row]))
    batches = []
    for first in range(0, len(order), BATCH):
        places = order[first : first + BATCH]
        longest = max(len(all_ids[row]) for row in places)
        ids = np.zeros((len(places), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, place in enumerate(places):
            ids[row, : len(all_ids[place])] = all_ids[place]
            mask[row, : len(all_ids[place])] = 1
        batches.append((places, {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}))
    return batches


def in_order(outputs, batches, count):
    import numpy as np

    all_rows = np.full((count, outputs[0].shape[1]), np.nan, np.float32)
    for (places, _), rows in zip(batches, outputs):
        all_rows[places] = rows
    return all_rows


def accuracy(logits, gold):
    return float((logits.argmax(axis=1) == gold).mean())


def onnxruntime_runner(file, threads):
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
    names = {given.name for given in session.get_inputs()}
    return lambda inputs: session.run(["logits"], {name: inputs[name] for name in names})[0]


def openvino_runner(file, threads):
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(str(file), "CPU", settings)
    names = {given.get_any_name() for given in model.inputs}
    request = model.create_infer_request()

    def run(inputs):
        request.infer({name: inputs[name] for name in names})
        return request.get_tensor("logits").data.copy()

    return run


def torch_exports(model, folder):
    """The same classifier as torch exports it, in f32 and as onnxruntime quantizes that."""
    import torch
    import transformers
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from safetensors.torch import load_file

    source = pathlib.Path(model)
    source = source / "student" if (source / "student" / "config.json").exists() else source
    weights = load_file(str(source / "model.safetensors"))

    class Classifier(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = transformers.AutoModel.from_pretrained(source, attn_implementation="eager")
            k, h = weights["classifier.weight"].shape
            self.classifier = torch.nn.Linear(h, k)
            self.classifier.load_state_dict({part: weights[f"classifier.{part}"] for part in ("weight", "bias")})

        def forward(self, input_ids, attention_mask, token_type_ids):
            given = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
            states = self.encoder(**given).last_hidden_state
            mask = attention_mask.unsqueeze(-1).to(states.dtype)
            return self.classifier((states * mask).sum(1) / mask.sum(1).clamp(min=1))

    names = ["input_ids", "attention_mask", "token_type_ids"]
    ids = torch.ones((2, 8), dtype=torch.int64)
    files = folder / "torch.onnx", folder / "torch-int8.onnx"
    torch.onnx.export(
        Classifier().eval(),
        (ids, ids, torch.zeros_like(ids)),
        str(files[0]),
        input_names=names,
        output_names=["logits"],
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in names},
        opset_version=17,
        dynamo=False,
    )
    quantize_dynamic(str(files[0]), str(files[1]), per_channel=True, weight_type=QuantType.QInt8)
    return files


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--attar", default="attar")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--torch", action="store_true", help="beside torch's own export of a classifier over the mean")
    parser.add_argument("--json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
