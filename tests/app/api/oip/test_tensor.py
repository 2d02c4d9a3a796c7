"""Tensors: JSON and bytes to arrays and back, and what is refused with the tensor's name."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.oip.tensor import BYTES, DATATYPES, datatype_of, numbers, of_bytes, of_values, strings, to_bytes
from app.errors import InvalidInference


@pytest.mark.parametrize("datatype", [name for name in DATATYPES if name != BYTES])
def test_numbers_are_the_same_after_json_and_after_bytes(datatype: str) -> None:
    data: list[Any] = [True, False, True, True, False, False] if datatype == "BOOL" else [0, 1, 2, 3, 4, 5]
    tensor = of_values("x", datatype, [2, 3], data)
    assert tensor.array.ravel().tolist() == data
    again = of_bytes("x", datatype, [2, 3], to_bytes(tensor))
    assert np.array_equal(again.array, tensor.array)
    assert again.array.dtype == tensor.array.dtype
    assert datatype_of(tensor.array.dtype) == datatype


@given(st.lists(st.text()))
def test_any_text_is_the_same_after_bytes(texts: list[str]) -> None:
    assert of_bytes("text", BYTES, [len(texts)], to_bytes(strings("text", texts))).array.tolist() == texts


def test_a_string_has_its_length_in_four_bytes_in_front() -> None:
    assert to_bytes(strings("text", ["é", ""])) == b"\x02\x00\x00\x00\xc3\xa9\x00\x00\x00\x00"


def test_nested_values_are_read_as_flat_ones() -> None:
    nested = of_values("x", "INT32", [2, 1, 3], [[[1, 2, 3]], [[4, 5, 6]]])
    assert np.array_equal(nested.array, of_values("x", "INT32", [2, 1, 3], [1, 2, 3, 4, 5, 6]).array)


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "complaint"),
    [
        ("INT64", [2], [1], "has 1 values; expected 2"),
        ("INT64", [2, 2], [[1, 2], [3]], "not nested as its shape"),
        ("INT64", [2], [[1], [2]], "whole numbers"),
        ("INT64", [2, 2], [[1, 2], 3], "not nested as its shape"),
        ("BYTES", [], [[]], "expected strings"),
        ("INT64", [4, 0], [[], []], "not nested as its shape"),
        ("INT64", [1], [1.5], "expected whole numbers alone"),
        ("INT64", [1], [True], "expected whole numbers alone"),
        ("UINT8", [1], [256], "cannot hold"),
        ("UINT8", [1], [-1], "cannot hold"),
        ("FP32", [1], [1e300], "cannot hold"),
        ("FP32", [1], ["1"], "expected numbers alone"),
        ("BOOL", [1], [1], "expected true and false alone"),
        ("BYTES", [1], [1], "expected strings"),
        ("BYTES", [1], [None], "expected strings"),
        ("BF16", [1], [1], "expected one of"),
        ("STRING", [1], ["a"], "expected one of"),
        ("INT64", [1] * 9, [1], "up to 8 sizes"),
        ("INT64", [-1], [1], "0 or more"),
    ],
)
def test_values_that_do_not_fit_are_refused(datatype: str, shape: list[int], data: list[Any], complaint: str) -> None:
    with pytest.raises(InvalidInference, match=rf"input 'x' .*{complaint}"):
        of_values("x", datatype, shape, data)


@pytest.mark.parametrize(
    ("datatype", "raw", "complaint"),
    [
        ("INT64", b"\0" * 15, "15 bytes; expected 16"),
        ("BYTES", b"\x01\0\0\0a", "1 strings; expected 2"),
        ("BYTES", b"\x09\0\0\0a", "ends inside a string"),
        ("BYTES", b"\x01\0\0", "ends inside a string"),
        ("BYTES", b"\x01\0\0\0\xff\x01\0\0\0a", "not UTF-8"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(datatype: str, raw: bytes, complaint: str) -> None:
    with pytest.raises(InvalidInference, match=complaint):
        of_bytes("x", datatype, [2], raw)


def test_an_array_keeps_its_own_type() -> None:
    assert numbers("x", np.zeros((2, 3), np.float16)).datatype == "FP16"
