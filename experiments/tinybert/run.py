"""TinyBERT and what came after it: what each part of the method brings, from a teacher of BERT-base's size.

    python3 experiments/tinybert/run.py [--tasks rte,mrpc,…] [--rows pruned,whole,…] [--seeds 1] [--teacher DIR] [--steps N]

Needs ../shared (or $ATTAR_SHARED): data, raw text, and the tool that fetches the teacher; `attar` in target/release (or
$ATTAR); for the row `trimmed` the files of ../defaults/prepare.py. A row is a suite of `attar glue` in runs/tinybert, over
the teachers of `pruned`, which therefore always runs; finished runs are not repeated, and interrupted ones resume.
`--steps` cuts every training to so many updates, to try the script. Each row's figures go into results.jsonl, and their
table into README.md. Uses Python's own library alone.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "defaults")]
import readme  # noqa: E402
import sets  # noqa: E402  (the data sets are those of the defaults)

ROOT = HERE.parents[1]
SHARED = pathlib.Path(os.environ.get("ATTAR_SHARED", ROOT.parent / "shared"))
ATTAR = os.environ.get("ATTAR", str(ROOT / "target" / "release" / "attar"))
RUNS = ROOT / "runs" / "tinybert"
DATA = [SHARED / "data" / folder for folder in ("glue", "intents", "news")]
TEXT = sorted((SHARED / "data" / "corpus").glob("*/*.txt.*"))
TOKENIZER = SHARED / "data" / "tokenizer" / "bert-base-uncased"
TASKS = ["rte", "mrpc", "cola", "stsb", "snips", "sst2", "clinc150", "agnews"]
# The folder of a task, below ../shared/data.
FOLDERS = {
    "rte": "glue/RTE",
    "mrpc": "glue/MRPC",
    "cola": "glue/CoLA",
    "stsb": "glue/STS-B",
    "snips": "intents/snips",
    "sst2": "glue/SST-2",
    "clinc150": "intents/clinc150",
    "agnews": "news/agnews",
}
# Bytes in 8-bit integers that the row `trimmed` leaves: with 4-bit word embeddings, a seventieth of the teacher's.
TRIMMED_BYTES = "6.9MB"
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
        "the same, compared by hidden states alone, at lower learning rates",
        lambda: recipe(own_pieces_student(), ["hidden"], augmented=False, rates=RATES_CUT),
    ),
    "trimmed": ("cut out of the teacher, by the rules, its vocabulary then trimmed to the training texts", None),
}


def attar(*arguments):
    command = [ATTAR, *map(str, arguments)]
    print("$", " ".join(command), file=sys.stderr)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def base_teacher(given):
    if given:
        return pathlib.Path(given).resolve()
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
        attar("distill", "--teacher", teacher, "--corpus", *TEXT, *own, "--out", out, *limited(count))


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
        source = f"wordnet:{SHARED / 'data' / 'wordnet'}"
        attar("augment", "--data", SHARED / "data" / FOLDERS[task], "--candidates", source, "--per-row", 5, "--top", 5, "--out", out)


def slug(task):
    """The task as `attar glue` names its folders."""
    return {"stsb": "sts-b", "sst2": "sst-2", "agnews": "ag-news"}.get(task, task)


def limited(count):
    return ["--steps", count] if count else []


def run(row, tasks, seeds, teacher, count):
    if row == "trimmed":
        return trim(tasks, seeds)
    _, make = ROWS[row]
    out = RUNS / row
    suite = ["glue", "--data", *DATA, "--tasks", ",".join(tasks), "--seeds", ",".join(seeds), "--out", out, *limited(count)]
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


def trim(tasks, seeds):
    """A suite of the students of `pruned`, trimmed to their training texts, in f32 and quantized, and their teachers."""
    lines = []
    for task in tasks:
        if task not in sets.SETS:
            raise OSError(f"../defaults/prepare.py writes no training texts of {task}")
        learn, score = ("dev", "test") if task == "agnews" else ("train", "dev")
        data = ["--data", SHARED / "data" / FOLDERS[task]]
        texts, pairs, _ = sets.read(sets.SETS[task].folder("full", 1) / "train.csv")
        names, found = ("teacher", "student", "student, quantized"), []
        for seed in seeds:
            made, out = (RUNS / row / slug(task) / f"seed-{seed}" for row in ("pruned", "trimmed"))
            out.mkdir(parents=True, exist_ok=True)
            (out / "texts.txt").write_text("\n".join(" ".join(text.split()) for text in [*texts, *(pairs or [])]) + "\n")
            student, small = out / "student", out / "small"
            if not (student / "config.json").exists():
                trimming = ["--text", out / "texts.txt", "--max-bytes", TRIMMED_BYTES, "--out", student]
                attar("vocab", "trim", made / "student" / "student", *trimming)
            if not (small / "config.json").exists():
                attar("quantize", student, *data, "--split", learn, "--without-f32", "--out", small)
            models = [made / "teacher", student, small]
            evaluation = json.loads(attar("eval", *models, *data, "--split", score, "--json"))
            found.append(evaluation["models"])
        for name, of_seeds in zip(names, zip(*found, strict=True)):
            metric = "matthews" if task == "cola" else of_seeds[0]["scores"][0]["metric"]
            value = lambda row: next(score["value"] for score in row["scores"] if score["metric"] == metric)
            kept = [value(row) / value(rows[0]) for row, rows in zip(of_seeds, found)]
            lines.append({
                "task": sets.SETS[task].title,
                "metric": metric,
                "model": name,
                "score": spread(map(value, of_seeds)),
                "kept": None if name == "teacher" else spread(kept),
                "parameters": of_seeds[0]["parameters"],
                "bytes": of_seeds[0]["bytes"],
                "micros": spread(row["speed"]["micros"] for row in of_seeds),
                "seconds": None,
            })
    (RUNS / "trimmed" / "suite.json").write_text(json.dumps({"summary": {"lines": lines}}))


def spread(values):
    values = list(values)
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "deviation": deviation, "count": len(values)}


def record(row, lines):
    """Puts a suite's lines into results.jsonl, in place of those about the same models and tasks."""
    suite = json.loads((RUNS / row / "suite.json").read_text())["summary"]["lines"]
    known = {(line["row"], line["task"], line["model"]): line for line in lines}
    known |= {(row, line["task"], line["model"]): {"row": row} | line for line in suite}
    return list(known.values())


