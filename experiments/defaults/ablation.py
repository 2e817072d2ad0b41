"""What each rule is worth: the defaults with one of them changed, and with all of them left out.

    python3 experiments/defaults/ablation.py [--sets snips,sst2] [--size 64] [--seeds 1,2,3] [--only "NAME;NAME"]

Teachers differ in how they are fine-tuned, students in how they begin and in what they read; every student learns from
the teacher that the defaults make. Then what `--effort` costs and brings, teacher and student with the same. What is
finished is a line of ablation.jsonl and is not repeated. Needs the files of
`prepare.py`, and the program and the encoder as `run` does ($ATTAR, $ATTAR_ENCODER). Uses nothing beyond Python's own
library. `summary.py` makes the table.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys

import sets

RESULTS = sets.HERE / "ablation.jsonl"
RUNS = sets.RUNS / "ablation"
ATTAR = os.environ.get("ATTAR", str(sets.ROOT / "target/release/attar"))
ENCODER = os.environ.get("ATTAR_ENCODER", str(sets.ROOT / "target/assets/all-MiniLM-L6-v2"))
# Rows of the full set that a student reads without their labels.
UNLABELED_ROWS = 10_000


def without_contrast(recipe):
    """The recipe with the labels as its only objective."""
    return re.sub(r'\[\[stage\.objective\]\]\nkind = "contrast"\nweight = [\d.]+\n\n?', "", recipe)


def head_from_zero(recipe):
    return recipe.replace('head = "frozen"', 'head = "random"')


# Name: flags, and what is done to the recipe that they mean.
TEACHERS = {
    "defaults": ([], None),
    "rate 5e-5, three passes": (["--rate", "5e-5", "--epochs", "3"], None),
    "head over the first token": (["--classifier", "first-token"], None),
    "head with random weights": ([], head_from_zero),
    "labels without contrast": ([], without_contrast),
}
UNLABELED = object()
STUDENTS = {
    "defaults": [],
    "random beginning": ["--init", "random"],
    "layers as they are": ["--init", "layers"],
    "whole vocabulary": ["--vocabulary", "30522"],
    "no noisy rows": ["--noisy-copies", "0"],
    "unlabeled rows beside noisy ones": ["--unlabeled", UNLABELED],
    "unlabeled rows, no noisy ones": ["--noisy-copies", "0", "--unlabeled", UNLABELED],
    "none of these": ["--init", "random", "--vocabulary", "30522", "--noisy-copies", "0"],
}
EFFORTS = ("quick", "default", "best")


def run(command, log):
    """The JSON that a command prints; its messages go to a file."""
    with log.open("a") as file:
        done = subprocess.run([ATTAR, *map(str, command), "--json"], stdout=subprocess.PIPE, stderr=file, text=True)
    if done.returncode != 0:
        raise SystemExit(f"`attar {command[0]}` failed: see {log}")
    return json.loads(done.stdout)


def active_seconds(delivery):
    """What a run took; also of one that had ended before and is asked for again."""
    return delivery["bill"]["total"]["active_s"]


class Ablation:
    """A set, a size and a seed."""

    def __init__(self, one, size, seed):
        self.one, self.size, self.seed = one, size, seed
        self.folder = RUNS / one.name / f"{size}-seed-{seed}"
        self.folder.mkdir(parents=True, exist_ok=True)
        train = one.folder(size, seed) / "train.csv"
        self.columns = ["--text", "text", "--label", "label"] + (["--pair", "pair"] if one.pair else [])
        score = ["--regression", *(f"{edge:g}" for edge in one.score)] if one.score else []
        self.training = ["--data", train, *self.columns, *score, "--seed", seed]

    def teacher(self, name):
        """Makes a teacher; returns its folder and its seconds of training."""
        # The middle effort is the default.
        name = "defaults" if name == "default" else name
        flags, edit = TEACHERS.get(name) or (["--effort", name], None)
        folder, log = self.folder / f"teacher, {name}", self.folder / f"teacher, {name}.log"
        command = ["finetune", ENCODER, *self.training, *flags, "--out", folder]
        if edit:
            printed = subprocess.run([ATTAR, *map(str, command), "--print-recipe"], check=True, stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL, text=True).stdout
            edited = edit(printed)
            if edited == printed:
                raise SystemExit(f"{name}: the recipe of {self.one.name} has nothing to change")
            recipe = self.folder / f"teacher, {name}.toml"
            recipe.write_text(edited)
            command = ["finetune", "--recipe", recipe, "--out", folder]
        return folder, active_seconds(run(command, log))

    def unlabeled(self):
        """Texts of the full training file, drawn by the seed; `attar` itself leaves out those that it holds out."""
        path = self.folder / "unlabeled.csv"
        full = self.one.folder("full", self.seed) / "train.csv"
        with full.open(encoding="utf-8", newline="") as source, path.open("w", encoding="utf-8", newline="") as target:
            header, *rows = sets.csv.reader(source)
            drawn = random.Random(self.seed).sample(rows, min(UNLABELED_ROWS, len(rows)))
            sets.csv.writer(target).writerows([header, *drawn])
        return path

    def student(self, name, teacher):
        name = "defaults" if name == "default" else name
        folder, log = self.folder / f"student, {name}", self.folder / f"student, {name}.log"
        flags = STUDENTS.get(name) or ["--effort", name] * (name in EFFORTS)
        flags = [self.unlabeled() if flag is UNLABELED else flag for flag in flags]
        delivery = run(["distill", "--teacher", teacher, *self.training, *flags, "--out", folder], log)
        # The small form is left out where one that is good enough could not be made.
        small = folder / "small"
        return small if small.is_dir() else folder / "student", active_seconds(delivery)

    def score(self, model):
        scored = run(["eval", model, "--data", self.one.test(), *self.columns, "--no-speed"], self.folder / "eval.log")
        model = scored["models"][0]
        return {score["metric"]: score["value"] for score in model["scores"]}, model["bytes"]


def recorded():
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return {tuple(line[key] for key in ("set", "size", "seed", "role", "name")) for line in map(json.loads, lines)}


def main():
    words = lambda text: text.split(",")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", type=words, default=["snips", "sst2"])
    parser.add_argument("--size", default="64")
    parser.add_argument("--seeds", type=words, default=[str(seed) for seed in sets.SEEDS])
    names = [*TEACHERS, *STUDENTS, *EFFORTS]
    parser.add_argument("--only", type=lambda text: text.split(";"), default=names, help="names with `;` between them")
    args = parser.parse_args()
    if unknown := set(args.only) - set(names):
        parser.error(f"no variant {'; '.join(sorted(unknown))}; there are {'; '.join(dict.fromkeys(names))}")
    done = recorded()
    for seed in map(int, args.seeds):
        for one in (sets.SETS[name] for name in args.sets):
            ablation = Ablation(one, args.size, seed)
            variants = {"teacher": TEACHERS, "student": STUDENTS, "effort": EFFORTS}
            jobs = [(role, name) for role, names in variants.items() for name in names]
            for role, name in jobs:
                if name not in args.only or (one.name, args.size, seed, role, name) in done:
                    continue
                line = {"set": one.name, "size": args.size, "seed": seed, "role": role, "name": name}
                teacher, seconds = ablation.teacher("defaults" if role == "student" else name)
                model = teacher
                if role == "effort":
                    line |= {"teacher_scores": ablation.score(teacher)[0], "teacher_seconds": seconds}
                if role != "teacher":
                    model, seconds = ablation.student(name, teacher)
                scores, size = ablation.score(model)
                line |= {"scores": scores, "bytes": size, "seconds": seconds}
                with RESULTS.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
