"""`attar predict` and `attar embed --out x.npy` over many lines, beside the same exported graph in onnxruntime with tokenizers.

    pip install numpy tokenizers onnxruntime torch transformers
    python benches/peers/stream.py [--attar PROGRAM] [--lines 100000] [--rounds 3] [--threads 1] [--precision f32]
        [--shape 4x312] [--json FILE]
    python benches/peers/stream.py --memory-growth 100000,1000000,4000000 [--model BUNDLE]

Lines are sentences of SST-2 (`../shared`, or `--text FILE` with a text a line), repeated until there are enough. The models are a
classifier with random weights, because speed does not depend on them, and the same as an encoder; the graphs are those of `attar
export onnx`. Both sides are programs of their own that read the lines from a file and write the same result: a
label and its probability a line, or an array of numpy. The Python side reads 2,048 lines at a time, sorts them by length, and
computes padded batches of 32. Sides take turns; a side is one process from its start to its end, model loading
included. Reported are texts a second by the clock and per CPU second, the peak of the resident memory, and the ratios of the
medians. Ends with 1 if the two sides disagree: a label on more than one in 1,000 lines in f32 (50 in int8), or a number of a vector by
more than 1e-3 in f32.

`--memory-growth` runs `attar embed --out` alone over each of these numbers of short lines, and reports the memory.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import common

BATCH, TURN = 32, 2048
MODES = ("predict", "embed")
LAUNCHER = """
import json, os, sys, time
begin = time.monotonic()
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
with open(sys.argv[1], "w") as report:
    json.dump([time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss], report)
