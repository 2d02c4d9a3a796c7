"""Products of bounded numbers as bytes."""

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from training.summarize.bounded import columns, multiply_bytes

RNG = np.random.default_rng(7)
INNER, OUTER = 33, 50


def graph(matrix: np.ndarray, bias: np.ndarray | None) -> onnx.ModelProto:
    """Return tanh(x) times a matrix, with a bias or without, and one product that no tanh bounds."""
    nodes = [
        helper.make_node("Tanh", ["x"], ["bounded"]),
        helper.make_node("MatMul", ["bounded", "matrix"], ["product"]),
        helper.make_node("MatMul", ["x", "matrix"], ["free"]),
    ]
    weights = {"matrix": matrix}
    if bias is not None:
        nodes.append(helper.make_node("Add", ["bias", "product"], ["y"]))
        weights["bias"] = bias
    return helper.make_model(
        helper.make_graph(
            nodes,
            "products",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", INNER])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", OUTER])
                for name in ("product" if bias is None else "y", "free")
            ],
            [numpy_helper.from_array(value, name) for name, value in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


def answers(model: onnx.ModelProto, values: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(None, {"x": values})
    return found


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("biased", [True, False])
def test_the_product_is_nearly_what_it_was_and_others_are_untouched(*, biased: bool) -> None:
    model = graph(numbers(INNER, OUTER), numbers(OUTER) if biased else None)
    values = numbers(6, INNER)
    wanted, free = answers(model, values)
    multiply_bytes(model)
    assert [node.op_type for node in model.graph.node].count("MatMulIntegerToFloat") == 1
    assert "Add" not in {node.op_type for node in model.graph.node}
    found, still_free = answers(model, values)
    np.testing.assert_allclose(found, wanted, atol=0.01 * wanted.std() * 5)
    np.testing.assert_array_equal(still_free, free)


def test_a_row_is_multiplied_alike_alone_and_in_company() -> None:
    model = graph(numbers(INNER, OUTER), numbers(OUTER))
    multiply_bytes(model)
    values = numbers(9, INNER)
    together = answers(model, values)[0]
    for at in range(len(values)):
        np.testing.assert_array_equal(answers(model, values[at : at + 1])[0][0], together[at])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), inner=st.integers(1, 9), flat=st.booleans())
def test_no_two_neighbours_exceed_16_bits_and_each_weight_is_kept_to_half_a_step(
    *, seed: int, inner: int, flat: bool
) -> None:
    rng = np.random.default_rng(seed)
    matrix = np.ones((inner, 5), np.float32) if flat else rng.normal(size=(inner, 5)).astype(np.float32)
    steps, scales = columns(matrix)
    wide = np.pad(steps.astype(int), ((0, inner % 2), (0, 0)))
    assert 255 * np.abs(wide[::2] + wide[1::2]).max() < 2**15
    assert np.abs(steps * scales - matrix).max() <= scales.max() / 2 + 1e-6
