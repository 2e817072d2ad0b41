"""What a practitioner would try: counted words, the frozen encoder, SetFit, sentence-transformers.

    python3 -m venv VENV && VENV/bin/pip install -r experiments/defaults/requirements.txt
    VENV/bin/python experiments/defaults/peers.py [--methods tfidf,frozen] [--sets sst2,…] [--sizes 8,…] [--seeds 1,2,3]

Needs the files of `prepare.py` and the encoder (`--encoder`, or $ATTAR_ENCODER; `../shared/tools/get-teacher`
puts it there). Each result is a line of peers.jsonl; what is there is not computed again. One thread, unless
$OMP_NUM_THREADS says otherwise. Methods:

- tfidf: TF-IDF of words (1 and 2) and of characters inside words (2 to 5), logistic regression, C by
  cross-validation. Pairs: both texts, and how far they overlap. Scores: overlap alone, ridge regression.
- frozen: the encoder's mean vectors and logistic regression, C by cross-validation; pairs as [u, v, |u−v|, u·v].
  Scores: the cosine, nothing trained.
- frozen-ridge: for scores, ridge regression on [|u−v|, u·v, cosine].
- setfit: SetFit with its defaults.
- st: sentence-transformers' own training with the settings of its examples: CosineSimilarityLoss, batches of 16,
  four epochs for scores; SoftmaxLoss, batches of 16, one epoch for pairs with classes.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import scipy.sparse
import scipy.stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import f1_score, matthews_corrcoef
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

import sets

RESULTS = sets.HERE / "peers.jsonl"
VECTORS = sets.RUNS / "vectors"
# From strong regularization to nearly none: unit vectors of 384 numbers want a weak one.
STRENGTHS = [0.1, 1.0, 10.0, 100.0, 1000.0]
# Rows from which on three folds choose C instead of five, and n-grams that occur once are left out.
MANY_ROWS = 5000
RESAMPLES = 1000


class Rows:
    """Training and test rows of a set, a size and a seed."""

    def __init__(self, one, size, seed):
        self.set, self.size, self.seed = one, size, seed
        self.train = sets.read(one.folder(size, seed) / "train.csv")
        self.test = sets.read(one.test())
        number = one.score is not None
        self.y, self.truth = (np.array([float(v) if number else v for v in part[2]]) for part in (self.train, self.test))


# --- scores ---


def measure(metric, truth, answers):
    """A metric as attar defines it: macro-F1 over the classes that are true or predicted, F1 of the second class."""
    match metric:
        case "accuracy":
            return float(np.mean(truth == answers))
        case "macro_f1":
            return float(f1_score(truth, answers, average="macro"))
        case "f1":
            return float(f1_score(truth, answers, pos_label=max(set(truth.tolist()))))
        case "matthews":
            return float(matthews_corrcoef(truth, answers))
        case "pearson":
            return float(scipy.stats.pearsonr(truth, answers).statistic)
        case "spearman":
            return float(scipy.stats.spearmanr(truth, answers).statistic)
    raise ValueError(f"no metric {metric!r}")


def scores(rows, answers):
    """All metrics of a set, and a 95 % interval of the first by bootstrap over the test rows."""
    answers, metrics = np.asarray(answers), rows.set.metrics
    result = {metric: measure(metric, rows.truth, answers) for metric in metrics}
    random = np.random.default_rng(0)
    draws = random.integers(len(answers), size=(RESAMPLES, len(answers)))
    spread = [measure(metrics[0], rows.truth[draw], answers[draw]) for draw in draws]
    return {"scores": result, "interval": [float(edge) for edge in np.quantile(spread, [0.025, 0.975])]}


# --- linear models ---


def classify(x, x_test, rows):
    """Logistic regression with C by cross-validation on the set's first metric (the least C among equals)."""
    y, seed, metric = rows.y, rows.seed, rows.set.metrics[0]
    found = np.zeros(len(STRENGTHS))
    folds = StratifiedKFold(3 if len(y) >= MANY_ROWS else 5, shuffle=True, random_state=seed)
    for fit, held in folds.split(np.zeros(len(y)), y):
        model = LogisticRegression(max_iter=300, warm_start=True)
        for index, strength in enumerate(STRENGTHS):
            model.set_params(C=strength)
            found[index] += measure(metric, y[held], model.fit(x[fit], y[fit]).predict(x[held]))
    best = STRENGTHS[int(np.argmax(found))]
    return LogisticRegression(C=best, max_iter=1000).fit(x, y).predict(x_test), {"c": best}


def ridge(x, y, x_test):
    """Ridge regression, its penalty by leave-one-out."""
    model = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-3, 3, 13)))
    answers = model.fit(x, y).predict(x_test)
    return answers, {"alpha": float(model[-1].alpha_)}


