"""The engines that attar is measured beside, each at its best for one model, one batch and one number of threads.

Not a program: `runtime.py`, `text.py` and `cold.py` use it. Every engine offers candidates (graphs, hints,
attention implementations); the fastest of a short trial is the one that takes part. What an engine needs
beside the model directory (ONNX files, OpenVINO's model) is made from it once and kept in its folder.
"""

import contextlib
import functools
import gc
import importlib.metadata
import io
import logging
import os
import pathlib
import random
import shutil
import subprocess
import time
import warnings

import numpy as np

import common

# Of a short trial: least calls, and milliseconds after which it has seen enough.
TRIAL_CALLS, TRIAL = 3, 200.0
# Of OpenVINO's calibration: texts of 2 to 128 tokens. With one length alone the error doubles at others.
CALIBRATION_TEXTS, CALIBRATION_TOKENS = 64, 128
CHECKED_ROWS = 32
# Of calls: the time that passes, or that which this program's threads spend on processors.
CLOCK = time.perf_counter


def count_processor_time():
    """From now on calls are timed by the processors, which other programs disturb least; on one thread alone that is a time."""
    global CLOCK
    CLOCK = time.process_time


class Model:
    """A model directory, and what is made from it for the engines."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    @functools.cached_property
    def config(self):
        import transformers

        return transformers.BertConfig.from_pretrained(self.folder)

    def torch(self, attention="sdpa"):
        """The model of `transformers`, in evaluation mode."""
        import transformers

        load = transformers.BertForSequenceClassification.from_pretrained
        return load(self.folder, attn_implementation=attention).eval()

    def logits_of(self, attention):
        """A module from token ids and mask to logits. Token types are constants: texts are single."""
        import torch

        class Logits(torch.nn.Module):
            def __init__(self, model):
                super().__init__()
                self.model = model

            def forward(self, input_ids, attention_mask):
                return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

        # Export puts a module back into the mode it had: in training mode the next pass would have dropout.
        return Logits(self.torch(attention)).eval()

    def onnx(self, graph, precision):
        """File of the plain or fused ONNX graph, in f32 or with dynamic int8."""
        path = self.made("onnxruntime") / f"{graph}.{precision}.onnx"
        if not path.exists():
            # An interrupted run leaves no half-written file behind.
            part = path.with_name(f"part.{path.name}")
            {"f32": self.export_onnx, "int8": self.quantize_onnx}[precision](graph, part)
            part.rename(path)
        return path

    def export_onnx(self, graph, path):
        if graph == "fused":
            from onnxruntime.transformers import optimizer

            sizes = {"num_heads": self.config.num_attention_heads, "hidden_size": self.config.hidden_size}
            # The graph as exported: onnxruntime's own optimizations come when it loads the file.
            fused = optimizer.optimize_model(str(self.onnx("plain", "f32")), model_type="bert", opt_level=0, **sizes)
            attentions = fused.get_fused_operator_statistics()["Attention"]
            if attentions != self.config.num_hidden_layers:
                raise RuntimeError(f"fused {attentions} attentions of {self.config.num_hidden_layers} layers")
            fused.save_model_to_file(str(path))
            return
        import torch

        ids = torch.ones((2, 8), dtype=torch.int64)
        # The older exporter and plain attention: the patterns that onnxruntime's fusions know.
        torch.onnx.export(
            self.logits_of("eager"),
            (ids, ids),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={name: {0: "batch", 1: "tokens"} for name in ("input_ids", "attention_mask")},
            opset_version=17,
            dynamo=False,
        )

    def quantize_onnx(self, graph, path):
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(
            self.onnx(graph, "f32"),
            path,
            per_channel=True,
            reduce_range=False,
            weight_type=QuantType.QInt8,
            # Shape inference does not know what a fused operator gives.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )

    def openvino(self, precision):
        """File of OpenVINO's model, in f32 or quantized by NNCF: int8 weights and activations, calibrated."""
        import openvino
        import torch

        path = self.made("openvino") / f"{precision}.xml"
        if path.exists():
            return path
        if precision == "f32":
            ids = torch.ones((2, 8), dtype=torch.int64)
            model = openvino.convert_model(self.logits_of("sdpa"), example_input=(ids, ids))
            for given, name in zip(model.inputs, ("input_ids", "attention_mask")):
                given.get_tensor().set_names({name})
        else:
            import nncf

            nncf.set_log_level(logging.ERROR)
            draw = np.random.default_rng(3)
            lengths = draw.integers(2, CALIBRATION_TOKENS + 1, CALIBRATION_TEXTS)
            texts = [feed([draw.integers(0, self.config.vocab_size, length)]) for length in lengths]
            graph = openvino.Core().read_model(self.openvino("f32"))
            # Its option for transformers is no faster and, on random weights, further from f32.
            with contextlib.redirect_stdout(io.StringIO()):
                model = nncf.quantize(graph, nncf.Dataset(texts), subset_size=len(texts))
        # Else weights would be stored in half precision.
        part = path.with_name(f"part.{path.name}")
        openvino.save_model(model, part, compress_to_fp16=False)
        # The description last: it is the one that is looked for.
        for suffix in (".bin", ".xml"):
            part.with_suffix(suffix).rename(path.with_suffix(suffix))
        return path

    def made(self, package):
        """Folder of what this version of a package has made or will read."""
        folder = self.folder / f"{package}-{importlib.metadata.version(package)}"
        folder.mkdir(exist_ok=True)
        return folder


