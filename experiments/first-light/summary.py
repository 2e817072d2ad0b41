"""Gathers what the runs below a folder gave into results.json of another and prints its tables.

    python3 summary.py runs/first-light experiments/first-light

Uses nothing beyond Python's own library.
"""

import json
import pathlib
import statistics
import sys

SEEDS = [42, 1, 2]


def read(path):
    return json.loads(path.read_text())


def run(folder, name):
    """Score, minutes, energy and speed of one run."""
    delivery = read(folder / f"{name}.json")
    events = [json.loads(line) for line in (folder / name / "events.jsonl").read_text().splitlines()]
    speeds = {}
    for stage in sorted({event["stage"] for event in events if event["event"] == "step"}):
        steps = [event for event in events if event["event"] == "step" and event["stage"] == stage]
        speeds[stage] = sum(s["tokens"] for s in steps) / sum(s["seconds"] for s in steps)
    curve = [[e["stage"], e["step"], e["score"]["value"]] for e in events if e["event"] == "evaluated"]
    total = delivery["bill"]["total"]
    return {
        "name": name,
        "score": delivery["scores"]["student"][0],
        "parameters": delivery["parameters"],
        "minutes": total["active_s"] / 60,
        "joules": {key: total["energy_kwh"][key] * 3.6e6 for key in ["value", "low", "high"]},
        "method": total["method"],
        "tokens_per_second": speeds,
        "dev_curve": curve,
        "fingerprint": delivery["fingerprint"],
    }


def interval(estimate, scale=1.0, digits=4):
    value, low, high = (f"{estimate[key] * scale:.{digits}f}" for key in ["value", "low", "high"])
    return f"{value} [{low}, {high}]"


def mean_and_deviation(runs):
    scores = [run["score"]["value"] for run in runs]
    return statistics.mean(scores), statistics.stdev(scores)


def main():
    folder, out = map(pathlib.Path, sys.argv[1:])
    teacher = run(folder, "teacher")
    kinds = {kind: [run(folder, f"{kind}-{seed}") for seed in SEEDS] for kind in ["student", "gold"]}
    runs = [teacher, *kinds["student"], *kinds["gold"]]
    evaluation = read(folder / "eval.json")["models"]
    flops = {row["name"]: row["flops"] for row in evaluation if row["flops"]}
    results = {
        "host": json.loads((folder / "teacher" / "ledger.jsonl").read_text().splitlines()[0])["host"],
        "runs": runs,
        "mean_and_deviation": {kind: mean_and_deviation(runs) for kind, runs in kinds.items()},
        "eval": evaluation,
    }
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")

    lines = ["| run | dev accuracy [95 %] | parameters | minutes | kJ [90 %] | tokens/s by stage |", "|---|---|---|---|---|---|"]
    for r in runs:
        score = interval({**r["score"], **r["score"]["interval"]})
        speeds = ", ".join(f"{speed:,.0f}" for speed in r["tokens_per_second"].values())
        energy = interval(r["joules"], 1e-3, 1)
        lines.append(f"| {r['name']} | {score} | {r['parameters']:,} | {r['minutes']:.1f} | {energy} | {speeds} |")
    lines += ["", "| model | dev accuracy [95 %] | bytes | encoder MFLOPs at 128 tokens | µs per text | J per 1,000 texts [90 %] |"]
    lines += ["|---|---|---|---|---|---|"]
    for row in evaluation:
        score = row["scores"][0]
        speed = row.get("speed") or {}
        mega = f"{row['flops'] / 1e6:,.0f}" if row["flops"] else "–"
        joules = interval(speed["joules_per_thousand"], digits=2) if speed.get("joules_per_thousand") else "–"
        micros = f"{speed['micros']:,.0f}" if speed else "–"
        score = interval({**score, **score["interval"]})
        lines.append(f"| {row['name']} | {score} | {row['bytes']:,} | {mega} | {micros} | {joules} |")
    lines.append("")
    for kind, (mean, deviation) in results["mean_and_deviation"].items():
        what = {"student": "distilled", "gold": "gold labels alone"}[kind]
        lines.append(f"- {what}: {mean:.4f} ± {deviation:.4f} over {len(SEEDS)} seeds")
    lines.append(f"- encoder FLOPs, teacher / student: {flops['teacher'] / flops[f'student-{SEEDS[0]}']:.2f}")
    lines.append(f"- method of all energies: {', '.join(sorted({r['method'] for r in runs}))}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
