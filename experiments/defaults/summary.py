"""Writes the tables of the experiment into README.md and the project's own, and prints them.

From results.jsonl, peers.jsonl and ablation.jsonl:

    python3 experiments/defaults/summary.py

Uses nothing beyond Python's own library. What has not been run yet is a dash.
"""

import json
import math
import statistics
import sys

import sets

sys.path.insert(0, str(sets.HERE.parent))
import readme  # noqa: E402

README = sets.HERE / "README.md"
SIZES = ("8", "64", "256", "full")
METHODS = {"tfidf": "TF-IDF + LR", "frozen": "frozen + LR", "setfit": "SetFit", "st": "s-t"}
# What the models have to reach.
RETENTION, BYTES, SPEED, MINUTES = 0.96, 10.0, 5.0, 15.0
# Of two cores a run keeps so many busy; the time of the clock is that of whatever else the machine does.
CORES_BUSY = 1.5
# Training rows of the sets whose time counts, and how many the goal speaks of.
ROWS_TIMED, ROWS_OF_GOAL = range(5000, 20001), 10000


class Sample:
    """One number of one method on a set and size, over seeds; and the half-width of its 95 % interval by test rows."""

    def __init__(self, values, half_widths=()):
        self.values, self.half = values, statistics.mean(half_widths) if half_widths else 0.0
        self.mean = statistics.mean(values)

    def __format__(self, spec):
        if len(self.values) == 1:
            return f"{self.mean:{spec}}"
        return f"{self.mean:{spec}} ± {statistics.stdev(self.values):{spec}}"


def read(name):
    """Lines of a file; of two about the same thing the later one counts."""
    path = sets.HERE / name
    lines = map(json.loads, path.read_text().splitlines()) if path.exists() else []
    return list({(line["set"], line["size"], line["seed"], line.get("method")): line for line in lines}.values())


def half_width(interval):
    return (interval[1] - interval[0]) / 2


class Table:
    """All lines of both files, by set and size."""

    def __init__(self):
        self.results, self.peers = read("results.jsonl"), read("peers.jsonl")
        self.rows = [(one, size) for one in sets.SETS.values() for size in SIZES if size in one.sizes]

    def peer(self, one, size, method, metric=None):
        metric = metric or one.metrics[0]
        lines = [line for line in self.peers if (line["set"], line["size"], line["method"]) == (one.name, size, method)]
        halves = [half_width(line["interval"]) for line in lines] if metric == one.metrics[0] else []
        return Sample([line["scores"][metric] for line in lines], halves) if lines else None

    def lines(self, one, size):
        return [line for line in self.results if (line["set"], line["size"]) == (one.name, size)]

    def model(self, one, size, role, metric=None):
        metric = metric or one.metrics[0]
        lines = [line for line in self.lines(one, size) if metric in line[role]["scores"]]
        halves = [half_width(line[role]["intervals"][metric]) for line in lines if metric in line[role]["intervals"]]
        return Sample([line[role]["scores"][metric] for line in lines], halves) if lines else None

    def over(self, one, size, value):
        """A number of each line of a set and size."""
        lines = self.lines(one, size)
        return Sample([value(line) for line in lines]) if lines else None

    def train_rows(self, one, size):
        lines = [line for line in [*self.results, *self.peers] if (line["set"], line["size"]) == (one.name, size)]
        return lines[0]["train_rows"] if lines else None


def cell(value, spec=".3f"):
    return "–" if value is None else format(value, spec)


def size_name(size):
    return size if size == "full" else f"{size} a class"


def head(*names):
    return ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def retention(line, metric):
    return line["student"]["scores"][metric] / line["teacher"]["scores"][metric]


def score_table(table):
    text = head("set", "training rows", *METHODS.values(), "teacher", "student", "kept")
    for one, size in table.rows:
        rows = table.train_rows(one, size)
        kept = table.over(one, size, lambda line: 100 * retention(line, one.metrics[0]))
        text.append(row(
            f"{one.title}, {size_name(size)}", cell(rows, ","),
            *(cell(table.peer(one, size, method)) for method in METHODS),
            *(cell(table.model(one, size, role)) for role in ("teacher", "student")),
            "–" if kept is None else f"{kept:.1f} %"))
    return text


def second_table(table):
    text = head("set", "metric", *METHODS.values(), "teacher", "student")
    for one, size in table.rows:
        metric = one.metrics[1]
        text.append(row(
            f"{one.title}, {size_name(size)}", metric.replace("_", "-"),
            *(cell(table.peer(one, size, method, metric)) for method in METHODS),
            *(cell(table.model(one, size, role, metric)) for role in ("teacher", "student"))))
    return text