# --- counted words ---


def counts(rows_to_fit):
    least = 2 if rows_to_fit >= MANY_ROWS else 1
    shared = {"sublinear_tf": True, "min_df": least, "dtype": np.float32}
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **shared)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), **shared)
    return FeatureUnion([("words", words), ("characters", characters)])


def overlap(first, second, vectorizer):
    """How far two texts overlap: shares of common words, cosines of counted words and characters, lengths."""
    columns = []
    for _, part in vectorizer.transformer_list:
        u, v = part.transform(first), part.transform(second)
        columns.append(np.asarray(u.multiply(v).sum(axis=1)).ravel())
    for one, other in zip(first, second):
        a, b = set(one.lower().split()), set(other.lower().split())
        common = len(a & b)
        columns.append((common / max(len(a | b), 1), common / max(len(a), 1), common / max(len(b), 1),
                        abs(len(a) - len(b)), min(len(a), len(b)) / max(len(a), len(b), 1),
                        float(one.lower() == other.lower())))
    return np.column_stack([*columns[:2], np.array(columns[2:])])


def tfidf(rows, _encoder):
    first, second, _ = rows.train
    first_test, second_test, _ = rows.test
    vectorizer = counts(len(first)).fit([*first, *(second or [])])
    if not rows.set.pair:
        return classify(vectorizer.transform(first), vectorizer.transform(first_test), rows)
    near, near_test = overlap(first, second, vectorizer), overlap(first_test, second_test, vectorizer)
    if rows.set.score:
        return ridge(near, rows.y, near_test)
    scale = StandardScaler().fit(near)
    wide = lambda a, b, n: scipy.sparse.hstack(
        [vectorizer.transform([f"{x} {y}" for x, y in zip(a, b)]), scale.transform(n)], format="csr", dtype=np.float32)
    return classify(wide(first, second, near), wide(first_test, second_test, near_test), rows)


# --- the frozen encoder ---


class Encoder:
    """Unit vectors of texts, kept in a file for each set."""

    def __init__(self, path):
        self.path = path
        self.known = {}

    def vectors(self, name, texts):
        file = VECTORS / f"{name}.npz"
        if name not in self.known:
            self.known[name] = {}
            if file.exists():
                stored = np.load(file)
                self.known[name] = dict(zip(stored["texts"].tolist(), stored["vectors"]))
        known = self.known[name]
        if missing := sorted(set(texts) - known.keys()):
            known.update(zip(missing, self.model().encode(missing, batch_size=64, normalize_embeddings=True)))
            VECTORS.mkdir(parents=True, exist_ok=True)
            np.savez(file, texts=np.array(list(known), dtype=str), vectors=np.array(list(known.values())))
        return np.array([known[text] for text in texts])

    def model(self):
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        return SentenceTransformer(str(self.path), device="cpu")


def pairs_of_vectors(rows, encoder):
    for first, second, _ in (rows.train, rows.test):
        yield encoder.vectors(rows.set.name, first), encoder.vectors(rows.set.name, second)


def frozen(rows, encoder):
    if rows.set.score:
        (_, (u, v)) = pairs_of_vectors(rows, encoder)
        return np.sum(u * v, axis=1), {}
    if rows.set.pair:
        x, x_test = (np.hstack([u, v, np.abs(u - v), u * v]) for u, v in pairs_of_vectors(rows, encoder))
    else:
        x, x_test = (encoder.vectors(rows.set.name, part[0]) for part in (rows.train, rows.test))
    return classify(x, x_test, rows)


def frozen_ridge(rows, encoder):
    x, x_test = (
        np.hstack([np.abs(u - v), u * v, np.sum(u * v, axis=1, keepdims=True)]) for u, v in pairs_of_vectors(rows, encoder))
    return ridge(x, rows.y, x_test)


# --- others' fine-tuning ---


def setfit(rows, encoder):
    import torch
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    labels = sorted(set(rows.y.tolist()))
    model = SetFitModel.from_pretrained(str(encoder.path), labels=labels, device="cpu")
    data = Dataset.from_dict({"text": rows.train[0], "label": [labels.index(y) for y in rows.y.tolist()]})
    folder = sets.RUNS / "setfit"
    arguments = TrainingArguments(output_dir=str(folder), seed=rows.seed, save_strategy="no", report_to="none")
    trainer = Trainer(model=model, args=arguments, train_dataset=data)
    trainer.train()
    answers = model.predict(rows.test[0], batch_size=64)
    return np.array([str(a) for a in answers]), {}


