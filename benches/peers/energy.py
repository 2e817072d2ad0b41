"""`attar energy run` beside CodeCarbon, in turns, in one run: energy, CO2e, and what each costs itself.

    cargo build --release
    python benches/peers/energy.py [--attar target/release/attar] [--rounds 7]

Needs CodeCarbon in this Python. Each round runs three commands, alone and under each tool: one that does
nothing (what starting a tool costs), one that sleeps, one that keeps a core busy with a fixed amount of
work. Who comes first changes from round to round.
CodeCarbon runs as a program of its own would use it: a fresh Python imports it, starts the offline tracker
of the whole machine, runs the command, stops. Once at its own rate (15 s) and once at attar's (1 s).
The figures are medians. "own CPU" is user and system time of the tool and its helpers without the
command, which a small wrapper counts; in the row "alone" it is what the wrapper itself leaves over.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

LOOPS_A_SECOND = 11_000_000
BUSY = "x = 1\nfor _ in range({}): x = (x * 1103515245 + 12345) & 0x7FFFFFFF"
JOULES = 3.6e6  # in a kilowatt-hour
NUMBERS = ("total", "low", "high", "cpu", "ram", "co2e", "wall", "own")


def wrap(report, *command):
    """Runs a command and leaves in a file how much CPU time it and this wrapper took."""
    child = os.posix_spawnp(command[0], command, os.environ)
    status, theirs = os.wait4(child, 0)[1:]
    # Leaving without the interpreter's clean-up: all that comes after this line would count as the tool's.
    with open(report, "w") as file:
        file.write(f"{theirs.ru_utime + theirs.ru_stime + time.process_time()}")
    os._exit(os.waitstatus_to_exitcode(status))


def codecarbon(folder, seconds, *command):
    """What a user of CodeCarbon writes: start, run, stop. Prints its results as JSON."""
    from codecarbon import OfflineEmissionsTracker

    rate = {} if seconds == "default" else {"measure_power_secs": float(seconds)}
    tracker = OfflineEmissionsTracker(country_iso_code="FRA", output_dir=folder, **rate)
    tracker.start()
    try:
        subprocess.run(command, check=True)
    finally:
        tracker.stop()
    print(json.dumps(vars(tracker.final_emissions_data)))


class Side:
    """One way of running a command: alone, under attar, or under CodeCarbon."""

    def __init__(self, name, rate, attar=None, seconds=None):
        self.name, self.rate, self.attar, self.seconds = name, rate, attar, seconds
        self.log = ""

    def run(self, command):
        """Runs a command once; its numbers by name."""
        # A folder that is new each time, so that nobody's settings or earlier results are read.
        with tempfile.TemporaryDirectory() as folder:
            return self.run_in(pathlib.Path(folder), command)

    def run_in(self, folder, command):
        spent = folder / "spent"
        inner = [sys.executable, "-I", "-S", __file__, "wrap", str(spent), *command]
        if self.attar:
            interval = ["--interval", self.rate.replace(" ", "")]
            inner = [self.attar, "energy", "run", *interval, "--region", "FR", "--out", "ledger", "--", *inner]
        elif self.seconds:
            inner = [sys.executable, __file__, "codecarbon", str(folder), self.seconds, *inner]
        environment = {k: v for k, v in os.environ.items() if not k.upper().startswith("CODECARBON")}
        environment["HOME"] = str(folder)

        with open(folder / "out", "w+") as out, open(folder / "log", "w+") as log:
            start = time.perf_counter()
            process = subprocess.Popen(inner, cwd=folder, env=environment, stdout=out, stderr=log)
            status, usage = os.wait4(process.pid, 0)[1:]
            wall = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0), log.seek(0)
            self.log = log.read()
            if process.returncode:
                sys.exit(f"{self.name}: exit code {process.returncode}\n{self.log}")
            output = out.read()

        own = usage.ru_utime + usage.ru_stime - float(spent.read_text())
        return {"wall": wall, "own": own, **self.energy(folder, output)}

    def energy(self, folder, output):
        """Joules and grams that the tool told."""
        if self.attar:
            report = [self.attar, "energy", "report", "--region", "FR", "--format", "json", folder / "ledger"]
            told = json.loads(subprocess.run(report, check=True, capture_output=True, text=True).stdout)
            total = told["total"]["energy_kwh"]
            parts = {part["component"]: part["energy_j"]["value"] for part in told["components"]}
            bounds = {name: total[of] * JOULES for name, of in (("total", "value"), ("low", "low"), ("high", "high"))}
            self.method = told["total"]["method"]
            return bounds | {
                "cpu": sum(energy for name, energy in parts.items() if name.startswith("cpu")),
                "ram": sum(energy for name, energy in parts.items() if name.startswith("memory")),
                "co2e": told["total"]["carbon_g"]["value"],
            }
        if self.seconds:
            told = json.loads(output.splitlines()[-1])
            ways = (re.search(f"{part} Tracking Method: (.*)", self.log) for part in ("CPU", "RAM"))
            self.method = ", ".join(way[1].strip() for way in ways if way)
            self.scope = told["tracking_mode"]
            return {
                "total": told["energy_consumed"] * JOULES,
                "cpu": told["cpu_energy"] * JOULES,
                "ram": told["ram_energy"] * JOULES,
                "co2e": told["emissions"] * 1000,
            }
        return {}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--attar", type=pathlib.Path, default=root / "target/release/attar")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=10, help="about how long each command runs")
    options = parser.parse_args()
    attar = str(options.attar.resolve())
    if not os.access(attar, os.X_OK):
        parser.error(f"no program at {options.attar}: build it with `cargo build --release`, or name it with --attar")

    sides = [
        Side("alone", ""),
        Side("attar", "1 s", attar=attar),
        Side("CodeCarbon", "15 s", seconds="default"),
        Side("CodeCarbon", "1 s", seconds="1"),
    ]
    commands = {
        "nothing": ["true"],
        "sleeping": ["sleep", str(options.seconds)],
        "one core": [sys.executable, "-I", "-S", "-c", BUSY.format(options.seconds * LOOPS_A_SECOND)],
    }
    versions = subprocess.run([attar, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"{versions}, CodeCarbon {importlib.metadata.version('codecarbon')}, Python {sys.version.split()[0]}")
    print(f"{os.cpu_count()} processors, medians of {options.rounds} rounds in turns")
    print("rates by default: attar 1 s; CodeCarbon 15 s, and CPU load once a second at every rate")

    # Programs and modules are read from disk once before anything counts.
    for side in sides:
        side.run(commands["nothing"])
    runs = {}
    for turn in range(options.rounds):
        for name, command in commands.items():
            for place in range(len(sides)):
                number = (turn + place) % len(sides)
                runs.setdefault((name, number), []).append(sides[number].run(command))

    print(f"attar: {sides[1].method}")
    print(f"CodeCarbon: {sides[2].method}; scope {sides[2].scope}")
    for line in dict.fromkeys(re.findall(r"We will use the default power .*|RAM Power : .* W", sides[2].log)):
        print(f"  its log: {line}")
    print()
    print(
        f"{'command':<9} {'under':<11} {'rate':>5} {'energy':>8} {'[90 %]':>16} {'processor':>10} {'memory':>8}"
        f" {'CO2e':>8} {'wall':>8} {'own CPU':>8} {'[min, max]':>16}"
    )
    for (name, number), rows in runs.items():
        side = sides[number]
        of = {key: statistics.median(row[key] for row in rows) for key in NUMBERS if key in rows[0]}
        own = [row["own"] for row in rows]

        def cell(key, width, digits, unit, scale=1):
            return f"{of[key] * scale:.{digits}f} {unit}".rjust(width) if key in of else "–".rjust(width)

        bounds = f"[{of['low']:.1f}, {of['high']:.1f}]" if "low" in of else "–"
        print(
            f"{name:<9} {side.name:<11} {side.rate or '–':>5} {cell('total', 8, 1, 'J')} {bounds:>16}"
            f" {cell('cpu', 10, 1, 'J')} {cell('ram', 8, 1, 'J')} {cell('co2e', 8, 2, 'mg', 1000)}"
            f" {cell('wall', 8, 2, 's')} {cell('own', 8, 3, 's')} {f'[{min(own):.3f}, {max(own):.3f}]':>16}"
        )


if __name__ == "__main__":
    work = {"wrap": wrap, "codecarbon": codecarbon}.get(sys.argv[1] if len(sys.argv) > 1 else None)
    work(*sys.argv[2:]) if work else main()
