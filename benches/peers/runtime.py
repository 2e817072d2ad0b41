"""attar's runtime beside onnxruntime, OpenVINO, PyTorch and candle, in turns, in one run: token ids in, logits out.

    pip install torch transformers tokenizers onnx onnxscript onnxruntime openvino nncf
    python benches/peers/runtime.py [--shapes 4x312,12x48] [--threads 1,2] [--rounds 11] [--json FILE]

Needs the packages above and cargo; a C++ compiler for `torch.compile`. What is missing is left out with a
notice. Models have the shapes of BERT-base, TinyBERT4 (4×312), 12×192 and 12×48, a vocabulary of 30,522,
two labels and random weights: no time here depends on their values. They, and what the engines make of
them, are kept in `--models` if it is given.

Every engine is at its best as far as its documented switches go: onnxruntime with all optimizations, on the
plain graph or on the one of its transformer optimizer, with bound inputs and outputs, dynamic int8 per
channel; OpenVINO with fixed shapes, both hints, and streams over parts of the batch, int8 weights and
activations calibrated by NNCF; PyTorch in inference mode with either attention, and compiled for each batch
with frozen weights; candle built for this processor. A short trial chooses for each case.

Before anything counts, all engines must agree with PyTorch on rows of all lengths, padded and
masked where an engine needs that (the compiled one, made for the uniform batch, on that): else exit code 1. Only a peer
in int8 may be further off than the bound: where the processor has no dot product of bytes, onnxruntime and OpenVINO use
one that saturates. It is timed all the same, shown with its error and ranked apart.
What is timed has no padding, so that attar gains nothing by leaving padding out.

A round gives every engine, precision and number of threads one turn; who comes first changes. A turn of a
short call is one that does not count and several that do. Figures are medians, minima in brackets; ratios
are of medians, and in brackets of minima, which other work on the machine disturbs least, to the fastest peer of the same
precision unless said otherwise. The turns of a shape end after `--seconds`, three minutes if left out; making what the
engines read comes before and takes longer the first time. On a machine that is not quiet `--cpu` counts the time that
threads spend on processors, of one thread: waiting for one is then no part of it.
"""

import argparse
import gc
import json
import pathlib
import statistics
import sys
import tempfile

import numpy as np

import common
import engines
from engines import Case, Model

CASES = [Case(1, 32), Case(1, 128), Case(32, 32), Case(32, 128)]
ONLY = {"bert-base": ["1×128"]}
SMALL = ("4x312", "12x192")
PRECISIONS = ("f32", "int8")
# Largest difference of a logit from PyTorch's in f32. In int8 the root mean square of the differences, by that of the logits;
# random weights are harsher than trained ones.
BOUNDS = {"f32": 1e-4, "int8": 0.15}


def main():
    options = arguments()
    if options.cpu:
        options.threads = [1]
        engines.count_processor_time()
    engines.quiet()
    print(common.machine())
    print(engines.versions())
    print(
        f"int8: onnxruntime dynamic, OpenVINO calibrated by NNCF; medians [minima] in ms of {options.rounds} rounds\n"
    )

    takers = {
        "attar": (engines.attar(options.attar), PRECISIONS),
        "onnxruntime": (engines.onnxruntime, PRECISIONS),
        "OpenVINO": (engines.openvino, PRECISIONS),
        "PyTorch": (engines.pytorch, ("f32",)),
        "compiled": (engines.compiled, ("f32",)),
        "candle": (engines.candle(), ("f32",)),
    }
    takers = {name: taker for name, taker in takers.items() if name not in options.without}
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.models or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for shape in options.shapes:
            common.make_model(folder / shape, common.SHAPES[shape])
            measured = measure_shape(shape, Model(folder / shape), takers, options)
            print_table(measured, list(takers))
            results += measured
            save(results, options)
    for engine, _ in takers.values():
        if isinstance(engine, engines.ChildEngine):
            engine.close()

    if len(options.shapes) > 1:
        print("all together")
        print_table(results, list(takers))
    print_variants(results)
    print_goals(goals_of(results))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", type=listed(common.SHAPES), default=list(common.SHAPES), metavar="A,B,…")
    parser.add_argument("--cases", type=listed(list(map(str, CASES))), help="such as 1×32,32×128", metavar="A,B,…")
    parser.add_argument("--threads", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2], metavar="N,…")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--cpu", action="store_true", help="count time on processors, on one thread")
    parser.add_argument("--seconds", type=float, default=180.0, help="of turns for a shape, at most about so many")
    parser.add_argument("--without", type=lambda text: text.split(","), default=[], help="engines to leave out")
    parser.add_argument("--models", type=pathlib.Path, help="folder to keep the models in")
    parser.add_argument("--attar", type=pathlib.Path, help="program that serves; else cargo builds the benchmark")
    parser.add_argument("--json", type=pathlib.Path, help="file for all figures")
    return parser.parse_args()


def listed(known):
    """A parser of names between commas."""

    def parse(text):
        names = text.replace("x", "×").split(",") if "1×32" in known else text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no {name}; there are {', '.join(known)}")
        return names

    return parse


