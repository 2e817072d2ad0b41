"""Distills a sentence embedder of BERT-base's size into 4 layers of width 312 on raw text alone, and scores it on STS-B.

    VENV/bin/python experiments/embedder/run.py [--teacher DIR] [--sentences 40000] [--seed 1]

Needs ../shared (or $ATTAR_SHARED): raw text, STS-B, and the tool that fetches the teacher; `attar` in target/release (or
$ATTAR); numpy, scipy and tokenizers. An interrupted run resumes. Writes results.json and the table of README.md.
"""

import argparse
import csv
import gzip
import json
import os
import pathlib
import random
import re
import subprocess
import sys

import numpy as np
from scipy.stats import spearmanr
from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import readme  # noqa: E402

ROOT = HERE.parents[1]
SHARED = pathlib.Path(os.environ.get("ATTAR_SHARED", ROOT.parent / "shared"))
ATTAR = os.environ.get("ATTAR", str(ROOT / "target" / "release" / "attar"))
RUNS = ROOT / "runs" / "embedder"
TEXT = sorted((SHARED / "data" / "corpus" / "wiki").glob("*.txt.gz"))
# Pieces of the teacher that the student keeps: quantized it has less than 8 MB with them.
PIECES = 9000
# Sentences on which the scales of the 8-bit weights are chosen; no student learns from them.
CALIBRATION = 512


def attar(*arguments, **options):
    command = [ATTAR, *map(str, arguments)]
    print("$", " ".join(command), file=sys.stderr)
    return subprocess.run(command, check=True, **options)


def sentences(count, seed):
    """Sentences of Wikipedia of 5 to 40 words: those to learn from, and those for the scales, a file each."""
    files = RUNS / "sentences.txt", RUNS / "calibration.txt"
    if all(file.exists() for file in files):
        return files
    found = set()
    for path in TEXT:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                for sentence in re.split(r"(?<=[a-z][.?!])\s+(?=[A-Z])", line.strip()):
                    if 5 <= len(sentence.split()) <= 40:
                        found.add(sentence)
    drawn = random.Random(seed).sample(sorted(found), count + CALIBRATION)
    RUNS.mkdir(parents=True, exist_ok=True)
    for file, texts in zip(files, (drawn[:count], drawn[count:])):
        file.write_text("\n".join(texts) + "\n")
    return files


def recipe(teacher, text, count, seed):
    """States of the layers and vectors of the sentences, then vectors alone; one pass, then half of one."""
    # The squared distance of two vectors of length 1 is a mean over the teacher's columns: 768 times that is 2 - 2 cos.
    pooled = '{ kind = "pooled", weight = 768.0, normalize = true }'
    return f"""seed = {seed}

[data]
kind = "corpus"
files = [{json.dumps(str(text))}]
layout = "lines"
max-tokens = 64
held-out = 512

[teacher]
path = {json.dumps(str(teacher))}
precision = "int8"

[student]
from = "teacher"
layers = [3, 6, 9, 12]
hidden = 312
heads = 12
feed-forward = 1200
vocabulary = {PIECES}

[[stage]]
name = "states"
objective = [{{ kind = "hidden", map = [[1, 3], [2, 6], [3, 9], [4, 12]] }}, {pooled}]
projection = "shared"
length = {{ steps = {count // 32} }}
rate = 5e-4
keep = "last"

[[stage]]
name = "vectors"
objective = [{pooled}]
projection = "shared"
length = {{ steps = {count // 64} }}
rate = 2e-4
keep = "last"
"""


