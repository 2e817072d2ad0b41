#!/usr/bin/env python3
"""Writes THIRD-PARTY.md: the licenses of everything that goes into the program.

    .ci/third-party.py           write it
    .ci/third-party.py --check   exit 1 if it is not what would be written

Takes the crates from `cargo metadata` (all platforms, default features, without what only builds or tests need), their
texts from the sources that cargo unpacked, and the notices of embedded data from `attar energy licenses`, so build the
program first. Where a crate offers a choice, the first of PREFERRED that it offers is taken.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "THIRD-PARTY.md"
PREFERRED = ["Apache-2.0", "MIT", "Unicode-3.0", "BSD-3-Clause", "BSD-2-Clause", "ISC", "Zlib", "BSL-1.0", "0BSD", "MPL-2.0",
             "CC0-1.0", "Unlicense", "CDLA-Permissive-2.0"]
# Names under which a crate's directory holds the text of a license.
FILES = {"Apache-2.0": ["APACHE"], "MIT": ["MIT"], "BSD-3-Clause": ["BSD"], "BSD-2-Clause": ["BSD"], "ISC": ["ISC"],
         "Zlib": ["ZLIB"], "BSL-1.0": ["BOOST", "BSL"], "Unicode-3.0": ["UNICODE"], "MPL-2.0": ["MPL"]}


def run(*command):
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def crates():
    """Packages that the program is linked from, by name and version."""
    metadata = json.loads(run("cargo", "metadata", "--format-version", "1", "--locked"))
    tree = run("cargo", "tree", "-p", "attar", "--locked", "--edges", "normal,no-proc-macro", "--target", "all", "--prefix", "none")
    # A line is `name vVERSION`, then notes such as `(*)` or `(proc-macro)`.
    linked = {tuple(line.replace(" v", " ", 1).split(" ")[:2]) for line in tree.splitlines() if line}
    found = [p for p in metadata["packages"] if (p["name"], p["version"]) in linked and p["source"]]
    return sorted(found, key=lambda package: (package["name"], package["version"]))


def chosen(package):
    """The licenses under which a crate is taken: of each `OR` one, of each `AND` all."""
    expression = (package["license"] or "").replace("/", " OR ")
    if not expression:
        sys.exit(f"{package['name']} {package['version']} names no license: look at it")
    expression = re.sub(r" WITH [\w-]+", "", expression)
    terms = []
    for part in re.split(r" AND ", expression):
        offered = [name.strip(" ()") for name in part.split(" OR ")]
        terms += [next((name for name in PREFERRED if name in offered), None) or sys.exit(
            f"{package['name']} {package['version']}: {expression} offers none of {', '.join(PREFERRED)}")]
    return sorted(set(terms))


def text_of(package, license):
    """The text of a license as a crate ships it; empty if it ships none."""
    if license == "Apache-2.0":
        # One copy serves all: only its appendix, which is a form, differs.
        return (ROOT / "LICENSE-APACHE").read_text(encoding="utf-8").strip()
    folder = pathlib.Path(package["manifest_path"]).parent
    texts = sorted(path for path in folder.iterdir() if re.match(r"(?i)(un)?licen[cs]e|copying", path.name) and path.is_file())
    named = [path for path in texts if any(word in path.name.upper() for word in FILES.get(license, [license.upper()]))]
    others = [path for path in texts if not any(word in path.name.upper() for words in FILES.values() for word in words)]
    own = (named or others)[:1]
    return "".join(path.read_text(encoding="utf-8", errors="replace").replace("\r", "").strip() for path in own)


def has_notice(package):
    """Whether a crate ships the file that the Apache License, section 4(d), wants repeated."""
    return any(path.name.upper().startswith("NOTICE") for path in pathlib.Path(package["manifest_path"]).parent.iterdir())


def document():
    groups, table = {}, []
    for package in crates():
        name = f"{package['name']} {package['version']}"
        licenses = chosen(package)
        if has_notice(package):
            sys.exit(f"{name} ships a NOTICE file: teach this script to repeat it")
        table.append(f"| {name} | {', '.join(licenses)} | {package['repository'] or ''} |")
        for license in licenses:
            text = text_of(package, license)
            groups.setdefault((license, " ".join(text.split())), (text, []))[1].append(name)
    parts = ["# Licenses of third parties", "",
             "Made by `.ci/third-party.py`; do not edit. attar itself is licensed under MIT or Apache-2.0.", "",
             f"## Crates\n\n{len(table)} crates are linked into the program, on one platform or another.", "",
             "| crate | license | source |", "|---|---|---|", *table]
    for (license, _), (text, names) in sorted(groups.items(), key=lambda item: (item[0][0], item[1][1])):
        text = text or f"The crate ships no copy of its license, {license}: https://spdx.org/licenses/{license}.html"
        parts += ["", f"### {license}: {', '.join(names)}", "", "```text", text, "```"]
    parts += ["", "## Embedded data", "", "What `attar energy licenses` prints.", "", "```text",
              run("target/release/attar", "energy", "licenses").strip(), "```", ""]
    return "\n".join(line.rstrip() for line in "\n".join(parts).split("\n"))


def main():
    new = document()
    if "--check" not in sys.argv[1:]:
        OUT.write_text(new, encoding="utf-8")
    elif not OUT.exists() or OUT.read_text(encoding="utf-8") != new:
        sys.exit(f"{OUT.name} is out of date: run .ci/third-party.py")


if __name__ == "__main__":
    main()
