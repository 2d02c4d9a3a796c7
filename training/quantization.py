"""8-bit LSTMs whose sums fit any processor that the package may be served on.

Without VNNI, x86 multiplies bytes in pairs and adds each pair in 16 bits: an unsigned 255 and a signed 127, twice, are
64,770, and what is above 32,767 is cut off without a word. With weights of 7 bits, up to 64, no pair is above 32,640. A
package is packed on one machine and served on another, so all are made so.
"""

from pathlib import Path

import onnx
from onnx import ModelProto
from onnxruntime.quantization import QuantType, quantize_dynamic

from training.tables import shrink

MOST_WEIGHT = 64
"""The largest absolute value of a weight."""


def quantize_lstms(model: ModelProto | Path, int8: Path) -> None:
    """Write a graph with its LSTMs' weights in 7 bits, a scale a column, and its lookup tables in 8.

    ONNX Runtime has an 8-bit kernel for LSTM alone: GRU and RNN cells stay in fp32. A lookup multiplies no bytes.
    """
    quantize_dynamic(
        model,
        int8,
        op_types_to_quantize=["LSTM"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
    )
    quantized = onnx.load(int8)
    shrink(quantized)
    onnx.save(quantized, int8)
