"""The widths that batches are padded to: few enough that the runtime's memory settles, and close enough to cost little.

ONNX Runtime keeps work space for the shapes it has seen. With every width of its own that space still grew after
thousands of batches; on this ladder it stood still from the first thousand on.
"""

_EXACT_BITS = 5
_EXACT = 1 << _EXACT_BITS


def rung(tokens: int) -> int:
    """Return the padded width of a batch whose longest row has so many tokens: at most a sixteenth more.

    Up to 32 every width is a rung; then there are sixteen to each doubling, 112 in all up to 1,024.
    """
    if tokens <= _EXACT:
        return tokens
    step = 1 << ((tokens - 1).bit_length() - _EXACT_BITS)
    return -(-tokens // step) * step
