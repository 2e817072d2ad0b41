"""Writes the CSV files of the experiment: train.csv and test.csv of seven public sets, and samples of four.

    python3 experiments/defaults/prepare.py

Reads the data below `$ATTAR_SHARED/data` (default: ../shared beside the repository), writes to
`runs/defaults/data/SET/full/` and `runs/defaults/data/SET/ROWS-seed-SEED/`. Columns: text, pair (where there
is one), label; RFC 4180. Files that are there are written again, with the same bytes.
Uses nothing beyond Python's own library.
"""

import csv
import json
import os
import pathlib
import random

from sets import DATA, ROOT, SEEDS, SETS

SHARED = pathlib.Path(os.environ.get("ATTAR_SHARED", ROOT.parent / "shared")) / "data"
# Rows of AG News' test file that are scored: all 7,600 would say little more and take four times as long.
AG_NEWS_TEST = 2000


def lines(path):
    """Lines of a file: split at \\n alone, for the texts hold other characters that pass for a line's end."""
    text = (SHARED / path).read_bytes().decode("utf-8")
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def cells(path, header):
    """Rows of a table without quoting; `header` says whether its first line names the columns."""
    return [line.split("\t") for line in lines(path)[1 if header else 0 :]]


def sst2(split):
    return [(text.strip(), ("negative", "positive")[int(label)]) for text, label in cells(f"glue/SST-2/{split}.tsv", True)]


def cola(split):
    return [(row[3].strip(), ("unacceptable", "acceptable")[int(row[1])]) for row in cells(f"glue/CoLA/{split}.tsv", False)]


def mrpc(split):
    return [(row[3], row[4], ("other", "paraphrase")[int(row[0])]) for row in cells(f"glue/MRPC/{split}.tsv", True)]


def stsb(split):
    return [(row[7], row[8], row[9]) for row in cells(f"glue/STS-B/{split}.tsv", True)]


def snips(split):
    texts, labels = (lines(f"intents/snips/{split}/{name}") for name in ("seq.in", "label"))
    # Tokens are set apart by runs of spaces.
    return [(" ".join(text.split()), label.strip()) for text, label in zip(texts, labels, strict=True)]


def clinc150(split):
    return [tuple(row) for row in json.loads((SHARED / "intents/clinc150/data_full.json").read_text("utf-8"))[split]]


def agnews(split):
    return [tuple(row) for row in cells(f"news/agnews/{split}.tsv", False)]


def every_class(rows, count, seed):
    """`count` rows of each class (all of a class that has fewer), in an order without meaning."""
    order = random.Random(seed)
    classes = {}
    for row in rows:
        classes.setdefault(row[-1], []).append(row)
    chosen = [row for label in sorted(classes) for row in order.sample(classes[label], min(count, len(classes[label])))]
    order.shuffle(chosen)
    return chosen


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = ["text", "label"] if len(rows[0]) == 2 else ["text", "pair", "label"]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows(rows)
    print(f"{path.relative_to(DATA)}: {len(rows):,} rows")


# Rows that train, rows that score, and how many of each the sources are known to hold.
SOURCES = {
    "sst2": (sst2, "train", "dev", 67349, 872),
    "clinc150": (clinc150, "train", "test", 15000, 4500),
    "snips": (snips, "train", "test", 13084, 700),
    "agnews": (agnews, "dev", "test", 10001, 7600),
    "mrpc": (mrpc, "train", "test_labelled", 3668, 1725),
    "stsb": (stsb, "train", "dev", 5749, 1500),
    "cola": (cola, "train", "dev", 8551, 1043),
}


def main():
    for name, (load, train_split, test_split, train_rows, test_rows) in SOURCES.items():
        train, test = load(train_split), load(test_split)
        found = (len(train), len(test))
        if found != (train_rows, test_rows):
            raise SystemExit(f"{name}: expected {train_rows} and {test_rows} rows, got {found[0]} and {found[1]}")
        if name == "agnews":
            test = random.Random(0).sample(test, AG_NEWS_TEST)
        one = SETS[name]
        write(one.folder("full", 0) / "train.csv", train)
        write(one.test(), test)
        for count in one.samples:
            for seed in SEEDS:
                write(one.folder(str(count), seed) / "train.csv", every_class(train, count, seed))


if __name__ == "__main__":
    main()