def pairs(part):
    """Texts and scores of a part of STS-B."""
    name, columns, header = {
        "dev": ("dev.tsv", (7, 8, 9), 1),
        "test": ("sts-test_labelled.tsv", (5, 6, 4), 0),
    }[part]
    with (SHARED / "data" / "glue" / "STS-B" / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[header:]
    rows = [[row[column].strip() for column in columns] for row in rows]
    return [(first, second, float(score)) for first, second, score in rows]


def texts_of(rows):
    return sorted({text for row in rows for text in row[:2]})


def embed(model, precision, texts, out):
    attar("-q", "embed", model, "--precision", precision, "--out", out, input="\n".join(texts).encode() + b"\n")
    return np.load(out)


def scores(vectors_of):
    """Spearman's correlation of the cosines with the scores, by part. `vectors_of` gives a row for each text."""
    result = {}
    for part in ("dev", "test"):
        rows = pairs(part)
        texts = texts_of(rows)
        vectors = vectors_of(part, texts)
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        place = {text: index for index, text in enumerate(texts)}
        first, second = (vectors[[place[row[side]] for row in rows]] for side in (0, 1))
        result[part] = float(spearmanr((first * second).sum(axis=1), [score for *_, score in rows]).statistic)
    return result


def static_table(teacher):
    """One vector for each of the tokenizer's pieces, the teacher's of that piece alone, less their mean; a text is the sum of
    its pieces', weighted by the logarithm of their rank, since frequent pieces come first (much as model2vec does). Pieces
    that no text of STS-B has are left out, from the mean too."""
    tokenizer = Tokenizer.from_file(str(teacher / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encode = lambda texts: [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]
    used = sorted({id for part in ("dev", "test") for ids in encode(texts_of(pairs(part))) for id in ids})
    alone = embed(teacher, "f32", [tokenizer.id_to_token(id).removeprefix("##") for id in used], RUNS / "pieces.npy")
    table = np.zeros((tokenizer.get_vocab_size(), alone.shape[1]))
    table[used] = (alone - alone.mean(axis=0)) * np.log1p(used)[:, None]
    return lambda part, texts: np.stack([table[ids].sum(axis=0) for ids in encode(texts)])


def shipped(folder):
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file() and file.name != "README.md")


def speeds(models):
    """Median microseconds of one text alone, models in turns, on one thread."""
    file = RUNS / "speed.json"
    lines = RUNS / "sts.txt"
    lines.write_text("\n".join(text for row in pairs("dev") for text in row[:2]) + "\n")
    arguments = ["--lines", lines, "--texts", 256, "--threads", 1, "--lengths", 32, "--batch", 1, "--rounds", 3, "--seconds", 1, "--starts", 0, "--json"]
    with file.open("w") as out:
        attar("bench", *models, *arguments, stdout=out)
    rows = json.loads(file.read_text())["results"]
    return {(pathlib.Path(row["directory"]), row["precision"]): 1e3 * row["texts"]["single"]["p50_ms"] for row in rows}


def parameters(folder):
    return sum(count for _, count in json.loads(attar("inspect", folder, "--json", stdout=subprocess.PIPE).stdout)["parameters"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--teacher", type=pathlib.Path, default=ROOT / "target" / "assets" / "all-mpnet-base-v2")
    parser.add_argument("--sentences", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    teacher = args.teacher.resolve()
    if not (teacher / "model.safetensors").exists():
        subprocess.run([SHARED / "tools" / "get-base-teacher", teacher], check=True)
    text, calibration = sentences(args.sentences, args.seed)
    file, run, small = RUNS / "student.toml", RUNS / "student", RUNS / "small"
    file.write_text(recipe(teacher, text, args.sentences, args.seed))
    attar("distill", "--recipe", file, "--out", run, stdout=subprocess.DEVNULL)
    if not (small / "config.json").exists():
        attar("quantize", run, "--texts", calibration, "--without-f32", "--out", small, stdout=subprocess.DEVNULL)
    student = run / "student"
    micros = speeds([teacher, student, small])
    made = json.loads((run / "result.json").read_text())
    rows = []
    for name, folder, precision in (
        ("teacher: all-mpnet-base-v2", teacher, "f32"),
        (f"4 layers of 312, {PIECES:,} of its pieces", student, "f32"),
        ("the same, quantized", small, "int8"),
    ):
        of_texts = lambda part, texts: embed(folder, precision, texts, RUNS / f"{folder.name}-{precision}-{part}.npy")
        rows.append({"model": name, "spearman": scores(of_texts), "bytes": shipped(folder)})
        rows[-1] |= {"parameters": parameters(folder), "micros": micros.get((folder, precision))}
    rows.append({"model": "static table, one vector a piece", "spearman": scores(static_table(teacher))})
    results = {"sentences": args.sentences, "seed": args.seed, "rows": rows, "made": made}
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    readme.put(HERE / "README.md", "results", table(rows))


def table(rows):
    lines = ["| model | STS-B dev | STS-B test | parameters | bytes | µs a text |", "|---|---|---|---|---|---|"]
    for row in rows:
        dash = lambda key, form: format(row[key], form) if row.get(key) is not None else "–"
        size = f"{row['bytes'] / 1e6:.1f} MB" if "bytes" in row else "–"
        dev, test = (row["spearman"][part] for part in ("dev", "test"))
        lines.append(f"| {row['model']} | {dev:.3f} | {test:.3f} | {dash('parameters', ',')} | {size} | {dash('micros', ',.0f')} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
