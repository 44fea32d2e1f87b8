"""Small sequence learners by name, for the tests of what all of them share."""

from metajax import learners, nn

NAMES = [
    "transformer",
    "lstm",
    "outer_product_lstm",
    "shared_cells",
    "mlp",
    "maml",
    "sgd",
    "nearest_neighbour",
]


def sequence_learner(name, *, ways, examples, width=8, layers=1, inner_lr=1e-3):
    """Return the learner of a name for sequences of a length."""
    if name == "transformer":
        network = nn.causal_transformer(
            num_outputs=ways,
            width=width,
            layers=layers,
            heads=2,
            key_size=width // 2,
            max_length=examples,
        )
        return learners.in_context(network, ways, label_scale=4.0)
    if name in ("lstm", "outer_product_lstm"):
        network = getattr(nn, name)(num_outputs=ways, width=width)
        return learners.in_context(network, ways, label_scale=4.0)
    if name == "shared_cells":
        return learners.shared_cells(ways, width=4, messages=3, hidden=(3,) * (layers - 1))
    if name == "mlp":
        return learners.context_free(nn.mlp([width, width], ways))
    if name == "nearest_neighbour":
        return learners.nearest_neighbour(ways)
    return learners.online_adam(nn.mlp([width], ways), inner_lr, learned_init=name == "maml")