def measure_shape(shape, model, takers, options):
    """Results of all cases of a shape: one for each engine, precision and number of threads."""
    results = []
    wanted = options.cases or ONLY.get(shape, list(map(str, CASES)))
    cases = [case for case in CASES if str(case) in wanted]
    for case in cases:
        sides = []
        for threads in options.threads:
            for engine, precisions in takers.values():
                for precision in precisions:
                    side = engines.fastest(engine(model, precision, threads, case))
                    sides += [side] if side else []
        errors = check(sides, model, case)
        apart = [f"{side}: {error:.2g}" for side, error in zip(sides, errors) if not within(side.precision, error)]
        print(f"{shape} {case}: {len(sides)} sides, off by more than the bound: {', '.join(apart) or 'none'}", flush=True)
        times_of = common.interleave(sides, options.rounds, options.seconds / len(cases))
        for side, error, times in zip(sides, errors, times_of):
            what = {"shape": shape, "case": str(case), "engine": side.engine, "precision": side.precision}
            how = {"threads": side.threads, "variant": side.variant, "error": error}
            figures = {"milliseconds": times, "median": statistics.median(times), "least": min(times)}
            results.append({**what, **how, **figures})
        del sides
        forget_compiled()
        gc.collect()
    for engine, _ in takers.values():
        if isinstance(engine, engines.ChildEngine):
            engine.drop()
    return results


def check(sides, model, case):
    """Every side's difference from PyTorch; ends the program if one is too large, of another than a peer in int8."""
    import torch

    reference = model.torch("eager")

    @torch.inference_mode()
    def of(ids):
        return reference(**{name: torch.from_numpy(value) for name, value in engines.feed(ids).items()}).logits.numpy()

    ragged, uniform = (np.concatenate(list(map(of, batches))) for batches in (case.ragged, case.uniform))
    errors, wrong = [], []
    for side in sides:
        batches, wanted = (case.ragged, ragged) if side.ragged else (case.uniform, uniform)
        errors.append(difference(np.concatenate(list(map(side.logits, batches))), wanted, side.precision))
        must_agree = side.engine == "attar" or side.precision == "f32"
        if must_agree and not within(side.precision, errors[-1]):
            wrong.append(f"{side}: differs by {errors[-1]:.2g}, bound {BOUNDS[side.precision]}")
    if wrong:
        sys.exit(f"{model.folder.name} {case}: engines disagree with PyTorch\n" + "\n".join(wrong))
    return errors


def within(precision, error):
    """Whether an error is within the bound; one that is not a number is not."""
    return error <= BOUNDS[precision]


def difference(logits, wanted, precision):
    """What the bound of a precision is about."""
    if logits.shape != wanted.shape:
        return float("inf")
    differences = np.abs(logits - wanted)
    if precision == "f32":
        return float(differences.max())
    return float(np.sqrt((differences**2).mean() / (wanted**2).mean()))


def forget_compiled():
    """Frees what `torch.compile` keeps of a case."""
    if "torch" in sys.modules:
        sys.modules["torch"]._dynamo.reset()


def save(results, options):
    """Writes all figures so far, so that an interrupted run keeps them."""
    if options.json:
        facts = {"machine": common.machine(), "versions": engines.versions(), "rounds": options.rounds}
        facts |= {"results": results, "goals": goals_of(results)}
        options.json.write_text(json.dumps(facts, indent=1))


def lookup(results, statistic="median", apart=False):
    """Medians, or minima, by shape, case, threads and precision, then by engine; peers off by more than the bound if `apart`."""
    figures = {}
    for r in results:
        of_key = figures.setdefault((r["shape"], r["case"], r["threads"], r["precision"]), {})
        if apart or within(r["precision"], r["error"]):
            of_key[r["engine"]] = r[statistic]
    return figures


def best_peer(row):
    """Name and median of the fastest engine that is not attar's; none if there is none."""
    return min(((name, ms) for name, ms in row.items() if name != "attar"), key=lambda pair: pair[1], default=None)


def print_table(results, names):
    cells = {}
    for r in results:
        # An error stands behind the figures of a peer that is ranked apart.
        error = "" if within(r["precision"], r["error"]) else f" off {r['error']:.2f}"
        key = r["shape"], r["case"], r["threads"], r["precision"], r["engine"]
        cells[key] = common.span(r["milliseconds"]) + error
    rows = []
    medians, minima = (lookup(results, statistic) for statistic in ("median", "least"))
    all_medians, all_minima = (lookup(results, statistic, apart=True) for statistic in ("median", "least"))
    for key in medians:
        shape, case, count, precision = key
        figures = [cells.get((*key, name), "–") for name in names]
        exact, any_error = (medians[key], minima[key]), (all_medians[key], all_minima[key])
        rows.append([f"{shape} {case}", str(count), precision, *figures, *ahead(*exact), ahead(*any_error)[1]])
    rows.sort(key=lambda row: (list(common.SHAPES).index(row[0].split()[0]), row[1]))
    print()
    head = ["shape, batch×tokens", "threads", "precision", *names, "best peer", "peer/attar", "of all"]
    common.table(head, rows)
    print(flush=True)


