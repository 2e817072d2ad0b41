"""TinyBERT and what came after it: what each part of the method brings, from a teacher of BERT-base's size.

    python3 experiments/tinybert/run.py [--tasks rte,mrpc,…] [--rows pruned,whole,…] [--seeds 1] [--teacher DIR] [--steps N]

Needs ../shared (or $ATTAR_SHARED): data, raw text, and the tool that fetches the teacher; `attar` in target/release (or
$ATTAR). A row is a suite of `attar glue` in runs/tinybert, over the teachers of the first; finished runs are not repeated,
and interrupted ones resume. `--steps` cuts every training to so many updates, to try the script. Each row's figures
go into results.jsonl, which results.md shows. Uses Python's own library alone.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SHARED = pathlib.Path(os.environ.get("ATTAR_SHARED", ROOT.parent / "shared"))
ATTAR = os.environ.get("ATTAR", str(ROOT / "target" / "release" / "attar"))
RUNS = ROOT / "runs" / "tinybert"
DATA = [SHARED / "data" / folder for folder in ("glue", "intents", "news")]
TEXT = sorted((SHARED / "data" / "corpus").glob("*/*.txt.*"))
TOKENIZER = SHARED / "data" / "tokenizer" / "bert-base-uncased"
TASKS = ["rte", "mrpc", "cola", "stsb", "snips", "sst2", "clinc150", "agnews"]
# The folder of a task's training rows, and their columns, for `attar augment`.
FOLDERS = {
    "rte": ("glue/RTE", True),
    "mrpc": ("glue/MRPC", True),
    "cola": ("glue/CoLA", False),
    "stsb": ("glue/STS-B", True),
    "snips": ("intents/snips", False),
    "sst2": ("glue/SST-2", False),
    "clinc150": ("intents/clinc150", False),
    "agnews": ("news/agnews", False),
}
SHAPE = {"layers": 4, "hidden": 312, "heads": 12, "feed-forward": 1200}
STATES = ["embedding", "hidden", "attention"]


# Highest rates of states and answers: for a student that begins random, and for one that is cut out of its teacher.
RATES, RATES_CUT = (1e-3, 5e-4), (5e-4, 2e-4)


def stages(states, rates):
    """States, then answers, both as many updates as `attar distill` gives a set of 10,000 short rows."""
    listed = ", ".join(f'{{ kind = "{kind}" }}' for kind in states)
    first = f"""
[[stage]]
name = "states"
objective = [{listed}]
projection = "shared"
length = {{ steps = 1250 }}
rate = {rates[0]}
keep = "last"
"""
    return (first if states else "") + f"""
[[stage]]
name = "answers"
objective = [{{ kind = "soft" }}]
length = {{ steps = 625 }}
evaluate-every = 157
rate = {rates[1]}
"""


def recipe(student, states=STATES, augmented=True, rates=RATES):
    """A recipe whose data and teacher the suite replaces. Rows beside the labeled ones are augmented, or copies with noise."""
    more = 'unlabeled = ["%s/augmented/{task}.csv"]' % RUNS if augmented else "noisy-copies = 2"
    return f"""
data = {{ kind = "embedded" }}
more = {{ {more} }}
teacher = {{ trace-cache = 4_000_000_000 }}
student = {student}
{stages(states, rates)}"""


def random_student():
    numbers = ", ".join(f"{key} = {value}" for key, value in SHAPE.items())
    return f'{{ from = "shape", {numbers}, tokenizer = {json.dumps(str(TOKENIZER))} }}'


def general_student():
    return f'{{ from = "model", path = {json.dumps(str(RUNS / "general"))}, new-head = true }}'


def own_pieces_student():
    """Cut out of the teacher, with pieces trained on raw text in place of BERT's."""
    numbers = ", ".join(f"{key} = {value}" for key, value in SHAPE.items() if key != "layers")
    return f'{{ from = "teacher", layers = [3, 6, 9, 12], {numbers}, tokenizer = {json.dumps(str(pieces()))} }}'


def without(kind):
    return [state for state in STATES if state != kind]


# What a row is: its title, and its recipe; none for the student that `attar distill` makes of that shape by itself.
ROWS = {
    "pruned": ("cut out of the teacher, by the rules", None),
    "whole": ("TinyBERT: general distillation, augmented rows, all objectives", lambda: recipe(general_student())),
    "no-general": ("without general distillation: random weights", lambda: recipe(random_student())),
    "no-augmentation": ("without augmentation: copies with noise", lambda: recipe(general_student(), augmented=False)),
    "no-embedding": ("without the embeddings", lambda: recipe(general_student(), without("embedding"))),
    "no-hidden": ("without hidden states", lambda: recipe(general_student(), without("hidden"))),
    "no-attention": ("without attention scores", lambda: recipe(general_student(), without("attention"))),
    "no-states": ("answers alone", lambda: recipe(general_student(), [])),
    "both-at-once": ("cut out of the teacher, 4,928 pieces of its own", lambda: recipe(own_pieces_student(), augmented=False)),
    "both-hidden": (
        "the same, compared by hidden states alone, at half the rates",
        lambda: recipe(own_pieces_student(), ["hidden"], augmented=False, rates=RATES_CUT),
    ),
}


