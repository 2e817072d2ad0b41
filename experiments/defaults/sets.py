"""The data sets of the experiment: what a row is, and what is measured on it.

Not a program. `prepare.py` writes the files, `peers.py`, `steps.py` and `summary.py` read them.
"""

import csv
import dataclasses
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
RUNS = ROOT / "runs" / "defaults"
DATA = RUNS / "data"
SEEDS = (1, 2, 3)
SAMPLES = (8, 64, 256)


@dataclasses.dataclass(frozen=True)
class Set:
    """A data set. `metrics`: the one that decides first. `extra`: one that `attar eval` prints when asked."""

    name: str
    title: str
    metrics: tuple[str, ...] = ("accuracy", "macro_f1")
    pair: bool = False
    score: tuple[float, float] | None = None
    samples: tuple[int, ...] = ()
    extra: str | None = None

    @property
    def sizes(self):
        """`full`, and the rows a class of its samples as words."""
        return ("full", *map(str, self.samples))

    def folder(self, size, seed):
        """Where `train.csv` of a size lies; `test.csv` is the full set's."""
        return DATA / self.name / ("full" if size == "full" else f"{size}-seed-{seed}")

    def test(self):
        return DATA / self.name / "full" / "test.csv"


SETS = {
    s.name: s
    for s in (
        Set("sst2", "SST-2", samples=SAMPLES),
        Set("clinc150", "CLINC150", samples=(8, 64)),
        Set("snips", "SNIPS", samples=SAMPLES),
        Set("agnews", "AG News", samples=SAMPLES),
        Set("mrpc", "MRPC", metrics=("accuracy", "f1"), pair=True, extra="f1"),
        Set("stsb", "STS-B", metrics=("pearson", "spearman"), pair=True, score=(0.0, 5.0)),
        Set("cola", "CoLA", metrics=("matthews", "accuracy"), extra="matthews"),
    )
}


def read(path):
    """Rows of a file of `prepare.py`: texts, pairs (None where there are none) and labels."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    pairs = [row["pair"] for row in rows] if rows and "pair" in rows[0] else None
    return [row["text"] for row in rows], pairs, [row["label"] for row in rows]