def table(lines):
    """Of each task the rows of the experiment in their order, teachers and n-grams once. How much faster a model is than
    its teacher was measured in turns, in its own suite."""
    order = list(ROWS)
    teachers = {(line["row"], line["task"]): line["micros"]["mean"] for line in lines if line["model"] == "teacher"}
    rows = [
        "| task | model | score | of the teacher | parameters | bytes | µs a text | faster | made in |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for line in sorted(lines, key=lambda line: (line["task"], order.index(line["row"]))):
        row, model = line["row"], line["model"]
        if row != "pruned" and model in ("teacher", "word n-grams"):
            continue

        def shown(value, scale=1, places=3):
            if value is None:
                return "–"
            deviation = value["deviation"]
            return f"{scale * value['mean']:.{places}f}" + (f" ± {scale * deviation:.{places}f}" if deviation is not None else "")

        name = model if model in ("teacher", "word n-grams") else f"{ROWS[row][0]} ({model})"
        made = "–" if line["seconds"] is None else f"{line['seconds']['mean'] / 60:.0f} min"
        kept = "–" if line["kept"] is None else f"{shown(line['kept'], 100, 1)} %"
        parameters = f"{line['parameters']:,}" if line["parameters"] else "–"
        faster = teachers[row, line["task"]] / line["micros"]["mean"]
        rows.append(
            f"| {line['task']} ({line['metric']}) | {name} | {shown(line['score'])} | {kept} | {parameters} | "
            f"{line['bytes'] / 1e6:.1f} MB | {shown(line['micros'], 1, 0)} | {'–' if model == 'teacher' else f'{faster:.1f}'} | {made} |"
        )
    return "\n".join(rows)


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
    # The teachers of `pruned` are those of all rows.
    for row in ["pruned", *(row for row in args.rows if row != "pruned")]:
        try:
            run(row, args.tasks, args.seeds, teacher, args.steps)
        except (OSError, subprocess.CalledProcessError) as error:
            failed.append(f"{row}: {error}")
        if (RUNS / row / "suite.json").exists():
            file = (RUNS if args.steps else HERE) / "results.jsonl"
            lines = record(row, list(map(json.loads, file.read_text().splitlines())) if file.exists() else [])
            file.write_text("".join(json.dumps(line) + "\n" for line in lines))
            if args.steps:
                print(table(lines))
            else:
                readme.put(HERE / "README.md", "results", table(lines))
    print("\n".join(f"failed: {one}" for one in failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