def attar(*arguments):
    command = [ATTAR, *map(str, arguments)]
    print("$", " ".join(command), file=sys.stderr)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def base_teacher(given):
    if given:
        return pathlib.Path(given)
    folder = ROOT / "target" / "assets" / "all-mpnet-base-v2"
    if not (folder / "model.safetensors").exists():
        subprocess.run([SHARED / "tools" / "get-base-teacher", folder], check=True)
    return folder


def general(teacher, count):
    """The student after general distillation from the teacher that knows no task."""
    out = RUNS / "general"
    if not (out / "result.json").exists():
        shape = [part for key, value in SHAPE.items() for part in (f"--{key}", value)]
        own = ["--init", "random", "--tokenizer", TOKENIZER, *shape]
        attar("distill", "--teacher", teacher, "--corpus", *TEXT, *own, "--out", out, *cut(count))


def pieces():
    out = RUNS / "pieces"
    if not (out / "vocab.txt").exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        attar("vocab", "train", "--text", *TEXT, "--size", 4928, "--out", out)
    return out


def augmented(task):
    """New rows of a task's training rows by TinyBERT's algorithm, their words from WordNet."""
    out = RUNS / "augmented" / f"{slug(task)}.csv"
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        folder, _ = FOLDERS[task]
        source = f"wordnet:{SHARED / 'data' / 'wordnet'}"
        attar("augment", "--data", SHARED / "data" / folder, "--candidates", source, "--per-row", 5, "--top", 5, "--out", out)


def slug(task):
    """The task as `attar glue` names its folders."""
    return {"stsb": "sts-b", "sst2": "sst-2", "agnews": "ag-news"}.get(task, task)


def cut(count):
    return ["--steps", count] if count else []


def run(row, tasks, seeds, teacher, count):
    title, make = ROWS[row]
    out = RUNS / row
    suite = ["glue", "--data", *DATA, "--tasks", ",".join(tasks), "--seeds", ",".join(seeds), "--out", out, *cut(count)]
    if make is None:
        shape = [part for key, value in SHAPE.items() for part in (f"--{key}", value)]
        attar(*suite, "--teacher", teacher, *shape)
        return
    text = make()
    if str(RUNS / "general") in text:
        general(teacher, count)
    if "augmented/" in text:
        for task in tasks:
            augmented(task)
    file = RUNS / f"{row}.toml"
    file.write_text(text)
    attar(*suite[:1], file, *suite[1:], "--teachers", RUNS / "pruned", "--no-gold")


def record(row, lines):
    """Puts a suite's lines into results.jsonl, in place of those about the same models and tasks."""
    suite = json.loads((RUNS / row / "suite.json").read_text())["summary"]["lines"]
    known = {(line["row"], line["task"], line["model"]): line for line in lines}
    known |= {(row, line["task"], line["model"]): {"row": row} | line for line in suite}
    return list(known.values())


def table(lines):
    """Rows of the experiment in their order, of each its tasks; teachers and n-grams once."""
    order = list(ROWS)
    rows = ["| student | task | score ± deviation | of the teacher | parameters | bytes | µs a text | made in |", "|---|---|---|---|---|---|---|---|"]
    for line in sorted(lines, key=lambda line: (line["task"], order.index(line["row"]))):
        row, model = line["row"], line["model"]
        if row != "pruned" and model in ("teacher", "word n-grams"):
            continue

        def spread(value, scale=1, places=3):
            if value is None:
                return "–"
            deviation = value["deviation"]
            return f"{scale * value['mean']:.{places}f}" + (f" ± {scale * deviation:.{places}f}" if deviation is not None else "")

        name = model if model in ("teacher", "word n-grams") else f"{ROWS[row][0]} ({model})"
        made = "–" if line["seconds"] is None else f"{line['seconds']['mean'] / 60:.0f} min"
        rows.append(
            f"| {name} | {line['task']} ({line['metric']}) | {spread(line['score'])} | {spread(line['kept'], 100, 1)} | "
            f"{line['parameters'] or '–'} | {line['bytes'] / 1e6:.1f} MB | {spread(line['micros'], 1, 0)} | {made} |"
        )
    return "\n".join(rows) + "\n"


def main():
    words = lambda text: text.split(",")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", type=words, default=TASKS)
    parser.add_argument("--rows", type=words, default=list(ROWS))
    parser.add_argument("--seeds", type=words, default=["1", "2", "3"])
    parser.add_argument("--teacher")
    parser.add_argument("--steps", type=int, default=0)
    args = parser.parse_args()
    if unknown := set(args.tasks) - set(FOLDERS):
        parser.error(f"no task {', '.join(sorted(unknown))}; there are {', '.join(FOLDERS)}")
    teacher = base_teacher(args.teacher)
    failed = []
    # The teachers of all rows are those of the first.
    for row in ["pruned", *(row for row in args.rows if row != "pruned")]:
        try:
            run(row, args.tasks, args.seeds, teacher, args.steps)
        except (OSError, subprocess.CalledProcessError) as error:
            failed.append(f"{row}: {error}")
        if (RUNS / row / "suite.json").exists():
            folder = RUNS if args.steps else HERE
            file = folder / "results.jsonl"
            lines = record(row, list(map(json.loads, file.read_text().splitlines())) if file.exists() else [])
            file.write_text("".join(json.dumps(line) + "\n" for line in lines))
            (folder / "results.md").write_text(table(lines))
    print("\n".join(f"failed: {one}" for one in failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
