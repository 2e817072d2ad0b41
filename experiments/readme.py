"""What scripts write into README files. Not a program."""


def put(file, name, text):
    """Puts a text between two lines of a file, `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""
    begin, end = (f"<!-- {name}: {edge} -->" for edge in ("begin", "end"))
    before, _, rest = file.read_text().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{file}: expected the lines {begin} and {end} around what is written")
    file.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
