"""Parameters and memory of the decoders of a graph hypernetwork, by the largest width.

    python experiments/weights/decoder_sizes.py --out experiments/weights/results/decoder_sizes.json

Nothing is trained or computed: parameters are counted from shapes, and memory is what the compiled
program reserves for its arguments, temporaries and outputs as it decodes one tensor of 64 x 64.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp

from metajax.core import Network, Params, count
from metajax.hypernet import decoded_entries, full_matrix, low_rank
from metajax.train import write_json

FEATURES, RANK, TENSOR = 64, 32, 64
WIDTHS = (128, 256, 512, 1024, 2048)


def sizes(decoder: Network) -> dict[str, int]:
    """The parameters of a decoder, and the bytes that decoding takes."""

    def decode(params: Params, features: jax.Array) -> jax.Array:
        return decoded_entries(decoder.apply(params, features), TENSOR, TENSOR)

    features = jax.ShapeDtypeStruct((FEATURES,), jnp.float32)
    params = jax.eval_shape(decoder.init, jax.random.key(0), features)
    memory = jax.jit(decode).lower(params, features).compile().memory_analysis()
    taken = memory.argument_size_in_bytes + memory.temp_size_in_bytes + memory.output_size_in_bytes
    return {"parameters": count(params), "bytes": taken}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = [
        {
            "largest": width,
            "low_rank": sizes(low_rank(width, RANK)),
            "full": sizes(full_matrix(width)),
        }
        for width in WIDTHS
    ]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    of = {"features": FEATURES, "rank": RANK, "tensor": TENSOR}
    write_json(options.out, {**of, "rows": rows})


if __name__ == "__main__":
    main()
