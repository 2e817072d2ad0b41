"""One training step of attar beside PyTorch's, in turns, in one run.

    python benches/peers/step.py [--rounds 15] [--only NAME] [--threads N] [--cpu]

Needs torch and transformers. Both sides have the same shapes, lengths, batches, dropout rates, losses, clip
and AdamW (PyTorch's fused one), and as many threads; a distillation compares embeddings, hidden states and
attention as TinyBERT does. PyTorch pads to the longest text of a batch, as its users do; attar has no padding.
On real lengths the batches of both are sorted by length. The figures are medians; what counts is their ratio.
On a machine that has other work, `--cpu --threads 1` compares time on the processor instead of time on the clock.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

import torch
import transformers


def attar_bench(threads):
    """The newest build of the benchmark `step`."""
    root = pathlib.Path(__file__).resolve().parents[2]
    build = ["cargo", "bench", "--workspace", "--bench", "step", "--no-run", "--message-format", "json"]
    lines = subprocess.run(build, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    messages = (json.loads(line) for line in lines if line.startswith("{"))
    programs = [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "step"]
    return subprocess.Popen(
        [programs[-1], "--serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env=os.environ | ({"RAYON_NUM_THREADS": str(threads)} if threads else {}),
    )


def on_processor(pid):
    """Milliseconds that the threads of a process have run."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) * 1e-6


def config(case):
    return transformers.BertConfig(
        vocab_size=case["vocabulary"],
        hidden_size=case["hidden"],
        num_hidden_layers=case["layers"],
        num_attention_heads=case["heads"],
        intermediate_size=case["feed_forward"],
        num_labels=2,
    )


class Peer:
    """PyTorch eager with the models of `transformers`."""

    def __init__(self, case):
        torch.manual_seed(1)
        self.distils = case["teacher"] != "none"
        # Attention as the library chooses it, and written out where its weights are compared.
        attention = {"attn_implementation": "eager"} if self.distils else {}
        self.model = transformers.BertForSequenceClassification._from_config(config(case), **attention).train()
        parameters = list(self.model.parameters())
        self.teacher = None
        if self.distils:
            base = {"layers": 12, "hidden": 768, "heads": 12, "feed_forward": 3072, "vocabulary": case["vocabulary"]}
            self.teacher = transformers.BertForSequenceClassification._from_config(config(base), **attention).eval()
            self.projection = torch.nn.Linear(case["hidden"], 768)
            parameters += self.projection.parameters()
            self.map = [12 // case["layers"] * (layer + 1) for layer in range(case["layers"])]
        self.parameters = parameters
        self.optimizer = torch.optim.AdamW(parameters, lr=5e-5, weight_decay=0.01, fused=True)
        self.batches = [self.batch(torch.tensor(lengths), case["vocabulary"]) for lengths in case["batches"]]
        self.kept = [self.trace(batch) for batch in self.batches] if case["teacher"] == "kept" else None

    def batch(self, lengths, vocabulary):
        longest = int(lengths.max())
        mask = torch.arange(longest)[None, :] < lengths[:, None]
        batch = {"input_ids": torch.randint(0, vocabulary, mask.shape) * mask}
        if not bool(mask.all()):
            batch["attention_mask"] = mask.long()
        return batch

    def trace(self, batch):
        with torch.no_grad():
            out = self.teacher(**batch, output_hidden_states=True, output_attentions=True)
        return out.hidden_states, out.attentions

    def loss(self, number):
        batch = self.batches[number]
        if not self.distils:
            labels = torch.arange(len(batch["input_ids"])) % 2
            return self.model(**batch, labels=labels).loss
        states, attentions = self.kept[number] if self.kept else self.trace(batch)
        out = self.model(**batch, output_hidden_states=True, output_attentions=True)
        same = torch.nn.functional.mse_loss
        loss = same(self.projection(out.hidden_states[0]), states[0])
        for layer, level in enumerate(self.map):
            loss = loss + same(self.projection(out.hidden_states[layer + 1]), states[level])
            loss = loss + same(out.attentions[layer], attentions[level - 1])
        return loss

    def step(self, number):
        start = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(number)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        loss.item()
        return (time.perf_counter() - start) * 1e3

    def turn(self):
        """Milliseconds of a step for each batch, on average."""
        return statistics.mean(self.step(number) for number in range(len(self.batches)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--threads", type=int, help="threads of both; all processors if left out")
    parser.add_argument("--cpu", action="store_true", help="time on the processor instead of time on the clock")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    bench = attar_bench(arguments.threads)
    facts = json.loads(bench.stdout.readline())
    torch.set_num_threads(facts["threads"])
    print(f"{facts['threads']} threads, PyTorch {torch.__version__} eager, medians of {rounds} alternating turns")
    print(f"{'step of':<36} {'attar':>10} {'PyTorch':>10} {'PyTorch / attar':>16}")

    for number, case in enumerate(facts["cases"]):
        if arguments.only not in case["name"]:
            continue
        peer = Peer(case)

        def ours():
            before = on_processor(bench.pid)
            print(number, file=bench.stdin)
            milliseconds = float(bench.stdout.readline())
            if arguments.cpu:
                milliseconds = (on_processor(bench.pid) - before) / len(case["batches"])
            return milliseconds

        def theirs():
            before = on_processor(os.getpid())
            milliseconds = peer.turn()
            if arguments.cpu:
                milliseconds = (on_processor(os.getpid()) - before) / len(case["batches"])
            return milliseconds

        for _ in range(2):
            ours(), theirs()
        pairs = [(ours(), theirs()) for _ in range(rounds)]
        a, b = (statistics.median(column) for column in zip(*pairs))
        ratio = statistics.median(peers / own for own, peers in pairs)
        print(f"{case['name']:<36} {a:>7.1f} ms {b:>7.1f} ms {ratio:>16.2f}", flush=True)
    bench.stdin.close()
    bench.wait()


if __name__ == "__main__":
    main()
