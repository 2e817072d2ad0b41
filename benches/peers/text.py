"""Text in, label out, tokenization included: attar beside onnxruntime int8 and the Python `tokenizers`, in turns.

    pip install torch transformers tokenizers onnx onnxscript onnxruntime
    python benches/peers/text.py [--shapes 4x312,12x48] [--threads 2] [--rounds 5] [--texts 4096] [--json FILE]

Needs the packages above, cargo, and the test data in `../shared` (SST-2 dev, a shard of Wikipedia; of the
shard the first paragraphs). The peer does what its users do, with care: one `encode_batch_fast` over all
texts, cut to 128 tokens, on as many threads; batches of 32 sorted by length, padded to their longest; the
plain or the fused graph, whichever is faster in a trial. attar gets the texts in a file, one a line. Reading
the texts counts on neither side but as far as attar's answer includes it.

Weights are random (see `runtime.py`), with the head's bias set so that both labels occur equally often.
Labels must agree on 70 % of the texts, else the exit code is 1: near the border int8 decides by chance,
but a mixed-up order would agree on half.
"""

import argparse
import gzip
import json
import os
import pathlib
import statistics
import sys
import tempfile

import common

MAX_TOKENS, BATCH = 128, 32
SAMPLE = 256
AGREEMENT = 0.7


def main():
    options = arguments()
    # Before anything imports `tokenizers`, which reads them once.
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    import engines

    engines.quiet()
    corpora = {"SST-2 dev": sst2(), "Wikipedia": wikipedia(options.texts)}
    print(common.machine())
    print(engines.versions())
    print(f"threads {options.threads}, int8, at most {MAX_TOKENS} tokens, medians of {options.rounds} rounds\n")

    attar = engines.attar(options.attar)
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.models or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for shape in options.shapes:
            model = balanced_model(folder, shape, [text for texts in corpora.values() for text in texts[:SAMPLE]])
            for name, texts in corpora.items():
                file = pathlib.Path(scratch) / "texts"
                file.write_text("".join(text + "\n" for text in texts), encoding="utf-8", newline="\n")
                sides = [Attar(attar, model, options.threads, file), best_peer(model, options.threads, texts)]
                results.append(compare(shape, name, texts, sides, options.rounds))
            attar.drop()
    attar.close()

    rows = [
        [r["shape"], r["texts_of"], str(r["texts"]), f"{r['attar']:.0f}", f"{r['peer']:.0f}", r["variant"],
         f"{r['agreement']:.1%}", f"{r['attar'] / r['peer']:.2f}"]
        for r in results
    ]  # fmt: skip
    common.table(["shape", "texts of", "texts", "attar/s", "peer/s", "graph", "same label", "attar/peer"], rows)
    for shape, wanted in (("4x312", 2.0), ("12x48", 5.0)):
        ratios = [r["attar"] / r["peer"] for r in results if r["shape"] == shape]
        if ratios:
            met = "met" if min(ratios) >= wanted else "not met"
            print(f"{shape}: at least {min(ratios):.2f} times the peer's texts a second, wanted {wanted}: {met}")
    if options.json:
        facts = {"machine": common.machine(), "versions": engines.versions(), "threads": options.threads}
        options.json.write_text(json.dumps({**facts, "results": results}, indent=1))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", type=lambda text: text.split(","), default=["4x312", "12x48"], metavar="A,B,…")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=4096, help="paragraphs of Wikipedia")
    parser.add_argument("--models", type=pathlib.Path, help="folder to keep the models in")
    parser.add_argument("--attar", type=pathlib.Path, help="program that serves; else cargo builds the benchmark")
    parser.add_argument("--json", type=pathlib.Path, help="file for all figures")
    options = parser.parse_args()
    for shape in options.shapes:
        if shape not in common.SHAPES:
            parser.error(f"no shape {shape}; there are {', '.join(common.SHAPES)}")
    return options


def sst2():
    """The sentences of SST-2 dev: a header, a tab before the label, no quoting."""
    lines = data("glue/SST-2/dev.tsv").read_bytes().decode().split("\n")[1:]
    return [line.split("\t")[0].strip() for line in lines if line]


