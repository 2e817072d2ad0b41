"""A classifier behind FastAPI, the usual way made fast: onnxruntime in int8, the tokenizers library, and a queue from which whatever
waits is computed together.

    pip install fastapi uvicorn uvloop httptools orjson onnxruntime tokenizers numpy
    MODEL=OUT THREADS=2 uvicorn --app-dir benches/serving/fastapi app:app --port 8090 --log-level warning

MODEL is what export.py made. Batches hold at most BATCH texts (64), and a text waits at most WAIT_MS for others (0: a batch is what came
while the last one was computed). One thread computes beside the event loop; onnxruntime uses THREADS. `POST /predict` takes and gives what
`attar serve` does.
"""
import asyncio
import contextlib
import json
import os
import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import orjson
from fastapi import FastAPI, Request, Response
from tokenizers import Tokenizer

MODEL = pathlib.Path(os.environ["MODEL"])
BATCH = int(os.environ.get("BATCH", "64"))
WAIT = float(os.environ.get("WAIT_MS", "0")) / 1e3
LABELS = json.loads((MODEL / "labels.json").read_text())

tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
tokenizer.enable_truncation(128)
tokenizer.enable_padding()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(os.environ.get("THREADS", "2"))
session = onnxruntime.InferenceSession(str(MODEL / "model.onnx"), options, providers=["CPUExecutionProvider"])
thread = ThreadPoolExecutor(1)
queue = asyncio.Queue()


def compute(texts):
    encoded = tokenizer.encode_batch(texts)
    ids = np.array([one.ids for one in encoded], dtype=np.int64)
    mask = np.array([one.attention_mask for one in encoded], dtype=np.int64)
    (logits,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores = powers / powers.sum(axis=1, keepdims=True)
    order = np.argsort(-scores, axis=1)
    ordered = np.take_along_axis(scores, order, axis=1).tolist()
    return [
        orjson.dumps([{"score": score, "label": LABELS[label]} for score, label in zip(row, classes)])
        for row, classes in zip(ordered, order.tolist())
    ]


async def batches():
    loop = asyncio.get_running_loop()
    while True:
        waiting = [await queue.get()]
        if WAIT and queue.qsize() + 1 < BATCH:
            await asyncio.sleep(WAIT)
        while len(waiting) < BATCH and not queue.empty():
            waiting.append(queue.get_nowait())
        answers = await loop.run_in_executor(thread, compute, [text for text, _ in waiting])
        for (_, future), answer in zip(waiting, answers):
            if not future.done():
                future.set_result(answer)


@contextlib.asynccontextmanager
async def lifespan(_app):
    worker = asyncio.create_task(batches())
    yield
    worker.cancel()


app = FastAPI(lifespan=lifespan)


@app.post("/predict")
async def predict(request: Request):
    text = orjson.loads(await request.body())["inputs"]
    future = asyncio.get_running_loop().create_future()
    queue.put_nowait((text, future))
    return Response(await future, media_type="application/json")
