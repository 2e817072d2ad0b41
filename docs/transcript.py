#!/usr/bin/env python3
"""Runs the README's first command and puts what it prints into the README.

    docs/transcript.py [PROGRAM]    target/release/attar if left out: build it first, on a machine that is otherwise idle

Progress on standard error is not part of it, and the folder of the run is a temporary one.
"""

import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN, END = "```text\n$ cargo run --release -- quickstart\n", "```\n"


def main():
    program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/release/attar").resolve()
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "quickstart", "--out", "runs/quickstart"]
        printed = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout
    before, found, rest = README.read_text().partition(BEGIN)
    if not found:
        raise SystemExit(f"{README.name}: expected {BEGIN!r} at the beginning of the transcript")
    _, _, after = rest.partition(END)
    lines = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    README.write_text(f"{before}{BEGIN}{lines}\n{END}{after}")


if __name__ == "__main__":
    main()
