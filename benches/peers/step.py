"""One training step of attar beside PyTorch's, in turns, in one run.

    cargo build --release --workspace --benches
    python benches/peers/step.py [--rounds 15]

Needs torch and transformers. Both sides have the same shapes, lengths, batch, dropout rates, loss, clip
and AdamW (PyTorch's fused one), and as many threads. PyTorch pads to the longest text, as its users do;
attar has no padding. The figures are medians; what counts is their ratio.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import time

import torch
import transformers


def attar_bench():
    """The newest build of the benchmark `step`."""
    root = pathlib.Path(__file__).resolve().parents[2]
    build = ["cargo", "bench", "--workspace", "--bench", "step", "--no-run", "--message-format", "json"]
    lines = subprocess.run(build, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    messages = (json.loads(line) for line in lines if line.startswith("{"))
    programs = [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "step"]
    return subprocess.Popen(
        [programs[-1], "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )


class Peer:
    """PyTorch eager with the model of `transformers`."""

    def __init__(self, case):
        config = transformers.BertConfig(
            vocab_size=case["vocabulary"],
            hidden_size=case["hidden"],
            num_hidden_layers=case["layers"],
            num_attention_heads=case["heads"],
            intermediate_size=case["feed_forward"],
            num_labels=2,
        )
        torch.manual_seed(1)
        self.model = transformers.BertForSequenceClassification(config).train()
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=5e-5, weight_decay=0.01, fused=True)
        lengths = torch.tensor(case["lengths"])
        longest = int(lengths.max())
        mask = torch.arange(longest)[None, :] < lengths[:, None]
        ids = torch.randint(0, case["vocabulary"], mask.shape) * mask
        self.batch = {"input_ids": ids, "labels": torch.arange(len(lengths)) % 2}
        if not bool(mask.all()):
            self.batch["attention_mask"] = mask.long()

    def step(self):
        start = time.perf_counter()
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.model(**self.batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        loss.item()
        return (time.perf_counter() - start) * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    bench = attar_bench()
    facts = json.loads(bench.stdout.readline())
    torch.set_num_threads(facts["threads"])
    print(f"{facts['threads']} threads, PyTorch {torch.__version__} eager, medians of {rounds} alternating steps")
    print(f"{'step of':<40} {'attar':>10} {'PyTorch':>10} {'PyTorch / attar':>16}")

    for number, case in enumerate(facts["cases"]):
        peer = Peer(case)

        def ours():
            print(number, file=bench.stdin)
            return float(bench.stdout.readline())

        for _ in range(3):
            ours(), peer.step()
        pairs = [(ours(), peer.step()) for _ in range(rounds)]
        a, b = (statistics.median(column) for column in zip(*pairs))
        ratio = statistics.median(theirs / mine for mine, theirs in pairs)
        print(f"{case['name']:<40} {a:>7.1f} ms {b:>7.1f} ms {ratio:>16.2f}")
    bench.stdin.close()
    bench.wait()


if __name__ == "__main__":
    main()
