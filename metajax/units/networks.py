"""Units of the library's own networks, found from their parameters."""

from __future__ import annotations

import re

from metajax.core import ConfigError, Params
from metajax.units.axes import Axis, Units, reads


def _numbered(params: Params, prefix: str, field: str = "params") -> list[str]:
    """Keys of a dict that are the prefix and a number, in the order of their numbers."""
    names = [name for name in params if re.fullmatch(prefix + r"\d+", name)]
    if not names:
        raise ConfigError(field, sorted(params), f"parameters with {prefix}0, {prefix}1, ...")
    return sorted(names, key=lambda name: int(name.removeprefix(prefix)))


def mlp_units(params: Params) -> Units:
    """Name the hidden units of :func:`metajax.nn.mlp`: ``h0``, ``h1``, ..., a name a layer.

    Args:
      params: of the network, or their shapes.

    Returns:
      The names.

    Raises:
      ConfigError: the parameters are of another network.
    """
    layers = _numbered(params, "Dense_")
    units = {}
    for number, name in enumerate(layers):
        read = reads(f"h{number - 1}") if number else None
        made = f"h{number}" if name != layers[-1] else None
        units[name] = {"kernel": (read, made), "bias": (made,)}
    return units


def conv_units(params: Params) -> Units:
    """Name the channels of :func:`metajax.nn.conv_net`: ``c0``, ``c1``, ..., a name a block.

    Those of the last block have no name where there is no head: they are the outputs.

    Args:
      params: of the network, or their shapes.

    Returns:
      The names.

    Raises:
      ConfigError: the parameters are of another network.
    """
    units: Units = {}
    blocks = _numbered(params, "conv_")
    read = None
    for number, name in enumerate(blocks):
        if name == blocks[-1] and "head" not in params:
            made = scaled = both = None
        else:
            made = f"c{number}"
            scaled, both = Axis(made, "scales"), Axis(made, "scales", times=2)
        units[name] = {"kernel": (None, None, read, made), "scale": (scaled,), "bias": (scaled,)}
        if "film" in params[name]:
            units[name]["film"] = {"kernel": (None, both)}
        read = None if made is None else reads(made)
    if read is not None:
        channels = params[blocks[-1]]["kernel"].shape[-1]
        pixels = params["head"]["kernel"].shape[0] // channels
        units["head"] = {"kernel": (reads(read.name, times=pixels), None), "bias": (None,)}
    return units


def transformer_units(params: Params, heads: int) -> Units:
    """Name the units of :func:`metajax.nn.causal_transformer`.

    The residual stream is ``width``. A layer has its attention heads, ``heads0``, ``heads1``, ...,
    and the hidden units of its feed-forward part, ``ffn0``, ``ffn1``, ...

    Args:
      params: of the network, or their shapes.
      heads: of a layer.

    Returns:
      The names.

    Raises:
      ConfigError: the parameters are of another network, or their heads cannot be so many.
    """
    normalized = {"scale": (Axis("width", "normalizes"),), "bias": (Axis("width", "normalizes"),)}
    read = reads("width")
    units: Units = {
        "embed": {"kernel": (None, "width"), "bias": ("width",)},
        "positions": (None, "width"),
        "norm": normalized,
        "head": {"kernel": (read, None), "bias": (None,)},
    }
    for number, name in enumerate(_numbered(params, "blocks_")):
        columns = params[name]["qkv"]["kernel"].shape[1]
        if heads < 1 or columns % (3 * heads):
            raise ConfigError("heads", heads, f"a number that divides {columns // 3}")
        key_size = columns // (3 * heads)
        attention, hidden = f"heads{number}", f"ffn{number}"
        qkv = Axis(attention, times=3, each=key_size)
        units[name] = {
            "norm1": normalized,
            "qkv": {"kernel": (read, qkv), "bias": (qkv,)},
            "out": {"kernel": (reads(attention, each=key_size), "width"), "bias": ("width",)},
            "norm2": normalized,
            "up": {"kernel": (read, hidden), "bias": (hidden,)},
            "down": {"kernel": (reads(hidden), "width"), "bias": ("width",)},
        }
    return units


def graph_units(params: Params) -> Units:
    """Name the units of :func:`metajax.nn.graph_net`, a name a layer.

    ``state0`` is what the encoder makes of a node, ``state1``, ``state2``, ... what each round
    makes, ``message0``, ``message1``, ... what an edge sends, ``readout`` what the head reads.
    Where a stack has more layers, the first ones add their number: ``state1_layer0``. The network's
    ``width`` is that of all states.

    Args:
      params: of the network, or their shapes.

    Returns:
      The names.

    Raises:
      ConfigError: the parameters are of another network.
    """

    def stack(layers: Params, read: Axis | tuple[Axis | int, ...] | None, made: str) -> Units:
        names = _numbered(layers, "layer_")
        units = {}
        for number, name in enumerate(names):
            own = made if name == names[-1] else f"{made}_layer{number}"
            units[name] = {"kernel": (read, own), "bias": (own,)}
            read = reads(own)
        return units

    units: Units = {"encoder": stack(params["encoder"], None, "state0")}
    rounds = _numbered(params, "round_") if "round_0" in params else []
    for number, name in enumerate(rounds):
        block, old, new = params[name], f"state{number}", f"state{number + 1}"
        nodes = block["update"]["layer_0"]["kernel"].shape[0]
        edges = block["message"]["layer_0"]["kernel"].shape[0] - 2 * nodes
        ends = (reads(old, times=2), edges)
        update = stack(block["update"], reads(old), new)
        units[name] = {
            "message": stack(block["message"], ends, f"message{number}"),
            "update": update,
            "received": {"kernel": (reads(f"message{number}"), update["layer_0"]["bias"][0])},
        }
    units["readout"] = stack(params["readout"], reads(f"state{len(rounds)}"), "readout")
    units["head"] = {"kernel": (reads("readout"), None), "bias": (None,)}
    return units
