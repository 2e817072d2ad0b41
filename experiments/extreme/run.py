"""A small vocabulary of the student's own: what each part of the method brings.

    python3 experiments/extreme/run.py [--sets sst2,snips] [--rows pruned,mixed] [--sizes full] [--seeds 1]
        [--corpus-steps N] [--steps N]

Needs ../shared (or $ATTAR_SHARED): data, raw text, and the tool that fetches the encoder; `attar` in target/release (or
$ATTAR). Finished runs are lines of results.jsonl and are not repeated; interrupted ones resume. `--corpus-steps` cuts
the trainings on raw text to so many updates, where there is no time for two passes over all of it (hours), and `--steps`
every training, to try the script. Writes the table of README.md. Uses Python's own library alone.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "defaults")]
import readme  # noqa: E402
import sets  # noqa: E402  (the data sets are those of the defaults)
import steps  # noqa: E402

SHARED = pathlib.Path(os.environ.get("ATTAR_SHARED", ROOT.parent / "shared"))
ATTAR = os.environ.get("ATTAR", str(ROOT / "target" / "release" / "attar"))
ENCODER = pathlib.Path(os.environ.get("ATTAR_ENCODER", ROOT / "target" / "assets" / "all-MiniLM-L6-v2"))
RUNS = ROOT / "runs" / "extreme"
RESULTS = HERE / "results.jsonl"
PIECES = 4928
TEXT = sorted((SHARED / "data" / "corpus").glob("*/*.txt.*"))

# What a row is: its title, whether it begins with a general stage, and the flags of `attar distill`.
ROWS = {
    "full": ("all of the teacher's pieces", None, ["--max-bytes", "200MB"]),
    "part": ("a part of the teacher's pieces", None, ["--vocabulary", str(PIECES)]),
    "factorized": (
        "a part of the teacher's pieces, embeddings of 96 behind a map",
        None,
        ["--vocabulary", str(PIECES), "--embedding-width", "96"],
    ),
    "gold": ("own pieces, gold labels alone", None, ["--init", "random", "--tokenizer", "PIECES", "--gold-only"]),
    "random": ("own pieces, random beginning, by words", None, ["--init", "random", "--tokenizer", "PIECES"]),
    "narrow": (
        "own pieces, random beginning, half the width, by words",
        None,
        ["--init", "random", "--tokenizer", "PIECES", "--layers", "6", "--hidden", "192", "--heads", "12", "--feed-forward", "768"],
    ),
    "pruned": ("own pieces as means of the teacher's, by words", None, ["--tokenizer", "PIECES"]),
    "mixed": ("own pieces, learned by the teacher beside its own", "mixed", []),
    "down": ("own pieces, weights projected down, by words", "down", []),
    "up": ("own pieces, weights projected up, by words", "up", []),
}


def attar(folder, name, *arguments):
    """Runs a command once; its answer is NAME.json in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    answer = folder / f"{name}.json"
    if not answer.exists():
        command = [ATTAR, *map(str, arguments), "--json"]
        print("$", " ".join(command), file=sys.stderr)
        args = argparse.Namespace(name=folder / name, command_line=command)
        if steps.timed(args) != 0:
            raise RuntimeError(f"{' '.join(command)} failed")
    return json.loads(answer.read_text())


def cut(count):
    return ["--steps", count] if count else []


def pieces():
    folder = RUNS / "pieces"
    if not (folder / "vocab.txt").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([ATTAR, "vocab", "train", "--text", *map(str, TEXT), "--size", str(PIECES), "--out", str(folder)], check=True)
    return folder


def of_length(name, count):
    """The name of a training on raw text that has so many updates."""
    return f"{name}-{count}" if count else name


def language_model(count):
    """The encoder with a trained masked-language-model head."""
    name = of_length("language-model", count)
    out = RUNS / name
    attar(RUNS, name, "pretrain", ENCODER, "--corpus", *TEXT, "--out", out, *cut(count))
    return out


def mixed_encoder(count):
    """The encoder after it has learned the small vocabulary beside its own."""
    name = of_length("mixed-encoder", count)
    out = RUNS / name
    base = language_model(count)
    second = ["--second-tokenizer", pieces(), "--corpus", *TEXT]
    attar(RUNS, name, "pretrain", base, *second, "--out", out, *cut(count))
    return out


