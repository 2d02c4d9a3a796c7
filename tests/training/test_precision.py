"""The precision that a run trains in."""

import logging
import os
import subprocess
import sys

import pytest

from training.precision import has_bf16_lstm, precision_for

PROBE = "from training.precision import precision_for; print(precision_for('bf16'))"


def test_bf16_is_had_where_the_processor_can(caplog: pytest.LogCaptureFixture) -> None:
    assert precision_for("bf16", can=lambda: True) == "bf16-mixed"
    assert not caplog.records


def test_elsewhere_it_is_32_bits_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert precision_for("bf16", can=lambda: False) == "32-true"
    assert "no LSTM in bf16" in caplog.text


def test_32_bits_are_32_bits_and_nothing_is_tried() -> None:
    def never() -> bool:
        raise AssertionError

    assert precision_for("32", can=never) == "32-true"


def test_a_processor_without_avx_512_is_found_out() -> None:
    """OneDNN can be told to leave instructions out."""
    old = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    found = subprocess.run([sys.executable, "-c", PROBE], env=old, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "32-true"


def test_what_is_tried_is_tried_once() -> None:
    assert has_bf16_lstm() is has_bf16_lstm()
    assert has_bf16_lstm.cache_info().currsize == 1
