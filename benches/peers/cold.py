"""From process start to the first answer, and memory: `attar predict` beside a minimal onnxruntime script, in turns.

    cargo build --release
    python benches/peers/cold.py [--attar target/release/attar] [--rounds 15] [--model DIR]

Needs torch, transformers, tokenizers, onnx, onnxscript and onnxruntime in this Python. The model is 12
layers of width 48 with random weights, about 7 MB, or the one named. The peer imports onnxruntime and
`tokenizers` and nothing else, and loads the graph already fused. Both answer one text; their logits must
agree, else the exit code is 1.

"first" ends when the first line of the answer arrives, "whole" when the process has gone. Memory is the
most that was resident, as the kernel counts it for the process. The row "nothing" is `true`: what starting
any process costs here, and the least memory that this way of counting can see, because the child begins as
a copy of this program. Files are in the page cache: the first start after boot is slower on both sides.
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

SHAPE = "12x48"
TEXT = "a gorgeous , witty , seductive movie ."
# attar and onnxruntime both compute in f32 here.
BOUND = 1e-3
WANTED_FIRST, WANTED_MEMORY = 20.0, 40.0

MINIMAL = """
import json, sys
import onnxruntime, tokenizers
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
ids = tokenizers.Tokenizer.from_file(sys.argv[2]).encode(sys.argv[3]).ids
logits = session.run(None, {"input_ids": [ids], "attention_mask": [[1] * len(ids)]})[0][0]
print(json.dumps({"logits": logits.tolist()}))
"""


def main():
    options = arguments()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.model or pathlib.Path(scratch) / SHAPE).resolve()
        # In a process of its own: this one must stay small, its memory is the children's least.
        ready = subprocess.run([sys.executable, __file__, "prepare", folder], check=True, stdout=subprocess.PIPE)
        graph, versions = json.loads(ready.stdout.splitlines()[-1])
        size = folder.joinpath("model.safetensors").stat().st_size / 1e6
        print(common.machine())
        print(f"{versions}; model of {size:.1f} MB, medians [minima] of {options.rounds} rounds\n")
        commands = {
            "attar predict": [options.attar, "predict", folder, TEXT, "--json"],
            "onnxruntime": [sys.executable, "-c", MINIMAL, graph, folder / "tokenizer.json", TEXT],
            "nothing": ["true"],
        }
        report(measure(commands, options.rounds))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attar", type=pathlib.Path, default=common.ROOT / "target/release/attar")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--model", type=pathlib.Path, help="model directory; what onnxruntime needs is put into it")
    options = parser.parse_args()
    if not os.access(options.attar, os.X_OK):
        parser.error(f"no program at {options.attar}: build it with `cargo build --release`, or name it with --attar")
    options.attar = options.attar.resolve()
    return options


def prepare(folder):
    """Makes the model and its graph; prints where that is, and the versions."""
    import engines

    engines.quiet()
    common.make_model(pathlib.Path(folder), common.SHAPES[SHAPE])
    print(json.dumps([str(engines.Model(folder).onnx("fused", "f32")), engines.versions()]))


def measure(commands, rounds):
    """Runs of every command, after one that reads its files from disk and is checked."""
    logits = [run(name, command)["logits"] for name, command in commands.items()][:2]
    worst = max(abs(a - b) for a, b in zip(*logits, strict=True))
    if not worst <= BOUND:
        sys.exit(f"logits differ by {worst:.2g}, bound {BOUND}: {logits}")
    runs = {name: [] for name in commands}
    order = list(commands)
    for turn in range(rounds):
        for place in range(len(order)):
            name = order[(turn + place) % len(order)]
            runs[name].append(run(name, commands[name]))
    return runs


def run(name, command):
    """Milliseconds to the first line and to the end, megabytes, and the logits of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    line = process.stdout.readline()
    first = (time.perf_counter() - start) * 1e3
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    whole = (time.perf_counter() - start) * 1e3
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{name}: exit code {process.returncode}")
    # Kilobytes on Linux.
    memory = usage.ru_maxrss * 1024 / 1e6
    return {"first": first, "whole": whole, "memory": memory, "logits": json.loads(line)["logits"] if line else None}


def report(runs):
    def of(name, key):
        return [run[key] for run in runs[name]]

    rows = [
        [name, common.span(of(name, "first")), common.span(of(name, "whole")), common.span(of(name, "memory"))]
        for name in runs
    ]
    common.table(["", "first ms", "whole ms", "memory MB"], rows)
    ours, theirs = (statistics.median(of(name, "first")) for name in list(runs)[:2])
    memory = statistics.median(of("attar predict", "memory"))
    print(f"\nonnxruntime / attar, first answer: {theirs / ours:.1f}")
    for name, got, wanted in (("first answer, ms", ours, WANTED_FIRST), ("memory, MB", memory, WANTED_MEMORY)):
        print(f"{name}: {got:.1f}, wanted at most {wanted:.0f}: {'met' if got <= wanted else 'not met'}")


if __name__ == "__main__":
    prepare(sys.argv[2]) if sys.argv[1:2] == ["prepare"] else main()
