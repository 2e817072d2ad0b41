"""What `run` leaves to Python: the list of jobs, and a line of results.jsonl for each that is finished.

    python3 steps.py jobs [--sets A,B] [--sizes full,8] [--seeds 1,2]    one line a job: set, size, seed, flags
    python3 steps.py done SET SIZE SEED                                   exit status 0 if it is recorded
    python3 steps.py record SET SIZE SEED TEACHER STUDENT FOLDER          from the JSON of the steps in FOLDER
    python3 steps.py timed NAME COMMAND…                                  standard output to NAME.json, times to NAME.time

Uses nothing beyond Python's own library.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import time

import sets

RESULTS = sets.HERE / "results.jsonl"
# What a model directory holds for people: left out of its bytes as shipped.
NOT_LOADED = {"README.md"}


def recorded():
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return {(line["set"], line["size"], line["seed"]) for line in map(json.loads, lines)}


def jobs(args):
    """Seed by seed, small sizes first: an interrupted experiment then has the most to show."""
    for seed in args.seeds:
        for size in ("8", "64", "256", "full"):
            for one in sets.SETS.values():
                if size not in one.sizes or size not in args.sizes or one.name not in args.sets:
                    continue
                columns = ["--text", "text", "--label", "label"]
                columns += ["--pair", "pair"] if one.pair else []
                regression = ["--regression", *(f"{edge:g}" for edge in one.score)] if one.score else []
                files = [one.folder(size, seed) / "train.csv", one.test()]
                row = [one.name, size, seed, *(file.relative_to(sets.ROOT) for file in files), one.extra or "-"]
                print("|".join(map(str, [*row, " ".join(columns), " ".join(regression)])))


def shipped(folder):
    """Bytes of the files that a program needs to answer with a model, as they lie in its directory."""
    files = [path for path in pathlib.Path(folder).iterdir() if path.is_file() and path.name not in NOT_LOADED]
    return sum(path.stat().st_size for path in files)


def model(evaluation, extra, index):
    row = evaluation["models"][index]
    scores = {score["metric"]: score for score in row["scores"]}
    if extra:
        scores |= {score["metric"]: score for score in extra["models"][index]["scores"]}
    speed = row["speed"]
    joules = speed["joules_per_thousand"]
    intervals = {name: score["interval"] for name, score in scores.items() if score.get("interval")}
    return {
        "scores": {name: score["value"] for name, score in scores.items()},
        "intervals": {name: [interval["low"], interval["high"]] for name, interval in intervals.items()},
        "micros": speed["micros"],
        "joules_per_thousand": joules and joules["value"],
        "parameters": row["parameters"],
    }


def timed(args):
    """Runs a command; its answer gets its name when it is whole."""
    answer = pathlib.Path(f"{args.name}.json")
    part, start = answer.with_suffix(".part"), time.monotonic()
    with part.open("w") as output:
        status = subprocess.run(args.command_line, stdout=output).returncode
    if status == 0:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        times = {"seconds": time.monotonic() - start, "processor_seconds": usage.ru_utime + usage.ru_stime}
        answer.with_suffix(".time").write_text(json.dumps(times))
        part.rename(answer)
    return status


def made(delivery, times):
    """What making a model took: seconds that its bill knows, seconds of the command from start to end, those of
    its processors (which other programs beside it do not lengthen), joules."""
    total = delivery["bill"]["total"]
    energy = total["energy_kwh"]
    return {
        "seconds": total["active_s"],
        "seconds_of_command": times["seconds"],
        "processor_seconds_of_command": times["processor_seconds"],
        "joules": energy and {key: energy[key] * 3.6e6 for key in ("value", "low", "high")},
    }


def record(args):
    folder, one = pathlib.Path(args.folder), sets.SETS[args.set]
    read = lambda name: json.loads((folder / name).read_text())
    extra = read("extra.json") if one.extra else None
    evaluation = read("eval.json")
    train_rows = len(sets.read(one.folder(args.size, args.seed) / "train.csv")[0])
    line = {"set": args.set, "size": args.size, "seed": args.seed, "train_rows": train_rows, "test_rows": evaluation["rows"]}
    for index, (role, path) in enumerate((("teacher", args.teacher), ("student", args.student))):
        line[role] = model(evaluation, extra, index)
        line[role] |= {"bytes": shipped(path), "made": made(read(f"{role}.json"), read(f"{role}.time"))}
    line["attar"] = args.version
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")
    shown = {role: {k: line[role][k] for k in ("scores", "bytes", "micros")} for role in ("teacher", "student")}
    print(f"{args.set} {args.size} {args.seed}: {json.dumps(shown)}")


def main():
    words = lambda text: text.split(",")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("jobs")
    listing.add_argument("--sets", type=words, default=list(sets.SETS))
    listing.add_argument("--sizes", type=words, default=["8", "64", "256", "full"])
    listing.add_argument("--seeds", type=words, default=[str(seed) for seed in sets.SEEDS])
    for name in ("done", "record"):
        one = commands.add_parser(name)
        one.add_argument("set", choices=sets.SETS)
        one.add_argument("size")
        one.add_argument("seed", type=int)
        if name == "record":
            for value in ("teacher", "student", "folder"):
                one.add_argument(value)
            one.add_argument("--version", default="")
    clock = commands.add_parser("timed")
    clock.add_argument("name")
    clock.add_argument("command_line", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    match args.command:
        case "jobs":
            if unknown := set(args.sets) - sets.SETS.keys():
                parser.error(f"no set {', '.join(sorted(unknown))}; there are {', '.join(sets.SETS)}")
            jobs(args)
        case "done":
            return 0 if (args.set, args.size, args.seed) in recorded() else 1
        case "record":
            record(args)
        case "timed":
            return timed(args)


if __name__ == "__main__":
    sys.exit(main())
