#!/usr/bin/env python3
"""A student that classifies by the mean of its tokens as an int8 graph for app.py: exported by PyTorch, fused by onnxruntime's optimizer
and quantized by onnxruntime (dynamic, a scale for each channel).

    pip install torch transformers onnx onnxruntime
    benches/serving/fastapi/export.py STUDENT OUT

STUDENT is a model directory in f32 (`model.safetensors`, `tokenizer.json`). OUT gets `model.onnx`, `tokenizer.json` and `labels.json`.
"""
import json
import pathlib
import shutil
import sys
import tempfile

import onnx
import torch
import transformers
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from safetensors.torch import load_file

NAMES = ["input_ids", "attention_mask"]


class Classifier(torch.nn.Module):
    def __init__(self, source):
        super().__init__()
        weights = load_file(source / "model.safetensors")
        self.encoder = transformers.BertModel.from_pretrained(source, add_pooling_layer=False, attn_implementation="eager")
        self.classifier = torch.nn.Linear(*reversed(weights["classifier.weight"].shape))
        self.classifier.load_state_dict({part: weights[f"classifier.{part}"] for part in ("weight", "bias")})

    def forward(self, input_ids, attention_mask):
        states = self.encoder(input_ids, attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        return self.classifier((states * mask).sum(1) / mask.sum(1))


def main():
    source, out = map(pathlib.Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    config = json.loads((source / "config.json").read_text())
    labels = [config["id2label"][str(index)] for index in range(len(config["id2label"]))]
    (out / "labels.json").write_text(json.dumps(labels))
    shutil.copy(source / "tokenizer.json", out)
    ids = torch.ones((2, 8), dtype=torch.int64)
    axes = {name: {0: "batch", 1: "tokens"} for name in NAMES}
    with tempfile.TemporaryDirectory() as folder:
        plain, fused = f"{folder}/plain.onnx", f"{folder}/fused.onnx"
        # The older exporter, whose patterns the fusions know.
        torch.onnx.export(
            Classifier(source).eval(), (ids, ids), plain, input_names=NAMES, output_names=["logits"],
            dynamic_axes=axes, opset_version=17, dynamo=False,
        )
        sizes = {"num_heads": config["num_attention_heads"], "hidden_size": config["hidden_size"]}
        graph = optimizer.optimize_model(plain, model_type="bert", opt_level=0, **sizes)
        print(graph.get_fused_operator_statistics())
        graph.save_model_to_file(fused)
        # Shape inference does not know what a fused operator gives.
        options = {"DefaultTensorType": onnx.TensorProto.FLOAT}
        quantize_dynamic(fused, out / "model.onnx", per_channel=True, weight_type=QuantType.QInt8, extra_options=options)
    print((out / "model.onnx").stat().st_size, "bytes")


main()
