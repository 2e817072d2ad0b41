#!/usr/bin/env python3
"""Asks a running `attar serve` with the packages that its clients use, unchanged.

    pip install openai huggingface_hub numpy openapi-spec-validator
    attar serve intents=DIR vectors=DIR
    benches/serving/clients.py [http://127.0.0.1:8080]

Exits 1 at the first answer that is not what it should be. Bundles that are not there are left out, and said.
"""
import json
import sys
import urllib.request

import numpy
from huggingface_hub import InferenceClient
from openai import NotFoundError, OpenAI
from openapi_spec_validator import validate

BASE = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
TEXTS = ["play some jazz", "put on music", "will it rain tomorrow"]


def get(path):
    with urllib.request.urlopen(BASE + path) as answer:
        return json.load(answer)


def post(path, body):
    request = urllib.request.Request(BASE + path, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def check(what, holds):
    if not holds:
        sys.exit(f"{what}: not so")
    print(f"{what}: as it should be")


def openai_package(model, others):
    client = OpenAI(base_url=f"{BASE}/v1", api_key="none")
    expected = numpy.array(post(f"/models/{model}/embed", {"inputs": TEXTS}), dtype="float32")
    # The package asks for base64 and decodes it.
    given = client.embeddings.create(model=model, input=TEXTS)
    vectors = numpy.array([row.embedding for row in given.data], dtype="float32")
    check("openai: vectors of a list", numpy.array_equal(vectors, expected))
    floats = client.embeddings.create(model=model, input=TEXTS[0], encoding_format="float")
    check("openai: numbers of one text", numpy.array_equal(numpy.float32(floats.data[0].embedding), expected[0]))
    short = client.embeddings.create(model=model, input=TEXTS[0], dimensions=8).data[0].embedding
    cut = expected[0][:8] / numpy.linalg.norm(expected[0][:8])
    check("openai: fewer dimensions", numpy.allclose(short, cut, atol=1e-6))
    ids = [token["id"] for token in post(f"/models/{model}/tokenize", {"inputs": TEXTS[0]})[0]]
    of_ids = client.embeddings.create(model=model, input=ids).data[0].embedding
    check("openai: ids", numpy.array_equal(numpy.float32(of_ids), expected[0]))
    check("openai: usage", given.usage.prompt_tokens == given.usage.total_tokens > 0)
    check("openai: models", model in [row.id for row in client.models.list()])
    if others:
        try:
            client.embeddings.create(model="nobody", input="a")
            check("openai: an unknown model is an error", False)
        except NotFoundError as error:
            check("openai: an unknown model is an error", "no bundle of this name" in error.message)


def hugging_face_client(models):
    kinds = {next(iter(model["model_type"])): model["model_id"] for model in models}
    if name := kinds.get("embedding"):
        client = InferenceClient(f"{BASE}/models/{name}/embed")
        expected = numpy.array(post(f"/models/{name}/embed", {"inputs": TEXTS[0]}), dtype="float32")
        check("huggingface_hub: features", numpy.array_equal(numpy.float32(client.feature_extraction(TEXTS[0])), expected))
        client = InferenceClient(f"{BASE}/models/{name}/similarity")
        given = client.sentence_similarity(TEXTS[0], other_sentences=TEXTS[1:])
        body = {"inputs": {"source_sentence": TEXTS[0], "sentences": TEXTS[1:]}}
        check("huggingface_hub: similarity", given == post(f"/models/{name}/similarity", body))
    if name := kinds.get("tagger"):
        client = InferenceClient(f"{BASE}/models/{name}/tag")
        text = "Ada Lovelace met Charles Babbage in London."
        given = client.token_classification(text)
        check("huggingface_hub: entities", [e.word for e in given] == [text[e.start:e.end] for e in given])
    if name := kinds.get("answerer"):
        client = InferenceClient(f"{BASE}/models/{name}/answer")
        context = "Ada Lovelace met Charles Babbage in London."
        given = client.question_answering(question="Who met him?", context=context)
        check("huggingface_hub: an answer", context[given.start:given.end] == given.answer)
    for kind in ["embedding", "tagger", "answerer"]:
        if kind not in kinds:
            print(f"huggingface_hub: no {kind} is served, left out")


def main():
    validate(get("/openapi.json"))
    print("openapi-spec-validator: a valid document")
    models = get("/models")
    embedding = [model["model_id"] for model in models if "embedding" in model["model_type"]]
    openai_package((embedding or [models[0]["model_id"]])[0], len(models) > 1)
    hugging_face_client(models)


main()
