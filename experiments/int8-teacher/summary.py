"""Gathers what the runs below a folder gave into results.json of another and prints a table.

    python3 summary.py runs/int8-teacher experiments/int8-teacher

Uses nothing beyond Python's own library.
"""

import json
import pathlib
import sys


def main():
    runs, out = map(pathlib.Path, sys.argv[1:])
    rows = []
    for delivery in sorted(runs.glob("*.json")):
        told = json.loads(delivery.read_text())
        total = told["bill"]["total"]
        score = told["scores"]["student"][0]
        rows.append({"run": delivery.stem, "accuracy": score["value"], "interval": score["interval"],
                     "minutes": total["active_s"] / 60, "joules": total["energy_kwh"]["value"] * 3.6e6})
    (out / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    print("| run | dev accuracy [95 %] | minutes |\n|---|---|---|")
    for row in rows:
        low, high = row["interval"]["low"], row["interval"]["high"]
        print(f"| {row['run']} | {row['accuracy']:.4f} [{low:.4f}, {high:.4f}] | {row['minutes']:.1f} |")


main()
