"""A sentence embedder of BERT-base's size into 4 layers of 312, on raw text alone, scored on STS-B.

    python3 experiments/embedder/run.py [--teacher DIR] [--sentences 40000] [--seed 1]

Needs ../shared (or $ATTAR_SHARED): raw text, STS-B, and the tool that fetches the teacher; `attar` in target/release (or
$ATTAR). An interrupted run resumes. Writes results.json and prints the table of README.md. Uses Python's own library alone.
"""

import argparse
import array
import ast
import csv
import gzip
import json
import math
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import unicodedata

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SHARED = pathlib.Path(os.environ.get("ATTAR_SHARED", ROOT.parent / "shared"))
ATTAR = os.environ.get("ATTAR", str(ROOT / "target" / "release" / "attar"))
RUNS = ROOT / "runs" / "embedder"
TEXT = sorted((SHARED / "data" / "corpus" / "wiki").glob("*.txt.gz"))
# Pieces of the teacher that the student keeps: with them it has less than 8 MB in 8-bit integers.
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
    name, columns = {"dev": ("dev.tsv", (7, 8, 9)), "test": ("sts-test_labelled.tsv", (5, 6, 4))}[part]
    with (SHARED / "data" / "glue" / "STS-B" / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows = [[row[column].strip() for column in columns] for row in rows[name == "dev.tsv" :]]
    return [(first, second, float(score)) for first, second, score in rows]


def vectors(path):
    """Rows of a numpy file of 32-bit floats."""
    with path.open("rb") as file:
        file.seek(8)
        (length,) = struct.unpack("<H", file.read(2))
        header = ast.literal_eval(file.read(length).decode())
        numbers = array.array("f", file.read())
    rows, width = header["shape"]
    return [numbers[row * width : (row + 1) * width] for row in range(rows)]


def embed(model, precision, texts, out):
    attar("-q", "embed", model, "--precision", precision, "--out", out, input="\n".join(texts).encode() + b"\n")
    return vectors(out)


def cosine(left, right):
    dot = sum(map(float.__mul__, left, right))
    return dot / (math.sqrt(sum(x * x for x in left) * sum(x * x for x in right)) or 1.0)


def ranks(values):
    """Ranks, equal values sharing the mean of theirs."""
    order, result, start = sorted(range(len(values)), key=values.__getitem__), [0.0] * len(values), 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            result[place] = (start + end - 1) / 2
        start = end
    return result


def pearson(left, right):
    means = sum(left) / len(left), sum(right) / len(right)
    left, right = [x - means[0] for x in left], [x - means[1] for x in right]
    return sum(map(float.__mul__, left, right)) / math.sqrt(sum(x * x for x in left) * sum(x * x for x in right))


def spearman(similarities, scores):
    return pearson(ranks(similarities), ranks(scores))


def scores(vector_of):
    """Spearman's correlation of the cosines with the scores, by part. `vector_of` maps texts to vectors."""
    result = {}
    for part in ("dev", "test"):
        rows = pairs(part)
        texts = sorted({text for row in rows for text in row[:2]})
        known = dict(zip(texts, vector_of(part, texts)))
        similarities = [cosine(known[first], known[second]) for first, second, _ in rows]
        result[part] = spearman(similarities, [score for *_, score in rows])
    return result


def words(text):
    """The words of BERT's uncased tokenizers: lower case, no accents, punctuation apart."""
    text = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    return re.findall(r"[^\W_]+|[^\w\s]|_", text)


def pieces(word, vocabulary):
    """A word's pieces by greedy longest match; none if it has an unknown one."""
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                break
        else:
            return []
        found.append(piece)
        start = end
    return found


def static_table(teacher):
    """One vector for each piece, the teacher's of that piece alone less the mean of all; a text is their mean, weighted by
    the logarithm of a piece's rank in the vocabulary, since frequent pieces come first (much as model2vec does)."""
    vocabulary = {piece: rank for rank, piece in enumerate((teacher / "vocab.txt").read_text().split("\n"))}
    cut = lambda text: [piece for word in words(text) for piece in pieces(word, vocabulary)]
    used = sorted({piece for part in ("dev", "test") for row in pairs(part) for text in row[:2] for piece in cut(text)})
    alone = embed(teacher, "f32", [piece.removeprefix("##") for piece in used], RUNS / "pieces.npy")
    means = [sum(column) / len(alone) for column in zip(*alone)]
    table = {piece: [x - mean for x, mean in zip(vector, means)] for piece, vector in zip(used, alone)}

    def vector(text):
        total = [0.0] * len(table[used[0]])
        for piece in cut(text):
            weight = math.log(1 + vocabulary[piece])
            total = [sum + weight * x for sum, x in zip(total, table[piece])]
        return total

    return lambda part, texts: map(vector, texts)


def shipped(folder):
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file() and file.name != "README.md")


def speeds(models):
    """Median microseconds of one text alone, models in turns, one thread; parameters are not the bench's to know."""
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
        ("the same in 8-bit integers", small, "int8"),
    ):
        of_texts = lambda part, texts: embed(folder, precision, texts, RUNS / f"{folder.name}-{precision}-{part}.npy")
        rows.append({"model": name, "spearman": scores(of_texts), "bytes": shipped(folder)})
        rows[-1] |= {"parameters": parameters(folder), "micros": micros.get((folder, precision))}
    rows.append({"model": "static table, one vector a piece", "spearman": scores(static_table(teacher))})
    (HERE / "results.json").write_text(json.dumps({"sentences": args.sentences, "seed": args.seed, "rows": rows, "made": made}, indent=1) + "\n")
    print("| model | STS-B dev | STS-B test | parameters | bytes | µs a text |\n|---|---|---|---|---|---|")
    for row in rows:
        dash = lambda key, form: format(row[key], form) if row.get(key) is not None else "–"
        size = f"{row['bytes'] / 1e6:.1f} MB" if "bytes" in row else "–"
        dev, test = (row["spearman"][part] for part in ("dev", "test"))
        print(f"| {row['model']} | {dev:.3f} | {test:.3f} | {dash('parameters', ',')} | {size} | {dash('micros', ',.0f')} |")


if __name__ == "__main__":
    sys.exit(main())