def wikipedia(count):
    """The first paragraphs of a shard: a title begins an article, an empty line ends it, lines end at `\\n` alone."""
    texts, title = [], True
    with gzip.open(data("corpus/wiki/enwiki2015-00.txt.gz")) as shard:
        for line in shard:
            text = line.decode().rstrip("\n")
            if text and not title:
                texts.append(text)
            title = not text
            if len(texts) == count:
                break
    return texts


def data(path):
    path = common.SHARED / "data" / path
    if not path.exists():
        sys.exit(f"no {path}: this benchmark needs the test data")
    return path


def balanced_model(folder, shape, texts):
    """The model of a shape with a head that gives both labels equally often on some texts."""
    import torch

    import engines

    common.make_model(folder / shape, common.SHAPES[shape])
    balanced = folder / f"{shape}-balanced"
    if not balanced.exists():
        network = engines.Model(folder / shape).torch()
        encodings = tokenizer(folder / shape).encode_batch(texts)
        logits = []
        with torch.inference_mode():
            for encoding in encodings:
                logits.append(network(input_ids=torch.tensor([encoding.ids])).logits[0])
        margins = torch.stack(logits)[:, 1] - torch.stack(logits)[:, 0]
        with torch.no_grad():
            network.classifier.bias[1] -= margins.median()
        part = balanced.with_name(balanced.name + ".part")
        network.save_pretrained(part)
        common.save_tokenizer(part)
        part.rename(balanced)
    return engines.Model(balanced)


def tokenizer(folder):
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


class Attar:
    """attar's runtime, which reads and tokenizes by itself."""

    def __init__(self, engine, model, threads, file):
        child, number = engine.load(model, "int8", threads)
        self.variant, self.labels = "", None

        def turn(calls):
            answer = child.ask(model=number, texts_file=str(file), max_tokens=MAX_TOKENS, calls=calls)
            self.labels = answer["labels"]
            return answer["milliseconds"]

        self.turn = turn
        self.estimate = turn(1)[0]


class Peer:
    """onnxruntime int8 behind the Python `tokenizers`."""

    def __init__(self, model, threads, texts, graph):
        import engines

        session = engines.onnxruntime_session(model.onnx(graph, "int8"), threads)
        tokenize = tokenizer(model.folder).encode_batch_fast
        self.variant, self.labels = graph, None

        def label():
            ids = [encoding.ids for encoding in tokenize(texts)]
            order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
            labels = [0] * len(ids)
            for start in range(0, len(order), BATCH):
                rows = order[start : start + BATCH]
                logits = session.run(["logits"], engines.feed([ids[i] for i in rows]))[0]
                for i, answer in zip(rows, logits.argmax(axis=1)):
                    labels[i] = int(answer)
            self.labels = labels

        self.turn = lambda calls: common.timed(label, calls)
        self.estimate = self.turn(1)[0]


def best_peer(model, threads, texts):
    """The faster graph, by a sample of the texts."""
    sample = texts[:: max(1, len(texts) // SAMPLE)]
    trials = [Peer(model, threads, sample, graph) for graph in ("plain", "fused")]
    times = common.interleave(trials, 5)
    graph = min(zip(map(min, times), (trial.variant for trial in trials)))[1]
    return Peer(model, threads, texts, graph)


def compare(shape, name, texts, sides, rounds):
    """Texts per second of both sides, and how often they agree."""
    attar, peer = sides
    if not len(attar.labels) == len(peer.labels) == len(texts):
        sys.exit(f"{shape} {name}: {len(attar.labels)} and {len(peer.labels)} labels for {len(texts)} texts")
    agreement = statistics.fmean(a == b for a, b in zip(attar.labels, peer.labels))
    positive = statistics.fmean(peer.labels)
    print(f"{shape} {name}: {agreement:.1%} of the labels agree, {positive:.1%} are positive", flush=True)
    if agreement < AGREEMENT:
        sys.exit(f"{shape} {name}: labels agree on {agreement:.1%}, less than {AGREEMENT:.0%}")
    times = common.interleave(sides, rounds)
    rates = [len(texts) / statistics.median(milliseconds) * 1e3 for milliseconds in times]
    return {
        "shape": shape, "texts_of": name, "texts": len(texts), "attar": rates[0], "peer": rates[1],
        "variant": peer.variant, "agreement": agreement, "positive": positive, "milliseconds": times,
    }  # fmt: skip


if __name__ == "__main__":
    main()
