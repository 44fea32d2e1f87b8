"""Bytes of activations that a step of TENT and of EcoTTA keeps, by the depth of the parts.

    python experiments/shift/memory.py --out experiments/shift/results/memory.json

Nothing is trained: the bytes are counted on the linearized program, from shapes alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp

from metajax import continual
from metajax.nn import parted_conv_net
from metajax.train import write_json

BATCH, SIDE, CHANNELS = 64, 14, (12, 24, 48)


def kept(layers: int) -> dict[str, int]:
    """The bytes of both methods, with so many convolutions in each part."""
    network = parted_conv_net(10, CHANNELS, layers=layers, convolution="native")
    meta = continual.meta_networks(network)

    def made(key, images):
        params, averages = network.init(key, images)
        return continual.SourceParams(params, averages, *meta.init(key, params, averages, images))

    images = jax.ShapeDtypeStruct((BATCH, SIDE, SIDE, 1), jnp.float32)
    params = jax.eval_shape(made, jax.random.key(0), images)
    return {
        "layers": layers,
        "tent": continual.residual_bytes(continual.tent(network), params, images),
        "ecotta": continual.residual_bytes(continual.ecotta(meta), params, images),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = [kept(layers) for layers in (1, 2, 4, 8)]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.out, {"batch": BATCH, "side": SIDE, "channels": CHANNELS, "rows": rows})


if __name__ == "__main__":
    main()
