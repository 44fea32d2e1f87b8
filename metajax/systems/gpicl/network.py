"""From a config to a learner: the paper's Transformer, or one of its baselines."""

from __future__ import annotations

import optax

from metajax.nn import causal_transformer, lstm, mlp, outer_product_lstm
from metajax.systems.gpicl.config import Config
from metajax.systems.gpicl.learner import (
    SequenceLearner,
    context_free,
    in_context,
    nearest_neighbour,
    online_sgd,
)


def make_learner(config: Config) -> SequenceLearner:
    """Make the learner that ``config.learner`` names, for ``config.ways`` classes.

    ``sgd`` and ``maml`` are a two-layer MLP under Adam, one update an example.
    """
    name, ways = config.learner, config.ways
    if name == "transformer":
        network = causal_transformer(
            num_outputs=ways,
            width=config.width,
            layers=config.layers,
            heads=config.heads,
            key_size=config.key_size,
            mlp_ratio=config.mlp_ratio,
            max_length=config.examples,
        )
        return in_context(network, ways, label_scale=config.label_scale)
    if name == "lstm":
        network = lstm(num_outputs=ways, width=config.width)
        return in_context(network, ways, label_scale=config.label_scale)
    if name == "outer_product_lstm":
        network = outer_product_lstm(num_outputs=ways, width=config.width)
        return in_context(network, ways, label_scale=config.label_scale)
    if name == "mlp":
        return context_free(mlp([config.width, config.width], ways))
    if name == "nearest_neighbour":
        return nearest_neighbour(ways)
    # MAML differentiates through Adam: without eps_root the root of a zero second moment (a ReLU
    # that was off) has an infinite derivative
    adam = optax.adam(config.inner_lr, eps_root=1e-12)
    return online_sgd(mlp([config.width], ways), adam, learned_init=name == "maml")