def ahead(medians, minima):
    """Name of the fastest peer, and its median over attar's, with the same of minima in brackets."""
    best, least = best_peer(medians), best_peer(minima)
    if not best or "attar" not in medians:
        return [best[0] if best else "–", "–"]
    return [best[0], f"{best[1] / medians['attar']:.2f} [{least[1] / minima['attar']:.2f}]"]


def print_variants(results):
    """How often which candidate was the fastest."""
    chosen = {}
    for r in results:
        if r["variant"]:
            counts = chosen.setdefault(f"{r['engine']} {r['precision']}", {})
            counts[r["variant"]] = counts.get(r["variant"], 0) + 1
    print("fastest in the trial, cases:")
    for name, counts in chosen.items():
        print(f"  {name}: {', '.join(f'{variant} {count}' for variant, count in counts.items())}")
    for precision in PRECISIONS:
        errors = {r["engine"]: 0.0 for r in results if r["precision"] == precision}
        for r in results:
            if r["precision"] == precision:
                errors[r["engine"]] = max(errors[r["engine"]], r["error"])
        bound = ("largest " if precision == "f32" else "relative ") + str(BOUNDS[precision])
        told = ", ".join(f"{name} {error:.1e}" for name, error in errors.items())
        print(f"differences from PyTorch, {precision} (bound: {bound}): {told}")


def goals_of(results):
    """What the project wants of these figures: by medians, then by minima."""
    return [
        {**goal, "by": statistic}
        for statistic in ("median", "least")
        for goal in goals_by(lookup(results, statistic), lookup(results, statistic, apart=True))
    ]


def goals_by(medians, with_apart):
    """Name, wanted, got, over how many ratios, of one statistic; `with_apart` holds peers off by more than the bound too."""
    ratios = {
        key: best_peer(row)[1] / row["attar"] for key, row in medians.items() if "attar" in row and best_peer(row)
    }
    goals = []

    def goal(name, wanted, values, combine=common.geometric_mean):
        if values:
            goals.append({"name": name, "wanted": wanted, "got": combine(values), "of": len(values)})

    def over(precision, *shapes):
        return [ratio for (shape, _, _, p), ratio in ratios.items() if p == precision and shape in shapes]

    goal("int8, 4x312 and 12x192, all threads", 1.5, over("int8", *SMALL))
    goal("f32, 4x312 and 12x192, all threads", 1.2, over("f32", *SMALL))
    goal("12x48, both at their best precision", 4.0, at_best_precision(medians, "12x48"))
    goal("f32, 12x48", 3.0, over("f32", "12x48"))
    goal("int8, BERT-base", 1.2, over("int8", "bert-base"))
    goal("f32, BERT-base", 1.0, over("f32", "bert-base"))
    of_all = {key: best_peer(row)[1] / row["attar"] for key, row in with_apart.items() if "attar" in row and best_peer(row)}
    goal("int8, all shapes, any error", 1.1, [ratio for (*_, precision), ratio in of_all.items() if precision == "int8"])
    goal("the worst of all, same precision", 1.0, list(ratios.values()), min)
    for case in ("32×32", "32×128", "1×128"):
        goal(f"two threads over one, worst, {case}", 1.6 if case == "1×128" else 1.85, scaling(medians, case), min)
    return goals


def at_best_precision(medians, shape):
    """The fastest peer over attar, whatever the precision of each, by case and threads."""
    ours, theirs = {}, {}
    for (of, case, threads, _), row in medians.items():
        best = best_peer(row)
        if of == shape and "attar" in row and best:
            key = case, threads
            ours[key] = min(row["attar"], ours.get(key, float("inf")))
            theirs[key] = min(best[1], theirs.get(key, float("inf")))
    return [theirs[key] / ours[key] for key in ours]


def scaling(medians, wanted):
    """attar's time on one thread over that on two, by shape and precision."""
    times = {key: row["attar"] for key, row in medians.items() if "attar" in row and key[1] == wanted}
    pairs = (((shape, case, 2, p), one) for (shape, case, threads, p), one in times.items() if threads == 1)
    return [one / times[two] for two, one in pairs if two in times]


def print_goals(goals):
    if not goals:
        return
    print("\nratios to the fastest peer within the bound, geometric means unless said otherwise")
    least = {g["name"]: g["got"] for g in goals if g["by"] == "least"}
    rows = []
    for g in goals:
        if g["by"] == "median":
            by_minima = least.get(g["name"], float("nan"))
            met = "yes" if by_minima >= g["wanted"] else "no"
            rows.append([g["name"], f"{g['got']:.2f}", f"{by_minima:.2f}", f"≥ {g['wanted']}", met, str(g["of"])])
    common.table(["", "by medians", "by minima", "wanted", "met by minima", "ratios"], rows)


if __name__ == "__main__":
    main()
