"""What the benchmarks beside other programs share: models, the line protocol, turns, figures, tables.

Not a program. `runtime.py`, `text.py` and `cold.py` use it.
"""

import dataclasses
import json
import math
import os
import pathlib
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
VOCABULARY = 30522
LABELS = ("negative", "positive")
# Between two turns: other engines' threads go on spinning for some milliseconds after their last call.
PAUSE = 0.01
# A side whose call is shorter than TURN milliseconds calls several times in its turn.
TURN, MOST_CALLS = 20.0, 10
# Rounds that are made however long they take.
LEAST_ROUNDS = 3
# Calls longer than this gain nothing from an uncounted call before them.
WARM = 100.0


@dataclasses.dataclass(frozen=True)
class Shape:
    """Sizes of a BERT encoder."""

    layers: int
    hidden: int
    heads: int
    feed_forward: int


SHAPES = {
    "bert-base": Shape(12, 768, 12, 3072),
    "4x312": Shape(4, 312, 12, 1200),
    "12x192": Shape(12, 192, 12, 768),
    "12x48": Shape(12, 48, 12, 192),
}


def make_model(folder, shape):
    """A model directory with random weights, unless it is there already.

    Weights have the deviation that keeps the size of what they multiply, biases and norms are random too:
    with the initial values of a training, a forward pass that left half of itself out would hardly differ.
    """
    if folder.exists():
        return
    import torch
    import transformers

    config = transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.feed_forward,
        initializer_range=shape.hidden**-0.5,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
    )
    torch.manual_seed(1)
    model = transformers.BertForSequenceClassification(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0.0, 0.1)
            elif "LayerNorm" in name:
                parameter.normal_(1.0, 0.1)
    # An interrupted run leaves no half-written model behind.
    part = folder.with_name(folder.name + ".part")
    model.save_pretrained(part)
    save_tokenizer(part)
    part.rename(folder)


def save_tokenizer(folder):
    """The WordPiece tokenizer of BERT, uncased, as `tokenizer.json` and `vocab.txt`."""
    import tokenizers
    from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

    tokens = vocabulary()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = tokenizers.Tokenizer(models.WordPiece({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(special)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokens.index(token)) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.save(str(folder / "tokenizer.json"))
    folder.joinpath("vocab.txt").write_text("".join(token + "\n" for token in tokens), encoding="utf-8", newline="\n")
    names = {f"{token[1:-1].lower()}_token": token for token in special}
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512, **names}
    folder.joinpath("tokenizer_config.json").write_text(json.dumps(settings, indent=2))


def vocabulary():
    """The vocabulary of bert-base-uncased."""
    path = ROOT / "crates/testing/fixtures/tokenizer/vocab.txt"
    return path.read_text(encoding="utf-8").split("\n")[:-1]


class Child:
    """A program that answers a line of JSON with a line of JSON, and errors with `{"error": …}`."""

    def __init__(self, *command, environment=None):
        self.command = " ".join(map(str, command))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        self.process = subprocess.Popen(command, env=os.environ | (environment or {}), **pipes)

    def ask(self, **request):
        try:
            print(json.dumps(request), file=self.process.stdin)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"{self.command}: ended, exit code {self.process.wait()}, at {str(request)[:200]}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self.command}: {answer['error']}")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def attar_bench(program=None):
    """The benchmark `forward` of attar-runtime, serving; built anew unless a program is named."""
    if program is None:
        build = ["cargo", "bench", "-p", "attar-runtime", "--bench", "forward", "--no-run", "--message-format", "json"]
        lines = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        messages = (json.loads(line) for line in lines if line.startswith("{"))
        programs = [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "forward"]
        program = programs[-1]
    return Child(program, "--serve")


def interleave(sides, rounds, seconds=math.inf):
    """Milliseconds of every side's calls, in turns; who comes first changes from round to round.

    A side has `turn(calls)`, which gives the milliseconds of that many calls, and `estimate`, those of one. After so many
    seconds no further round begins, except for the first LEAST_ROUNDS.
    """
    samples = [[] for _ in sides]
    end = time.monotonic() + seconds
    for turn in range(rounds):
        if turn >= LEAST_ROUNDS and time.monotonic() > end:
            break
        for place in range(len(sides)):
            number = (turn + place) % len(sides)
            samples[number] += take_turn(sides[number])
    return samples


def take_turn(side):
    """One turn of a side: short calls several times, after one that does not count."""
    time.sleep(PAUSE)
    calls = max(1, min(MOST_CALLS, int(TURN / max(side.estimate, 1e-3))))
    warm = int(side.estimate < WARM)
    return side.turn(warm + calls)[warm:]


def timed(call, calls, clock=time.perf_counter):
    """Milliseconds of each of some calls."""
    milliseconds = []
    for _ in range(calls):
        start = clock()
        call()
        milliseconds.append((clock() - start) * 1e3)
    return milliseconds


def processor_time(process):
    """Seconds that all threads of a process have spent on processors, on Linux."""
    # The number of the clock is made of that of the process, as clock_getcpuclockid(3) does it.
    return time.clock_gettime(~process << 3 | 2)


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def machine():
    """Name, number of processors and vector extensions that matter here, in a line."""
    name, flags = "unknown processor", ()
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() == "flags":
                flags = value.split()
    except OSError:
        pass
    known = [
        flag for flag in ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8") if flag in flags
    ]
    return f"{name}, {len(os.sched_getaffinity(0))} processors, {' '.join(known)}, load {os.getloadavg()[0]:.1f}"


def table(header, rows):
    """Lines of a table; the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = (cell.ljust(width) if not i else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths)))
        print("  ".join(cells).rstrip())


def span(milliseconds):
    """Median and minimum, for a cell of a table."""
    median, least = statistics.median(milliseconds), min(milliseconds)
    digits = 0 if median >= 100 else 1 if median >= 10 else 2
    return f"{median:.{digits}f} [{least:.{digits}f}]"
