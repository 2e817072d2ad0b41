#!/usr/bin/env python3
"""Does a text's distance from the student's training texts predict agreement with the teacher better than confidence does?

    pip install numpy scikit-learn torch transformers safetensors
    experiments/out-of-scope/run.py TEACHER STUDENT ../shared/data/intents/clinc150/data_full.json

TEACHER and STUDENT are f32 model directories of the 150 classes, trained on rows of `train`. A confidence is chosen on `val` at which 99 % of
the student's answers are its teacher's (0.2 points above, for what a bound costs). A further threshold, on a distance or again on the
confidence, then takes a share of those texts away, and what is left is counted on `test` and on the rows out of scope.

Writes `mixed.csv` to the current folder: the rows of `test` and the first 500 out of scope, under some label of the models, for `attar contract`.
"""
import csv
import json
import sys

import numpy as np
import torch
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from transformers import AutoTokenizer, BertModel

teacher, student, file = sys.argv[1:]
rows = json.load(open(file))


def answers(folder, parts):
    """Vector and logits of each row of each part, in the order of the labels' names, and these names."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    weights = load_file(f"{folder}/model.safetensors")
    names = json.load(open(f"{folder}/config.json"))["id2label"]
    order = sorted(range(len(names)), key=lambda index: names[str(index)])
    found = {}
    for part in parts:
        texts = [text for text, _ in rows[part]]
        vectors = np.zeros((len(texts), model.config.hidden_size), np.float32)
        by_length = np.argsort([len(text) for text in texts])
        for begin in range(0, len(texts), 128):
            batch = by_length[begin : begin + 128]
            inputs = tokenizer([texts[row] for row in batch], padding=True, truncation=True, max_length=128, return_tensors="pt")
            with torch.inference_mode():
                states = model(**inputs).last_hidden_state
            mask = inputs["attention_mask"].unsqueeze(-1).float()
            vectors[batch] = ((states * mask).sum(1) / mask.sum(1)).numpy()
        logits = vectors @ weights["classifier.weight"].numpy().T + weights["classifier.bias"].numpy()
        found[part] = vectors, logits[:, order]
    return found, sorted(names.values())


def write_mixed(any_label):
    with open("mixed.csv", "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["text", "label"])
        writer.writerows(rows["test"])
        writer.writerows([text, any_label] for text, _ in rows["oos_test"][:500])


def confidence(_, logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).max(axis=1)


own, names = answers(student, ["train", "val", "test", "oos_test"])
write_mixed(names[0])
theirs, _ = answers(teacher, ["val", "test", "oos_test"])
agrees = {part: own[part][1].argmax(1) == theirs[part][1].argmax(1) for part in theirs}
vectors = own["train"][0]
classes = np.array([names.index(label) for _, label in rows["train"]])
centers = np.stack([vectors[classes == label].mean(0) for label in range(len(names))])
unit = lambda all_: all_ / np.linalg.norm(all_, axis=1, keepdims=True)


def precision(residuals):
    spread = residuals.T @ residuals / len(residuals)
    return np.linalg.inv(spread + 1e-3 * np.trace(spread) / len(spread) * np.eye(len(spread)))


within, overall = precision(vectors - centers[classes]), precision(vectors - vectors.mean(0))


def mahalanobis(given):
    return (given @ within * given).sum(1)[:, None] - 2 * given @ within @ centers.T + (centers @ within * centers).sum(1)


def relative(given, _):
    centered = given - vectors.mean(0)
    return (centered @ overall * centered).sum(1) - mahalanobis(given).min(1)


measures = {
    "Mahalanobis, nearest class": lambda given, _: -mahalanobis(given).min(1),
    "Mahalanobis, class answered": lambda given, logits: -np.take_along_axis(mahalanobis(given), logits.argmax(1)[:, None], 1)[:, 0],
    "relative Mahalanobis": relative,
    "cosine to nearest center": lambda given, _: (unit(given) @ unit(centers).T).max(1),
    "cosine to 10th neighbor": lambda given, _: np.sort(unit(given) @ unit(vectors).T, axis=1)[:, -10],
    "largest logit": lambda _, logits: logits.max(1),
    "confidence": confidence,
}
sure = {part: confidence(*own[part]) for part in agrees}
falling = np.argsort(-sure["val"])
share = np.cumsum(agrees["val"][falling]) / np.arange(1, len(falling) + 1)
threshold = sure["val"][falling[np.nonzero(share >= 0.992)[0].max()]]


def line(name, kept):
    cells = [f"{kept[part].mean():.3f} {agrees[part][kept[part]].mean():.4f}" for part in ("test", "oos_test")]
    ratio = lambda of: 0.9 * of(kept["test"], agrees["test"]) + 0.1 * of(kept["oos_test"], agrees["oos_test"])
    mixed = ratio(lambda kept, agrees: (kept & agrees).mean()) / ratio(lambda kept, _: kept.mean())
    print(f"{name:40} {cells[0]:>14} {cells[1]:>14} {mixed:8.4f}")


print(f"confidence at least {threshold:.3f}; agreement over all rows: test {agrees['test'].mean():.4f}, out of scope {agrees['oos_test'].mean():.4f}")
print("area under the ROC curve for: in scope or not; agrees with the teacher or not (nine in-scope rows to one out of scope)")
weights = np.r_[np.full(len(agrees["test"]), 0.9 / len(agrees["test"])), np.full(len(agrees["oos_test"]), 0.1 / len(agrees["oos_test"]))]
for name, measure in measures.items():
    inside, outside = measure(*own["test"]), measure(*own["oos_test"])
    both = np.r_[inside, outside]
    scope = roc_auc_score(np.r_[np.ones(len(inside)), np.zeros(len(outside))], both)
    same = roc_auc_score(np.r_[agrees["test"], agrees["oos_test"]], both, sample_weight=weights)
    print(f"  {name:40} {scope:.3f} {same:.3f}")
print(f"{'':40} {'in scope':>14} {'out of scope':>14} {'mixed':>8}\n{'':40} {'covered, agree':>14} {'covered, agree':>14} {'agree':>8}")
line("confidence alone", {part: sure[part] >= threshold for part in agrees})
for taken in (0.01, 0.02, 0.05):
    for name, measure in measures.items():
        cut = np.quantile(measure(*own["val"])[sure["val"] >= threshold], taken)
        kept = {part: (sure[part] >= threshold) & (measure(*own[part]) >= cut) for part in agrees}
        line(f"and {name}, {taken:.0%} rejected", kept)
