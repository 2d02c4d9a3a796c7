"""Tiny packages that quote and write by rule, so that a test knows the answer before it asks.

The parrot's attention walks along the source, one token a step, and says what it attends to; it ends with the source.
The weigher scores a sentence by its length. Real ONNX graphs, written here node by node.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from app.modelpack.normalize import normalization

SPECIAL = ["<pad>", "<unk>", "<s>", "</s>", "<headline>", "<dialogue>", "<abstract>", "<nl>"]
PAD, UNK, BOS, EOS, HEADLINE, DIALOGUE, ABSTRACT = range(7)
TEXTS = {
    "en": [
        "The quick brown fox jumps over the lazy dog. It was 7 o'clock in the morning!",
        "Amanda: I baked cookies. Do you want some?\nJerry: Sure!\nAmanda: I'll bring you some tomorrow :-)",
        'Profit rose by 12 percent, the bank said on Monday; "we are pleased," its chief (a lawyer) added.',
        "A first sentence. A second, somewhat longer sentence. The third sentence is the longest one of all of them.",
    ],
    "zh": [
        "这个手机iPhone 15的屏幕真的漂亮。电池用了一周就坏了,快递三天才到。",
        "央行今天宣布下调存款准备金率0.5个百分点。",
    ],
}
_NORMALIZATION = {"en": 3, "zh": 4}
_IR_VERSION = 8
_OPSET = [helper.make_opsetid("", 17)]
_MATMUL = 256
Constants = dict[str, npt.NDArray[Any]]


def parrot(
    root: Path,
    name: str = "summarize-en",
    language: str = "en",
    *,
    labour: int = 0,
    stumbles_at: int = 0,
    **generation: Any,
) -> Path:
    """Write a package that repeats its source; each step costs ``labour`` products of two square matrices more.

    Its step graph fails at place ``stumbles_at`` of a source, where there is one.
    """
    tokenizer = _tokenizer(language)
    options = {
        "beams": {"min": 1, "max": 8, "default": 2},
        "min_tokens": {"min": 0, "max": 50, "default": 0},
        "max_tokens": {"min": 1, "max": 2000, "default": 200},
        "length_penalty": {"min": 0.0, "max": 2.0, "default": 1.0},
    }
    kinds = {"headline": {"id": HEADLINE}, "dialogue": {"id": DIALOGUE}, "abstract": {"id": ABSTRACT}}
    section = {
        "bos_id": BOS,
        "eos_id": EOS,
        "kinds": {kind: {**ids, **options} for kind, ids in kinds.items()},
        "block_ngram": 0,
        "coverage_penalty": 0.0,
        "digit_ids_only_copied": True,
        "recase": True,
        **generation,
    }
    encoder, step = _encoder(), _step(tokenizer.get_vocab_size(), labour, stumbles_at)
    graphs = {"encoder.onnx": (encoder, "encoder"), "step.onnx": (step, "step")}
    return _write(root / name / "1", language, tokenizer, graphs, task="summarize", generation=section)


def weigher(root: Path, name: str = "extract-en", language: str = "en", **extraction: Any) -> Path:
    """Write a package that finds a sentence the better the longer it is, and two alike that share their tokens."""
    tokenizer = _tokenizer(language)
    section = {
        "max_sentences": 40,
        "max_sentence_tokens": 30,
        "sentences": {"min": 1, "max": 10, "default": 2},
        "redundancy": 0.0,
        **extraction,
    }
    graph = _weigher(tokenizer.get_vocab_size())
    graphs = {"model.onnx": (graph, "model")}
    return _write(root / name / "1", language, tokenizer, graphs, task="extract", extraction=section)


def _tokenizer(language: str) -> Tokenizer:
    tokenizer = Tokenizer(BPE(unk_token="<unk>"))  # noqa: S106 - a token of text
    known = normalization(_NORMALIZATION[language])
    tokenizer.normalizer, tokenizer.pre_tokenizer = known.normalizer, known.pre_tokenizer
    trainer = BpeTrainer(vocab_size=400, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(TEXTS[language] * 5, trainer)
    return tokenizer


def _write(
    folder: Path,
    language: str,
    tokenizer: Tokenizer,
    graphs: dict[str, tuple[onnx.ModelProto, str]],
    **section: Any,
) -> Path:
    folder.mkdir(parents=True)
    contents = {file: graph.SerializeToString() for file, (graph, _) in graphs.items()}
    contents["tokenizer.json"] = tokenizer.to_str().encode()
    for file, raw in contents.items():
        (folder / file).write_bytes(raw)
    manifest = {
        "schema_version": 3,
        "name": folder.parent.name,
        "version": 1,
        "description": "for tests",
        "languages": [language],
        "labels": [],
        "tokenizer": {
            "file": "tokenizer.json",
            "normalization": _NORMALIZATION[language],
            "vocab_size": tokenizer.get_vocab_size(),
            "pad_id": PAD,
            "unk_id": UNK,
        },
        "limits": {"max_tokens": 400},
        "graphs": [_described(file, graph, role) for file, (graph, role) in graphs.items()],
        "files": {
            file: {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()} for file, raw in contents.items()
        },
        **section,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder


def _described(file: str, graph: onnx.ModelProto, role: str) -> dict[str, Any]:
    dtypes = {TensorProto.INT64: "int64", TensorProto.FLOAT: "float32"}
    sides = {
        side: [
            {
                "name": value.name,
                "dtype": dtypes[value.type.tensor_type.elem_type],
                "axes": [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim],
            }
            for value in values
        ]
        for side, values in (("inputs", graph.graph.input), ("outputs", graph.graph.output))
    }
    return {"file": file, "precision": "fp32", "role": role, **sides}


def _encoder() -> onnx.ModelProto:
    """Memory and keys are the ids; the state is the place in the source, which begins at 0."""
    inputs = [_ints("ids", ["batch", "tokens"]), _ints("lens", ["batch"]), _ints("kinds", ["batch"])]
    outputs = [_floats("memory", ["batch", "tokens", 1]), _floats("keys", ["batch", "tokens", 1])]
    outputs.append(_floats("state", ["batch", 1]))
    nodes = [
        helper.make_node("Cast", ["ids"], ["plain"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["plain", "last"], ["memory"]),
        helper.make_node("Identity", ["memory"], ["keys"]),
        helper.make_node("Add", ["lens", "kinds"], ["both"]),  # the runtime drops an input that nothing reads
        helper.make_node("Cast", ["both"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["real", "zero"], ["place"]),
        helper.make_node("Unsqueeze", ["place", "last"], ["state"]),
    ]
    return _model(nodes, inputs, outputs, {"last": np.array([-1], np.int64), "zero": np.array([0], np.float32)})


def _step(vocab: int, labour: int, stumbles_at: int) -> onnx.ModelProto:
    """Say the token at the place of the state, or end where the source does; then go one place on.

    The score of every other token falls with its id, the end's is far below them, and the walk along the source is the
    attention. A banned token gets nothing. What is said was copied, the end was not.
    """
    cell = ["rows", "beams"]
    inputs = [
        *(_ints("tokens", cell), _floats("state", [*cell, 1]), _floats("coverage", [*cell, "tokens"])),
        *(_floats("memory", ["rows", "tokens", 1]), _floats("keys", ["rows", "tokens", 1])),
        *(_ints("ids", ["rows", "tokens"]), _ints("lens", ["rows"]), _ints("banned", [*cell, "bans"])),
        *(_floats("free", ["rows"]), _ints("k", [1])),
    ]
    top = [*cell, "k"]
    outputs = [
        *(_ints("top_ids", top), _floats("top_logps", top), _floats("top_copied", top)),
        *(_floats("next_state", [*cell, 1]), _floats("next_coverage", [*cell, "tokens"])),
    ]
    forbidden = np.zeros((1, 1, vocab), np.float32)
    forbidden[..., [PAD, BOS, HEADLINE, DIALOGUE, ABSTRACT]] = -1e4
    forbidden[..., EOS] = -20
    constants: Constants = {
        "last": np.array([-1], np.int64),
        "first": np.array([1], np.int64),
        "one": np.array([1], np.float32),
        "nothing": np.array([0], np.float32),
        "eos": np.array([EOS], np.int64),
        "vocab": np.array([vocab], np.int64),
        "beyond": np.array([vocab + 1], np.int64),
        "said": np.array([0, 40], np.float32),
        "ban": np.array([0, -1e4], np.float32),
        "likes": (-np.arange(vocab, dtype=np.float32) / 100)[None, None] + forbidden,
        "length": np.array([1], np.int64),
        "none": np.array([0], np.int64),
    }
    nodes = [
        helper.make_node("Squeeze", ["state", "last"], ["place.real"]),
        helper.make_node("Cast", ["place.real"], ["place"], to=TensorProto.INT64),
        helper.make_node("Unsqueeze", ["lens", "last"], ["lens.2"]),
        helper.make_node("Less", ["place", "lens.2"], ["inside"]),
        helper.make_node("Sub", ["lens.2", "first"], ["lens.last"]),
        helper.make_node("Min", ["place", "lens.last"], ["here"]),
        helper.make_node("GatherElements", ["ids", "here"], ["seen"], axis=1),
        helper.make_node("Where", ["inside", "seen", "eos"], ["next"]),
        # log-probabilities: the next token far above the others, those that must not be far below
        helper.make_node("OneHot", ["next", "vocab", "said"], ["bonus"], axis=-1),
        helper.make_node("Add", ["bonus", "likes"], ["liked"]),
        helper.make_node("Less", ["banned", "none"], ["no.ban"]),
        helper.make_node("Where", ["no.ban", "vocab", "banned"], ["banned.known"]),
        helper.make_node("OneHot", ["banned.known", "beyond", "ban"], ["bans.all"], axis=-1),
        helper.make_node("ReduceSum", ["bans.all", "bans.axis"], ["bans"], keepdims=0),
        helper.make_node("Slice", ["bans", "none", "vocab", "last"], ["bans.of.vocab"]),
        helper.make_node("Add", ["liked", "bans.of.vocab"], ["logits"]),
        helper.make_node("LogSoftmax", ["logits"], ["logps"], axis=-1),
        helper.make_node("TopK", ["logps", "k"], ["top_logps", "top_ids"], axis=-1),
        # what is said at a place of the source is copied from there
        helper.make_node("Unsqueeze", ["seen", "last"], ["seen.3"]),
        helper.make_node("Equal", ["top_ids", "seen.3"], ["same"]),
        helper.make_node("Cast", ["same"], ["top_copied"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["state", "one"], ["walked"]),
        helper.make_node("Shape", ["ids"], ["shape"]),
        helper.make_node("Slice", ["shape", "length", "two", "none"], ["tokens.count"]),
        helper.make_node("OneHot", ["here", "tokens.count", "attention"], ["attended"], axis=-1),
        helper.make_node("Add", ["coverage", "attended"], ["next_coverage"]),
    ]
    constants |= {"two": np.array([2], np.int64), "attention": np.array([0, 1], np.float32)}
    constants |= {"bans.axis": np.array([2], np.int64)}
    # every input is read: the runtime would drop the others
    unread = ["tokens", "memory", "keys", "free"]
    for name in unread:
        nodes.append(helper.make_node("Cast", [name], [f"{name}.real"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("ReduceSum", [f"{name}.real"], [f"{name}.sum"], keepdims=0))
    nodes.append(helper.make_node("Sum", [f"{name}.sum" for name in unread], ["unread"]))
    before = "unread"
    if labour:
        constants["matrix"] = np.eye(_MATMUL, dtype=np.float32)
        for at in range(labour):
            nodes.append(helper.make_node("Add", ["matrix", before], [f"labour.{at}"]))
            nodes.append(helper.make_node("MatMul", [f"labour.{at}", "matrix"], [f"product.{at}"]))
            nodes.append(helper.make_node("ReduceMax", [f"product.{at}"], [f"max.{at}"], keepdims=0))
            before = f"max.{at}"
    if stumbles_at:  # which of one thing is taken: the first or, at that place, the second
        constants |= {"trap": np.array([stumbles_at], np.int64), "ground": np.zeros(1, np.float32)}
        nodes += [
            helper.make_node("Equal", ["place", "trap"], ["trapped"]),
            helper.make_node("Cast", ["trapped"], ["which"], to=TensorProto.INT64),
            helper.make_node("Gather", ["ground", "which"], ["stood.on"]),
            helper.make_node("ReduceSum", ["stood.on"], ["stood"], keepdims=0),
            helper.make_node("Add", [before, "stood"], ["stands"]),
        ]
        before = "stands"
    nodes.append(helper.make_node("Mul", [before, "nothing"], ["no.change"]))
    nodes.append(helper.make_node("Add", ["walked", "no.change"], ["next_state"]))
    return _model(nodes, inputs, outputs, constants)


def _weigher(vocab: int) -> onnx.ModelProto:
    """Score: length over length + 10. Vector: which tokens there are, padding aside, at unit length."""
    inputs = [_ints("ids", ["sentences", "tokens"]), _ints("lens", ["sentences"])]
    outputs = [_floats("scores", ["sentences"]), _floats("vectors", ["sentences", vocab])]
    present = np.ones((1, vocab), np.float32)
    present[:, PAD] = 0
    nodes = [
        helper.make_node("Cast", ["lens"], ["long"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["long", "ten"], ["longer"]),
        helper.make_node("Div", ["long", "longer"], ["scores"]),
        helper.make_node("OneHot", ["ids", "vocab", "hot"], ["marked"], axis=-1),
        helper.make_node("ReduceMax", ["marked"], ["bag"], axes=[1], keepdims=0),
        helper.make_node("Mul", ["bag", "present"], ["words"]),
        helper.make_node("LpNormalization", ["words"], ["vectors"], axis=-1, p=2),
    ]
    constants: Constants = {
        "ten": np.array([10], np.float32),
        "vocab": np.array([vocab], np.int64),
        "hot": np.array([0, 1], np.float32),
        "present": present,
    }
    return _model(nodes, inputs, outputs, constants)


def _ints(name: str, axes: Sequence[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.INT64, list(axes))


def _floats(name: str, axes: Sequence[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(axes))


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: Constants,
) -> onnx.ModelProto:
    stored = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, stored), opset_imports=_OPSET)
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model)
    return model