class Case:
    """A batch of rows of the same length, and those that are checked: at least 32 rows, of all lengths."""

    def __init__(self, batch, tokens):
        self.batch, self.tokens = batch, tokens
        draw = random.Random(1)
        rows = [[draw.randrange(common.VOCABULARY) for _ in range(tokens)] for _ in range(max(batch, CHECKED_ROWS))]
        self.uniform = [rows[i : i + batch] for i in range(0, len(rows), batch)]
        self.ids = self.uniform[0]
        # The first row is short too, so that a batch of one has padding to get wrong.
        cut = [row[: tokens - 5 - 7 * i % (tokens - 5)] for i, row in enumerate(rows)]
        self.ragged = [cut[i : i + batch] for i in range(0, len(cut), batch)]

    def __str__(self):
        return f"{self.batch}×{self.tokens}"


class Side:
    """An engine that is ready for a case."""

    def __init__(self, engine, precision, threads, variant, forward, logits, ragged=True):
        self.engine, self.precision, self.threads, self.variant = engine, precision, threads, variant
        self.logits, self.ragged, self.estimate = logits, ragged, 0.0
        self.turn = lambda calls: common.timed(forward, calls, CLOCK)

    def __str__(self):
        variant = f" ({self.variant})" if self.variant else ""
        return f"{self.engine}{variant} {self.precision}, threads {self.threads}"


def fastest(candidates):
    """The fastest candidate of a short trial, in turns; none if none works."""
    ready = []
    for make in candidates:
        try:
            side = make()
            side.estimate = side.turn(2)[-1]
            ready.append((side, [side.estimate]))
        except Exception as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            print(f"left out: {make.__name__ if hasattr(make, '__name__') else make.func.__name__}: {reason[0][:200]}")
    for _ in range(40 if len(ready) > 1 else 1):
        for side, times in ready:
            if len(times) < TRIAL_CALLS or sum(times) < TRIAL:
                times += common.take_turn(side)
    for side, times in ready:
        side.estimate = min(times)
    best = min((side for side, _ in ready), key=lambda side: side.estimate, default=None)
    del ready
    gc.collect()
    return best


def onnxruntime(model, precision, threads, case):
    """Plain and fused graph."""
    return [functools.partial(onnxruntime_side, model, precision, threads, case, graph) for graph in ("plain", "fused")]


def onnxruntime_side(model, precision, threads, case, graph):
    import onnxruntime

    session = onnxruntime_session(model.onnx(graph, precision), threads)
    tensors = {name: onnxruntime.OrtValue.ortvalue_from_numpy(value) for name, value in feed(case.ids).items()}
    binding = session.io_binding()
    for name, value in tensors.items():
        binding.bind_ortvalue_input(name, value)
    binding.bind_output("logits", "cpu")

    def logits(ids):
        return session.run(["logits"], feed(ids))[0]

    return Side("onnxruntime", precision, threads, graph, lambda: session.run_with_iobinding(binding), logits)