def minutes(line, role):
    return line[role]["made"]["seconds_of_command"] / 60


def core_minutes(line):
    """Of both commands; NaN in a line that did not count them."""
    return sum(line[role]["made"].get("processor_seconds_of_command", math.nan) for role in ("teacher", "student")) / 60


def kilojoules(line):
    joules = [line[role]["made"]["joules"] for role in ("teacher", "student")]
    return sum(j["value"] for j in joules) / 1e3 if all(joules) else math.nan


def ratio(key):
    return lambda line: line["teacher"][key] / line["student"][key]


def cost_table(table):
    text = head(
        "set", "teacher bytes", "student bytes", "fewer", "teacher µs", "student µs", "faster",
        "min, teacher", "min, student", "core min, both", "kJ, both")
    for one, size in table.rows:
        if not table.lines(one, size):
            continue
        of = lambda value, spec: cell(table.over(one, size, value), spec)
        mega = lambda role: of(lambda line: line[role]["bytes"] / 1e6, ".1f") + " MB"
        text.append(row(
            f"{one.title}, {size_name(size)}", mega("teacher"), mega("student"), of(ratio("bytes"), ".1f") + " ×",
            of(lambda line: line["teacher"]["micros"], ",.0f"), of(lambda line: line["student"]["micros"], ",.0f"),
            of(ratio("micros"), ".1f") + " ×",
            *(of(lambda line: minutes(line, role), ".1f") for role in ("teacher", "student")),
            of(core_minutes, ".1f"), of(kilojoules, ".1f")))
    return text if len(text) > 2 else ["Nothing has been run yet."]


def readme_table(table):
    """The rows of the project's README: those with from 64 rows a class."""
    text = head(
        "data", "training rows", "word and character n-grams, logistic regression", "frozen encoder, logistic regression",
        "teacher", "student as shipped", "retained", "bytes", "speedup", "core-minutes, teacher + student")
    for one, size in table.rows:
        if size == "8" or not table.lines(one, size):
            continue
        of = lambda value, spec: cell(table.over(one, size, value), spec)
        bytes_ = of(lambda line: line["student"]["bytes"] / 1e6, ".1f"), of(ratio("bytes"), ".1f")
        kept = table.over(one, size, lambda line: 100 * retention(line, one.metrics[0]))
        text.append(row(
            f"{one.title}, {size_name(size)}", cell(table.train_rows(one, size), ","),
            *(cell(table.peer(one, size, method)) for method in ("tfidf", "frozen")),
            *(cell(table.model(one, size, role)) for role in ("teacher", "student")),
            f"{kept:.1f} %", f"{bytes_[0]} MB, {bytes_[1]}× smaller", of(ratio("micros"), ".1f") + "×",
            of(core_minutes, ".0f")))
    return text


def compare(ours, theirs):
    """Ours less theirs, and whether that is above, a tie (inside the interval of the difference) or below."""
    difference = ours.mean - theirs.mean
    noise = math.hypot(ours.half, theirs.half)
    verdict = "above" if difference > 0 else "tie" if -difference <= noise else "below"
    return difference, verdict


class Goal:
    """A goal, checked on each set and size that has been run."""

    def __init__(self, name, spec):
        self.name, self.spec, self.checks = name, spec, []

    def add(self, where, value, verdict):
        self.checks.append((where, value, verdict))

    def line(self):
        if not self.checks:
            return row(self.name, "not run yet", "–", "–")
        missed = [(where, value) for where, value, verdict in self.checks if verdict == "below"]
        ties = [where for where, _, verdict in self.checks if verdict == "tie"]
        worst = min(self.checks, key=lambda check: check[1])
        count = f"{len(self.checks) - len(missed)} of {len(self.checks)}" + (f" ({len(ties)} tie)" if ties else "")
        shown = "; ".join(f"{where} {value:{self.spec}}" for where, value in missed) or "–"
        return row(self.name, f"{'**missed**' if missed else 'met'}, {count}", f"{worst[0]} {worst[1]:{self.spec}}", shown)


