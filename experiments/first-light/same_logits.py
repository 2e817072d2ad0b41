"""Loads model directories that attar wrote with transformers and compares the logits of dev sentences.

    python experiments/first-light/same_logits.py target/release/attar ../shared/data/glue/SST-2/dev.tsv DIR …

Needs torch and transformers. Fails if a weight is missing or unexpected, or a logit is further than 1e-4 away.
"""

import csv
import json
import subprocess
import sys

import torch
import transformers

TOLERANCE = 1e-4
ROWS = 200


def main():
    attar, table, *directories = sys.argv[1:]
    with open(table, newline="") as file:
        texts = [row["sentence"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)][:ROWS]
    for directory in directories:
        command = [attar, "predict", directory, "--json"]
        output = subprocess.run(command, input="\n".join(texts), stdout=subprocess.PIPE, text=True, check=True).stdout
        ours = torch.tensor([json.loads(line)["logits"] for line in output.splitlines()])
        tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
        model, info = transformers.AutoModelForSequenceClassification.from_pretrained(
            directory, output_loading_info=True
        )
        assert not info["missing_keys"] and not info["unexpected_keys"], info
        with torch.no_grad():
            theirs = torch.cat([model.eval()(**tokenizer(text, return_tensors="pt")).logits for text in texts])
        difference = (ours - theirs).abs().max().item()
        name = type(model).__name__
        print(f"{directory}: {name}, {len(texts)} texts, logits differ by {difference:.1e} at most, allowed {TOLERANCE:.0e}")
        assert difference <= TOLERANCE


if __name__ == "__main__":
    main()