def onnxruntime_session(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def openvino(model, precision, threads, case):
    """Both hints, and the batch cut into a part for each thread."""
    ways = [("latency", "LATENCY", 1), ("throughput", "THROUGHPUT", 1)]
    if threads > 1 and case.batch % threads == 0:
        ways.append(("streams", "THROUGHPUT", threads))
    return [functools.partial(openvino_side, model, precision, threads, case, *way) for way in ways]


def openvino_side(model, precision, threads, case, variant, hint, parts):
    import openvino

    core = openvino.Core()
    graph = core.read_model(model.openvino(precision))
    shape = [case.batch // parts, case.tokens]
    graph.reshape({name: shape for name in ("input_ids", "attention_mask")})
    # What is not int8 is f32 on both sides: else OpenVINO would take bfloat16 where the processor has it.
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": hint}
    if parts > 1:
        settings["NUM_STREAMS"] = parts
    compiled = core.compile_model(graph, "CPU", settings)
    requests = [compiled.create_infer_request() for _ in range(parts)]

    def give(ids):
        for name, value in feed(ids, case.tokens).items():
            for request, part in zip(requests, np.split(value, parts)):
                request.set_tensor(name, openvino.Tensor(part.copy()))

    def forward():
        if parts == 1:
            requests[0].infer()
            return
        for request in requests:
            request.start_async()
        for request in requests:
            request.wait()

    def logits(ids):
        give(ids)
        forward()
        result = np.concatenate([request.get_output_tensor(0).data.copy() for request in requests])
        give(case.ids)
        return result

    give(case.ids)
    return Side("OpenVINO", precision, threads, variant, forward, logits)


def pytorch(model, precision, threads, case):
    """Both implementations of attention."""
    return [functools.partial(pytorch_side, model, precision, threads, case, way) for way in ("sdpa", "eager")]


def pytorch_side(model, precision, threads, case, attention):
    import torch

    network = model.torch(attention)
    uniform = torch.tensor(case.ids)

    @torch.inference_mode()
    def forward():
        torch.set_num_threads(threads)
        network(input_ids=uniform)

    @torch.inference_mode()
    def logits(ids):
        given = {name: torch.from_numpy(value) for name, value in feed(ids).items()}
        return network(**given).logits.numpy()

    return Side("PyTorch", precision, threads, attention, forward, logits)


def compiled(model, precision, threads, case):
    """`torch.compile`, for this very batch, with the weights as constants; none without a compiler."""
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++")):
        print("left out: PyTorch compiled, which needs a C++ compiler")
        return []
    return [functools.partial(compiled_side, model, precision, threads, case)]


def compiled_side(model, precision, threads, case):
    import torch

    torch._dynamo.config.recompile_limit = 256
    torch.set_num_threads(threads)
    network = model.torch("sdpa")
    run = torch.compile(lambda ids: network(input_ids=ids).logits, dynamic=False, options={"freezing": True})
    uniform = torch.tensor(case.ids)

    @torch.no_grad()
    def forward():
        torch.set_num_threads(threads)
        run(uniform)

    @torch.no_grad()
    def logits(ids):
        torch.set_num_threads(threads)
        return run(torch.tensor(ids)).numpy()

    forward()
    return Side("compiled", precision, threads, "", forward, logits, ragged=False)


class ChildEngine:
    """An engine behind the line protocol; a process for each number of threads if the engine wants that."""

    def __init__(self, name, start, process_per_threads=False):
        self.name, self.start, self.process_per_threads = name, start, process_per_threads
        self.children, self.loaded = {}, {}

    def __call__(self, model, precision, threads, case):
        return [functools.partial(self.side, model, precision, threads, case)]

    def side(self, model, precision, threads, case):
        child, number = self.load(model, precision, threads)
        lengths = [case.tokens] * case.batch

        def logits(ids):
            return np.array(child.ask(model=number, ids=ids)["logits"], dtype=np.float32)

        side = Side(self.name, precision, threads, "", None, logits)
        side.turn = lambda calls: child.ask(model=number, lengths=lengths, calls=calls)["milliseconds"]
        if CLOCK is time.process_time:
            side.turn = functools.partial(self.turn_on_processor, child, number, lengths)
        return side

    @staticmethod
    def turn_on_processor(child, number, lengths, calls):
        """The mean of some calls, for each of them: the line protocol is a part of it."""
        before = common.processor_time(child.process.pid)
        child.ask(model=number, lengths=lengths, calls=calls)
        return [(common.processor_time(child.process.pid) - before) * 1e3 / calls] * calls

    def load(self, model, precision, threads):
        """The process and the number that it gave the model."""
        key = threads if self.process_per_threads else 0
        if key not in self.children:
            self.children[key] = self.start(threads)
        child, what = self.children[key], (str(model.folder), precision, threads)
        if what not in self.loaded:
            self.loaded[what] = child.ask(load=what[0], precision=precision, threads=threads)["model"]
        return child, self.loaded[what]

    def drop(self):
        """Frees all models."""
        for (_, _, threads), number in self.loaded.items():
            self.children[threads if self.process_per_threads else 0].ask(drop=number)
        self.loaded.clear()

    def close(self):
        for child in self.children.values():
            child.close()


def attar(program=None):
    return ChildEngine("attar", lambda threads: common.attar_bench(program))


def candle():
    """candle's BERT: `benches/peers/candle`, built for this processor."""

    @functools.cache
    def program():
        target = common.ROOT / "target/peers-candle"
        manifest = common.ROOT / "benches/peers/candle/Cargo.toml"
        build = ["cargo", "build", "--release", "--locked", "--manifest-path", manifest, "--target-dir", target]
        flags = {"RUSTFLAGS": "-Ctarget-cpu=native"}
        subprocess.run(build, check=True, env=os.environ | flags)
        return target / "release/candle-peer"

    def start(threads):
        return common.Child(program(), environment={"RAYON_NUM_THREADS": str(threads)})

    return ChildEngine("candle", start, process_per_threads=True)


def feed(ids, tokens=None):
    """Token ids padded to the longest row, or to a number of tokens, and their mask."""
    longest = tokens or max(map(len, ids))
    padded, mask = (np.zeros((len(ids), longest), dtype=np.int64) for _ in range(2))
    for i, row in enumerate(ids):
        padded[i, : len(row)], mask[i, : len(row)] = row, 1
    return {"input_ids": padded, "attention_mask": mask}


def versions():
    names = ("onnxruntime", "openvino", "nncf", "torch", "transformers", "tokenizers")
    known = []
    for name in names:
        try:
            known.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            known.append(f"no {name}")
    return ", ".join(known)


def quiet():
    """Silences what engines say while they load and convert."""
    import transformers

    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()