def sentence_transformers(rows, encoder):
    import torch
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers import losses

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    # The trainer sets the seed too, but after the classifier of SoftmaxLoss has its first weights.
    torch.manual_seed(rows.seed)
    model = SentenceTransformer(str(encoder.path), device="cpu")
    labels = sorted(set(rows.y.tolist()))
    columns = {"sentence1": rows.train[0], "sentence2": rows.train[1]}
    if rows.set.score:
        low, high = rows.set.score
        columns["score"] = ((rows.y - low) / (high - low)).tolist()
        loss, epochs = losses.CosineSimilarityLoss(model), 4
    else:
        columns["label"] = [labels.index(y) for y in rows.y.tolist()]
        width = model.get_embedding_dimension()
        loss, epochs = losses.SoftmaxLoss(model, width, num_labels=len(labels)), 1
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(sets.RUNS / "st"), num_train_epochs=epochs, per_device_train_batch_size=16, warmup_steps=0.1,
        seed=rows.seed, save_strategy="no", report_to="none", use_cpu=True)
    SentenceTransformerTrainer(model=model, args=arguments, train_dataset=Dataset.from_dict(columns), loss=loss).train()
    model.eval()
    u, v = (model.encode(part, batch_size=64, convert_to_tensor=True) for part in rows.test[:2])
    if rows.set.score:
        return torch.nn.functional.cosine_similarity(u, v).cpu().numpy(), {"epochs": epochs}
    with torch.no_grad():
        answers = loss.classifier(torch.cat([u, v, (u - v).abs()], dim=1)).argmax(dim=1)
    return np.array(labels)[answers.cpu().numpy()], {"epochs": epochs}


# --- what is run on what ---

SMALL = {"8", "64"}
FEW = {"sst2", "agnews", "snips"}
VECTOR_PACKAGES = ["sentence-transformers", "transformers", "torch"]
METHODS = {
    "tfidf": (tfidf, lambda one, size: True, ["scikit-learn"]),
    "frozen": (frozen, lambda one, size: True, ["scikit-learn", *VECTOR_PACKAGES]),
    "frozen-ridge": (frozen_ridge, lambda one, size: one.score is not None, ["scikit-learn", *VECTOR_PACKAGES]),
    "setfit": (setfit, lambda one, size: one.name in FEW and size in SMALL, ["setfit", *VECTOR_PACKAGES]),
    "st": (sentence_transformers, lambda one, size: one.pair, VECTOR_PACKAGES),
}


def recorded():
    """Set, size, seed and method of each result that is there: read anew, another process may be writing."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return {tuple(line[name] for name in ("set", "size", "seed", "method")) for line in map(json.loads, lines)}


def seeds_of(method, size, wanted):
    """Linear models on a full set depend on no seed but that of the folds: one is enough."""
    return wanted[:1] if size == "full" and method in ("tfidf", "frozen", "frozen-ridge") else wanted


def main():
    words = lambda text: text.split(",")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--methods", type=words, default=list(METHODS), help=f"of {','.join(METHODS)}")
    parser.add_argument("--sets", type=words, default=list(sets.SETS), help=f"of {','.join(sets.SETS)}")
    parser.add_argument("--sizes", type=words, default=["8", "64", "256", "full"], help="rows a class, or full")
    parser.add_argument("--seeds", type=words, default=[str(seed) for seed in sets.SEEDS])
    parser.add_argument("--encoder", type=pathlib.Path,
                        default=os.environ.get("ATTAR_ENCODER", sets.ROOT / "target/assets/all-MiniLM-L6-v2"))
    args = parser.parse_args()
    encoder = Encoder(args.encoder)
    for method in args.methods:
        run, fits, packages = METHODS[method]
        for size in args.sizes:
            for one in (sets.SETS[name] for name in args.sets):
                if size not in one.sizes or not fits(one, size):
                    continue
                for seed in map(int, seeds_of(method, size, args.seeds)):
                    if (one.name, size, seed, method) in recorded():
                        continue
                    rows = Rows(one, size, seed)
                    started, busy = time.perf_counter(), time.process_time()
                    answers, chosen = run(rows, encoder)
                    seconds, busy = time.perf_counter() - started, time.process_time() - busy
                    line = {"set": one.name, "size": size, "seed": seed, "method": method,
                            "train_rows": len(rows.y), "test_rows": len(rows.truth),
                            **scores(rows, answers), "chosen": chosen,
                            "seconds": round(seconds, 1), "processor_seconds": round(busy, 1),
                            "versions": {name: importlib.metadata.version(name) for name in packages}}
                    with RESULTS.open("a") as file:
                        file.write(json.dumps(line) + "\n")
                    shown = ("set", "size", "seed", "method", "scores", "chosen", "seconds")
                    print(json.dumps({name: line[name] for name in shown}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