sys.exit(os.waitstatus_to_exitcode(status) and 1)
"""


def main():
    options = arguments()
    if options.peer:
        return peer(options)
    if not options.memory_growth:
        try:
            import numpy  # noqa: F401
            import onnxruntime  # noqa: F401
            import tokenizers  # noqa: F401
        except ImportError as problem:
            print(f"skipped: {problem}", file=sys.stderr)
            return 77
    options.work.mkdir(parents=True, exist_ok=True)
    model = options.model or options.work / options.shape
    if options.model is None:
        common.make_model(model, common.SHAPES[options.shape])
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        folder = pathlib.Path(folder)
        return memory_growth(options, model, folder) if options.memory_growth else compare(options, model, folder)


def compare(options, model, folder):
    lines = folder / "lines.txt"
    write_lines(read(options.text), options.lines, lines)
    graphs = export(options, model, folder)
    report = {"machine": common.machine(), "lines": options.lines, "threads": options.threads, "precision": options.precision, "shape": options.shape, "rounds": options.rounds}
    failures = []
    for mode in options.modes:
        sides = {
            "attar": attar_command(options, mode, model, folder),
            "onnxruntime": peer_command(options, mode, model, graphs, folder),
        }
        runs = {name: [] for name in sides}
        for number in range(options.rounds):
            order = list(sides) if number % 2 == 0 else list(reversed(sides))
            for name in order:
                runs[name].append(measured(sides[name], lines, folder / f"{name}.{mode}.out"))
        report[mode] = {name: summary(all_runs, options.lines) for name, all_runs in runs.items()}
        failures += disagreements(mode, options, folder)
    report["failures"] = failures
    show(report)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(report, indent=2) + "\n")
    return 1 if failures else 0


def memory_growth(options, model, folder):
    """Memory of `attar embed --out` over more and more lines."""
    print(common.machine())
    rows = []
    for count in options.memory_growth:
        lines = folder / "lines.txt"
        write_lines([], count, lines)
        out = folder / "vectors.npy"
        run = measured([*attar_args(options), "embed", str(model), "--out", str(out), *precision_args(options)], lines, folder / "out")
        rows.append([f"{count:,}", f"{out.stat().st_size / 1e9:.2f} GB", f"{count / run['cpu']:,.0f}", f"{run['rss'] / 1e6:.1f} MB"])
        out.unlink()
    common.table(["lines", "array", "texts per CPU second", "peak memory"], rows)
    return 0


def write_lines(texts, count, out):
    """So many lines: these in turn, or short ones that differ."""
    with open(out, "w", encoding="utf-8") as file:
        for number in range(count):
            file.write(f"{texts[number % len(texts)]}\n" if texts else f"turn on lamp {number}\n")


def read(source):
    if source is not None:
        return [line for line in source.read_text(encoding="utf-8").split("\n") if line.strip()]
    table = common.SHARED / "data/glue/SST-2/train.tsv"
    rows = table.read_text(encoding="utf-8").split("\n")[1:]
    return [row.split("\t")[0] for row in rows if row.strip()]


def export(options, model, folder):
    """The graphs: the classifier, and the encoder with the mean of its tokens."""
    graphs = {}
    encoder = folder / "encoder"
    as_encoder(model, encoder)
    for mode, source in (("predict", model), ("embed", encoder)):
        graphs[mode] = folder / f"{mode}.onnx"
        command = [options.attar, "export", "onnx", source, "--out", graphs[mode], "--precision", options.precision]
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return graphs


def as_encoder(model, out):
    """The model without its classifier, as sentence-transformers keeps an encoder whose vectors are means of its tokens."""
    out.mkdir()
    for file in model.iterdir():
        (out / file.name).write_bytes(file.read_bytes())
    config = json.loads((out / "config.json").read_text())
    config["architectures"] = ["BertModel"]
    (out / "config.json").write_text(json.dumps(config))
    kinds = {"": "Transformer", "1_Pooling": "Pooling"}
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(kinds.items())
    ]
    (out / "modules.json").write_text(json.dumps(modules))
    (out / "1_Pooling").mkdir()
    width = config["hidden_size"]
    pooling = {"word_embedding_dimension": width, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    (out / "1_Pooling" / "config.json").write_text(json.dumps(pooling))


def attar_args(options):
    return [str(options.attar), "--quiet", "--threads", str(options.threads)]


def precision_args(options):
    return ["--precision", options.precision]


def attar_command(options, mode, model, folder):
    if mode == "predict":
        return [*attar_args(options), "predict", str(model), "--json", *precision_args(options)]
    return [*attar_args(options), "embed", str(folder / "encoder"), "--out", str(folder / "attar.npy"), *precision_args(options)]


def peer_command(options, mode, model, graphs, folder):
    return [
        *(sys.executable, __file__, "--peer", mode, "--threads", str(options.threads)),
        *("--graph", str(graphs[mode]), "--tokenizer", str(model / "tokenizer.json"), "--out", str(folder / "peer.npy")),
    ]


def measured(command, lines, out):
    """A process from start to end: seconds by the clock and of processor time, bytes of peak memory."""
    # A child begins with the peak of whoever starts it, so that is a small program.
    report = out.with_suffix(".measured")
    launcher = [sys.executable, "-S", "-E", "-c", LAUNCHER, str(report), *command]
    with open(lines, "rb") as source, open(out, "wb") as target:
        subprocess.run(launcher, stdin=source, stdout=target, check=True)
    clock, cpu, rss = json.loads(report.read_text())
    return {"clock": clock, "cpu": cpu, "rss": rss * 1024}


def summary(runs, lines):
    median = {key: statistics.median(run[key] for run in runs) for key in ("clock", "cpu", "rss")}
    return {
        "texts/s": lines / median["clock"],
        "texts per CPU second": lines / median["cpu"],
        "peak memory": median["rss"],
        "runs": runs,
    }


def disagreements(mode, options, folder):
    """What the two sides answer differently."""
    import numpy as np

    if mode == "embed":
        ours, theirs = np.load(folder / "attar.npy", mmap_mode="r"), np.load(folder / "peer.npy", mmap_mode="r")
        if ours.shape != theirs.shape:
            return [f"embed: {ours.shape} and {theirs.shape}"]
        off = max(float(np.abs(ours[at : at + TURN] - theirs[at : at + TURN]).max()) for at in range(0, len(ours), TURN))
        print(f"embed: numbers differ by at most {off:.1e}")
        return [f"embed: a number is off by {off:.1e}"] if options.precision == "f32" and not off <= 1e-3 else []
    ours = [json.loads(line) for line in open(folder / "attar.predict.out", encoding="utf-8")]
    theirs = [line.split("\t")[0] for line in open(folder / "onnxruntime.predict.out", encoding="utf-8")]
    if len(ours) != len(theirs):
        return [f"predict: {len(ours)} and {len(theirs)} answers"]
    other = sum(answer["label"] != label for answer, label in zip(ours, theirs))
    print(f"predict: {other} of {len(ours)} labels differ")
    most = 0.001 if options.precision == "f32" else 0.05
    return [f"predict: {other} of {len(ours)} labels differ"] if other > most * len(ours) else []


def show(report):
    print(report["machine"])
    about = f"{report['threads']} threads, {report['shape']}, {report['precision']}"
    print(f"{report['lines']:,} lines, {about}, medians of {report['rounds']} alternating turns")
    rows = []
    for mode in filter(report.get, MODES):
        sides = report[mode]
        for name, side in sides.items():
            numbers = [f"{side['texts/s']:,.0f}", f"{side['texts per CPU second']:,.0f}", f"{side['peak memory'] / 1e6:.0f} MB"]
            rows.append([f"{mode}, {name}", *numbers])
        ratio = lambda key: sides["attar"][key] / sides["onnxruntime"][key]  # noqa: E731
        rows.append([
            f"{mode}, attar / onnxruntime",
            f"{ratio('texts/s'):.2f}",
            f"{ratio('texts per CPU second'):.2f}",
            f"{ratio('peak memory'):.2f}",
        ])
    common.table(["", "texts/s", "texts per CPU second", "peak memory"], rows)


def peer(options):
    """The Python side: lines in, labels or an array out."""
    import numpy as np
    import onnxruntime
    import tokenizers

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(options.graph), settings, providers=["CPUExecutionProvider"])
    names = {given.name for given in session.get_inputs()}
    # Of an encoder's outputs the vectors, not the states of the tokens.
    wanted = next(output.name for output in session.get_outputs() if len(output.shape) == 2)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if options.threads > 1 else "false"
    tokenizer = tokenizers.Tokenizer.from_file(str(options.tokenizer))
    tokenizer.enable_truncation(512)
    array = None

    def answers(texts):
        encodings = tokenizer.encode_batch_fast(texts)
        order = sorted(range(len(texts)), key=lambda at: len(encodings[at].ids))
        results = [None] * len(texts)
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            longest = max(len(encodings[at].ids) for at in places)
            ids, mask = np.zeros((2, len(places), longest), np.int64)
            for row, at in enumerate(places):
                ids[row, : len(encodings[at].ids)] = encodings[at].ids
                mask[row, : len(encodings[at].ids)] = 1
            inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            output = session.run([wanted], {name: inputs[name] for name in names})[0]
            for row, at in enumerate(places):
                results[at] = output[row]
        return results

    def write(results):
        nonlocal array
        if options.peer == "predict":
            logits = np.array(results, np.float32)
            shares = np.exp(logits - logits.max(1, keepdims=True))
            shares /= shares.sum(1, keepdims=True)
            for row, best in zip(shares, shares.argmax(1)):
                sys.stdout.write(f"{common.LABELS[best]}\t{row[best]:.6f}\n")
            return
        if array is None:
            # The header is written last, when the number of rows is known.
            array = open(options.out, "wb")
            array.write(b" " * 128)
        array.write(np.array(results, np.float32).tobytes())
        write.rows = getattr(write, "rows", 0) + len(results)
        write.width = len(results[0])

    turn = []
    for line in sys.stdin:
        turn.append(line.rstrip("\n"))
        if len(turn) == TURN:
            write(answers(turn))
            turn = []
    if turn:
        write(answers(turn))
    if array is not None:
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({write.rows}, {write.width}), }}"
        array.seek(0)
        array.write(b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + header.ljust(117).encode() + b"\n")
        array.close()
    return 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attar", type=pathlib.Path, default=common.ROOT / "target/release/attar")
    parser.add_argument("--shape", choices=common.SHAPES, default="4x312")
    parser.add_argument("--modes", type=lambda text: text.split(","), default=MODES, help="predict, embed, or both")
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("f32", "int8"), default="f32")
    parser.add_argument("--text", type=pathlib.Path, help="a text a line, instead of SST-2")
    parser.add_argument("--model", type=pathlib.Path, help="a model directory, for --memory-growth")
    parser.add_argument("--memory-growth", metavar="LINES", type=lambda text: [int(part) for part in text.split(",")], default=[])
    parser.add_argument("--work", type=pathlib.Path, default=common.ROOT / "target/bench-models", help="where models are kept")
    parser.add_argument("--json", help="write the figures here")
    for name in ("--peer", "--graph", "--tokenizer", "--out"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.model and not options.memory_growth:
        parser.error("--model goes with --memory-growth: a comparison makes its own models")
    return options


if __name__ == "__main__":
    sys.exit(main())
