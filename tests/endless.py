"""A graph whose run takes days, and ends early only where the runtime is told to."""

from functools import partial

from onnx import TensorProto, helper

DAYS = 1 << 60
"""Turns of the loop."""


def endless() -> bytes:
    """Return a graph that adds 0, 1, ... ``times`` - 1 to ``start``, one turn of a loop each: int64[] all."""
    whole, flag = (
        partial(helper.make_tensor_value_info, elem_type=kind, shape=[])
        for kind in (TensorProto.INT64, TensorProto.BOOL)
    )
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"]), helper.make_node("Add", ["sum", "at"], ["next"])],
        "body",
        [whole("at"), flag("on"), whole("sum")],
        [flag("still"), whole("next")],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["times", "", "start"], ["end"], body=body)],
        "endless",
        [whole("times"), whole("start")],
        [whole("end")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())
