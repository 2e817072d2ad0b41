"""How near the vectors of a quantized sentence encoder are to those of its floats.

    python3 experiments/int8-vectors/run.py [--sentences 10000] [--encoder DIR]

Sentences of seven public sets, as `experiments/defaults/prepare.py` writes them from ../shared (or $ATTAR_SHARED); scales are
chosen on texts of two of them that take no part. Needs the program and the encoder as `experiments/defaults/run` does
($ATTAR, $ATTAR_ENCODER), and nothing beyond Python's own library. Writes ENCODER.json here and prints the table of
docs/performance.md.
"""

import argparse
import array
import ast
import csv
import json
import math
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RUNS = ROOT / "runs/int8-vectors"
DATA = ROOT / "runs/defaults/data"
ATTAR = os.environ.get("ATTAR", str(ROOT / "target/release/attar"))
ENCODER = os.environ.get("ATTAR_ENCODER", str(ROOT / "target/assets/all-MiniLM-L6-v2"))
# Set: its part of the sentences.
SETS = {"sst2": 0.3, "cola": 0.15, "stsb": 0.1, "agnews": 0.15, "clinc150": 0.2, "snips": 0.07, "mrpc": 0.03}
CALIBRATION = {"sst2": 400, "agnews": 200}
# Very short texts, which lose most, are few in the sets.
SHORT = ["no .", "yes .", "ok .", "bad", "good film", "so so", "a", "?"]
SEED = 1


def texts(name, part):
    with (DATA / name / "full" / f"{part}.csv").open(encoding="utf-8", newline="") as file:
        return [" ".join(row["text"].split()) for row in csv.DictReader(file)]


def draw(count):
    """Sentences to compare, and others to choose scales on."""
    compared, others = list(SHORT), []
    for name, share in SETS.items():
        rows = texts(name, "test") + texts(name, "train")
        random.Random(f"{SEED} {name}").shuffle(rows)
        wanted = round(share * count)
        compared += rows[:wanted]
        taken = set(rows[:wanted])
        others += [row for row in rows[wanted:] if row not in taken][: CALIBRATION.get(name, 0)]
    return [text for text in compared if text], [text for text in others if text]


def vectors(path):
    """Rows of a numpy file of 32-bit floats."""
    with path.open("rb") as file:
        file.seek(8)
        (length,) = struct.unpack("<H", file.read(2))
        header = ast.literal_eval(file.read(length).decode())
        numbers = array.array("f", file.read())
    rows, width = header["shape"]
    if header["descr"] != "<f4" or len(numbers) != rows * width:
        raise SystemExit(f"{path}: expected [rows, width] of <f4, got {header}")
    return [numbers[row * width : (row + 1) * width] for row in range(rows)]


def embed(model, precision, sentences):
    out = RUNS / f"{pathlib.Path(model).name}-{precision}.npy"
    with sentences.open("rb") as lines:
        subprocess.run([ATTAR, "-q", "embed", model, "--precision", precision, "--out", out], stdin=lines, check=True)
    return vectors(out)


def cosine(left, right):
    dot = sum(map(float.__mul__, left, right))
    return dot / math.sqrt(sum(x * x for x in left) * sum(x * x for x in right))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sentences", type=int, default=10_000)
    parser.add_argument("--encoder", default=ENCODER)
    args = parser.parse_args()
    subprocess.run([sys.executable, ROOT / "experiments/defaults/prepare.py"], stdout=subprocess.DEVNULL, check=True)
    RUNS.mkdir(parents=True, exist_ok=True)
    compared, others = draw(args.sentences)
    sentences, calibration = RUNS / "sentences.txt", RUNS / "texts.txt"
    sentences.write_text("\n".join(compared) + "\n", encoding="utf-8")
    calibration.write_text("\n".join(others) + "\n", encoding="utf-8")

    models = {"quantized when it is loaded": args.encoder}
    for name, flags in {
        "`attar quantize` without texts": [],
        "with texts, scales of columns": ["--texts", calibration],
    }.items():
        out = RUNS / f"model-{len(models)}"
        shutil.rmtree(out, ignore_errors=True)
        command = [ATTAR, "-q", "quantize", args.encoder, *flags, "--embeddings", "int8", "--out", out]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        models[name] = out

    exact = embed(args.encoder, "f32", sentences)
    results = []
    print("| | smallest | 1st percentile | median | below 0.995 |\n|---|---|---|---|---|")
    for name, model in models.items():
        cosines = sorted(map(cosine, exact, embed(model, "int8", sentences)))
        smallest, first, median = (cosines[place] for place in (0, len(cosines) // 100, len(cosines) // 2))
        below = sum(cosine < 0.995 for cosine in cosines)
        results.append({"model": name, "sentences": len(cosines), "smallest": smallest, "percentile_1": first,
                        "median": median, "below_0.995": below})
        print(f"| {name} | {smallest:.4f} | {first:.4f} | {median:.5f} | {below} |", flush=True)
    recorded = HERE / f"{pathlib.Path(args.encoder).name}.json"
    recorded.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