def projected_student(direction, count):
    """A student of half the width whose weights were compared with the language model's."""
    name = of_length(f"projected-{direction}", count)
    out, recipe = RUNS / name, RUNS / f"{name}.toml"
    length = f"{{ steps = {count} }}" if count else "{ epochs = 1 }"
    files = ", ".join(json.dumps(str(file)) for file in TEXT)
    recipe.write_text(
        f"""data = {{ kind = "corpus", files = [{files}] }}
teacher = {{ path = {json.dumps(str(language_model(count)))} }}
student = {{ from = "shape", layers = 6, hidden = 192, heads = 12, feed-forward = 768, tokenizer = {json.dumps(str(pieces()))} }}
[[stage]]
name = "projected"
objective = [{{ kind = "masked-lm" }}, {{ kind = "shared-projection", direction = "{direction}" }}]
length = {length}
rate = 1e-3
keep = "last"
"""
    )
    attar(RUNS, name, "distill", "--recipe", recipe, "--out", out)
    return out


def run(data, size, seed, row, count, corpus_count):
    one = sets.SETS[data]
    columns = ["--text", "text", "--label", "label", *(["--pair", "pair"] if one.pair else [])]
    train = ["--data", one.folder(size, seed) / "train.csv", *columns, "--seed", seed, *cut(count)]
    base = RUNS / data / of_length(f"{size}-seed-{seed}", count)
    title, general, flags = ROWS[row]
    name = of_length(row, corpus_count)
    encoder = mixed_encoder(corpus_count) if general == "mixed" else ENCODER
    teacher = base / (of_length("teacher-mixed", corpus_count) if general == "mixed" else "teacher")
    attar(base, teacher.name, "finetune", encoder, *train, "--out", teacher)
    if general in ("down", "up"):
        flags = ["--student", projected_student(general, corpus_count)]
    flags = [str(pieces()) if flag == "PIECES" else flag for flag in flags]
    out = base / name
    delivery = attar(base, name, "distill", "--teacher", teacher, *train, *flags, "--out", out)
    small = out / "small" if (out / "small" / "config.json").exists() else out / "student"
    # The teacher is always the one that reads its own pieces.
    attar(base, "teacher", "finetune", ENCODER, *train, "--out", base / "teacher")
    evaluation = attar(base, f"{name}-eval", "eval", base / "teacher", small, "--data", one.test(), *columns)
    times = json.loads((base / f"{name}.time").read_text())
    line = {"set": data, "size": size, "seed": seed, "row": row, "title": title, "steps": count, "corpus_steps": corpus_count}
    for index, (role, path) in enumerate((("teacher", base / "teacher" / "student"), ("student", small))):
        line[role] = steps.model(evaluation, None, index) | {"bytes": steps.shipped(path)}
    line["student"]["made"] = steps.made(delivery, times)
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(f"{data} {size} {seed} {row}: {line['student']['scores']}", file=sys.stderr)


def after(line):
    updates = line.get("corpus_steps")
    return f", {updates} updates of raw text" if updates else ""


def table():
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    lines = [line for line in lines if not line["steps"]]
    rows = [
        "| set | rows | beginning | score | of the teacher | bytes | µs a text | faster | made in |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for line in sorted(lines, key=lambda line: (line["set"], line["size"], list(ROWS).index(line["row"]), line["seed"])):
        student, teacher = line["student"], line["teacher"]
        metric = sets.SETS[line["set"]].metrics[0]
        score, whole = (model["scores"][metric] for model in (student, teacher))
        rows.append(
            f"| {sets.SETS[line['set']].title} | {line['size']}, seed {line['seed']} | {line['title']}{after(line)} | {score:.3f} | "
            f"{100 * score / whole:.1f} % | {student['bytes'] / 1e6:.2f} MB | {student['micros']:.0f} | "
            f"{teacher['micros'] / student['micros']:.1f} | {student['made']['seconds'] / 60:.0f} min |"
        )
    return "\n".join(rows)


def main():
    words = lambda text: text.split(",")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", type=words, default=["sst2", "mrpc", "clinc150", "snips", "agnews"])
    parser.add_argument("--rows", type=words, default=list(ROWS))
    parser.add_argument("--sizes", type=words, default=["full"])
    parser.add_argument("--seeds", type=words, default=["1", "2", "3"])
    parser.add_argument("--corpus-steps", type=int, default=0)
    parser.add_argument("--steps", type=int, default=0)
    args = parser.parse_args()
    done = {
        (line["set"], line["size"], line["seed"], line["row"], line["steps"], line.get("corpus_steps", 0))
        for line in map(json.loads, RESULTS.read_text().splitlines() if RESULTS.exists() else [])
    }
    failed = []
    for seed in map(int, args.seeds):
        for data in args.sets:
            for size in args.sizes:
                for row in args.rows:
                    corpus_steps = (args.corpus_steps or args.steps) if ROWS[row][1] else 0
                    if (data, size, seed, row, args.steps, corpus_steps) in done:
                        continue
                    try:
                        run(data, size, seed, row, args.steps, corpus_steps)
                    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                        failed.append(f"{data} {size} {seed} {row}: {error}")
    print(table())
    readme.put(HERE / "README.md", "results", table())
    print("\n".join(f"failed: {one}" for one in failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