def goals(table):
    baselines = Goal("teacher above TF-IDF and the frozen encoder (difference)", "+.3f")
    setfit = Goal("teacher no worse than SetFit (difference)", "+.3f")
    kept = Goal(f"student keeps {RETENTION:.0%} of its teacher, from 64 rows a class (share)", ".3f")
    counted = Goal("student above TF-IDF (difference)", "+.3f")
    fewer = Goal(f"bytes as shipped, {BYTES:.0f} times fewer (times)", ".1f")
    faster = Goal(f"{SPEED:.0f} times faster than the teacher in f32 (times)", ".1f")
    quick = Goal(f"both made in {MINUTES:.0f} minutes for {ROWS_OF_GOAL:,} rows (minutes to spare, by time of cores)", "+.1f")
    reached = lambda value, least: "above" if value >= least else "below"
    for one, size in table.rows:
        where = f"{one.title} {size_name(size)}"
        teacher, student = (table.model(one, size, role) for role in ("teacher", "student"))
        if not teacher or not student:
            continue
        tfidf, best = table.peer(one, size, "tfidf"), table.peer(one, size, "setfit")
        rivals = [peer for peer in (tfidf, table.peer(one, size, "frozen")) if peer]
        if rivals:
            baselines.add(where, *compare(teacher, max(rivals, key=lambda peer: peer.mean)))
        if best:
            setfit.add(where, *compare(teacher, best))
        if tfidf:
            counted.add(where, *compare(student, tfidf))
        value = table.over(one, size, lambda line: retention(line, one.metrics[0])).mean
        if size != "8":
            kept.add(where, value, reached(value, RETENTION))
        for goal, key, least in ((fewer, "bytes", BYTES), (faster, "micros", SPEED)):
            value = table.over(one, size, ratio(key)).mean
            goal.add(where, value, reached(value, least))
        rows = table.train_rows(one, size)
        if rows in ROWS_TIMED:
            taken = table.over(one, size, core_minutes).mean / CORES_BUSY
            spare = MINUTES - taken * ROWS_OF_GOAL / rows
            quick.add(where, spare, reached(spare, 0.0))
    return [*head("goal", "result", "nearest to missing, or worst", "missed on"),
            *(goal.line() for goal in (baselines, setfit, kept, counted, fewer, faster, quick))]


def ablation_lines(*roles):
    path = sets.HERE / "ablation.jsonl"
    lines = map(json.loads, path.read_text().splitlines()) if path.exists() else []
    return [line for line in lines if line["role"] in roles]


def effort_table():
    """What `--effort` costs and brings."""
    lines = ablation_lines("effort")
    if not lines:
        return ["Nothing has been run yet."]
    text = head("set", "effort", "teacher", "student", "min, teacher", "min, student")
    groups = {}
    for line in lines:
        groups.setdefault((line["set"], line["size"], line["name"]), []).append(line)
    for (name, size, effort), group in groups.items():
        metric = sets.SETS[name].metrics[0]
        of = lambda value, spec: cell(Sample([value(line) for line in group]), spec)
        text.append(row(
            f"{sets.SETS[name].title}, {size_name(size)}", effort,
            of(lambda line: line["teacher_scores"][metric], ".3f"), of(lambda line: line["scores"][metric], ".3f"),
            of(lambda line: line["teacher_seconds"] / 60, ".1f"), of(lambda line: line["seconds"] / 60, ".1f")))
    return text


def ablation_table():
    """Each variant beside the defaults, on the seeds that both have been run with."""
    lines = ablation_lines("teacher", "student")
    if not lines:
        return ["Nothing has been run yet."]
    scores = {}
    for line in lines:
        metric = sets.SETS[line["set"]].metrics[0]
        variant = scores.setdefault((line["role"], line["name"]), {})
        variant.setdefault((line["set"], line["size"]), {})[line["seed"]] = line["scores"][metric]
    columns = list(dict.fromkeys((line["set"], line["size"]) for line in lines))
    titles = [f"{sets.SETS[name].title}, {size_name(size)}" for name, size in columns]
    text = head("", *(part for title in titles for part in (title, "less the defaults")))
    for (role, name), variant in scores.items():
        cells = []
        for column in columns:
            values, defaults = variant.get(column, {}), scores.get((role, "defaults"), {}).get(column, {})
            shared = [values[seed] - defaults[seed] for seed in values if seed in defaults]
            cells += [cell(Sample([*values.values()]) if values else None),
                      "–" if name == "defaults" or not shared else f"{statistics.mean(shared):+.3f} ({len(shared)})"]
        text.append(row(f"{role}: {name}", *cells))
    return text


def main():
    table = Table()
    parts = [
        "### Goals", goals(table),
        "### Scores", score_table(table),
        "### What it costs", cost_table(table),
        "### The second metric", second_table(table),
        "### Ablation", ablation_table(),
        "### Effort", effort_table(),
    ]
    text = "\n\n".join(part if isinstance(part, str) else "\n".join(part) for part in parts)
    print(text)
    readme.put(README, "tables", text)
    readme.put(sets.ROOT / "README.md", "defaults", "\n".join(readme_table(table)))


if __name__ == "__main__":
    main()
