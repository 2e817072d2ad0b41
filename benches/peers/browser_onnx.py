"""A student that classifies by the mean of its tokens, as ONNX files for browser.mjs: by PyTorch's own exporter, in f32 and quantized to
int8 by onnxruntime (dynamic, weights by channel). OUT/transformers is the latter as transformers.js reads it.

    browser_onnx.py STUDENT OUT

needs torch, transformers, onnx and onnxruntime from PyPI. STUDENT is a model directory in f32 with `2_Classifier`.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.torch import load_file
from transformers import BertModel


class Student(torch.nn.Module):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.encoder = BertModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager")
        weights = load_file(folder / "2_Classifier/model.safetensors")
        self.classifier = torch.nn.Linear(*reversed(weights["linear.weight"].shape))
        self.classifier.load_state_dict({"weight": weights["linear.weight"], "bias": weights["linear.bias"]})

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states = self.encoder(input_ids, attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        return self.classifier((states * mask).sum(1) / mask.sum(1))


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    ids = torch.ones(2, 16, dtype=torch.int64)
    axes = {0: torch.export.Dim("texts", min=1, max=256), 1: torch.export.Dim("tokens", min=2, max=512)}
    torch.onnx.export(
        Student(folder).eval(),
        (ids, torch.ones_like(ids)),
        out / "model.onnx",
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_shapes=(axes, axes),
        dynamo=True,
        external_data=False,
    )
    quantize_dynamic(out / "model.onnx", out / "model.int8.onnx", per_channel=True, weight_type=QuantType.QInt8)
    for name in ["model.onnx", "model.int8.onnx"]:
        print(name, (out / name).stat().st_size, "bytes")
    layout = out / "transformers"
    (layout / "onnx").mkdir(parents=True, exist_ok=True)
    shutil.copy(out / "model.int8.onnx", layout / "onnx/model_quantized.onnx")
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(folder / name, layout)
    config = json.loads((folder / "config.json").read_text())
    print(config["num_hidden_layers"], "layers of", config["hidden_size"])


main()
