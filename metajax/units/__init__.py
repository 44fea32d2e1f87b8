"""Names for the units of a network, and what they make possible: growth, experts, supernets."""

from metajax.units.axes import Axis, Units, reads
from metajax.units.choosing import choosing_mlp, chosen_mlp
from metajax.units.deepening import deepen, deepen_state
from metajax.units.experts import balance_loss, expert_ffn, top_k_gates, upcycle
from metajax.units.keeping import (
    keep_first,
    keep_largest,
    largest_masks,
    prune_units,
    relative_norms,
    share_masks,
)
from metajax.units.matching import match_units
from metajax.units.moves import (
    Deepen,
    Move,
    Widen,
    direct_moves,
    grow_mlp,
    random_moves,
    widths_after,
)
from metajax.units.networks import conv_units, graph_units, mlp_units, transformer_units
from metajax.units.ordering import path_length, smooth_path, unit_rows
from metajax.units.routing import DomainMasks, compact_experts, domain_masks, mix_experts
from metajax.units.spaces import (
    Architecture,
    Space,
    all_architectures,
    architecture_code,
    architecture_masks,
    fair_architectures,
    largest_architecture,
    random_code,
    sample_architecture,
    sandwich,
)
from metajax.units.sparsity import group_penalty
from metajax.units.supernets import Supernet, supernet
from metajax.units.taking import (
    map_state,
    mask_units,
    permute_units,
    slice_units,
    take_units,
    unit_norms,
    unit_sizes,
)
from metajax.units.weight_graphs import graph_weights, weight_graph, weight_kinds
from metajax.units.widening import widen, widen_state

__all__ = [
    "Architecture",
    "Axis",
    "Deepen",
    "DomainMasks",
    "Move",
    "Space",
    "Supernet",
    "Units",
    "Widen",
    "all_architectures",
    "architecture_code",
    "architecture_masks",
    "balance_loss",
    "choosing_mlp",
    "chosen_mlp",
    "compact_experts",
    "conv_units",
    "deepen",
    "deepen_state",
    "direct_moves",
    "domain_masks",
    "expert_ffn",
    "fair_architectures",
    "graph_units",
    "graph_weights",
    "group_penalty",
    "grow_mlp",
    "keep_first",
    "keep_largest",
    "largest_architecture",
    "largest_masks",
    "map_state",
    "mask_units",
    "match_units",
    "mix_experts",
    "mlp_units",
    "path_length",
    "permute_units",
    "prune_units",
    "random_code",
    "random_moves",
    "reads",
    "relative_norms",
    "sample_architecture",
    "sandwich",
    "share_masks",
    "slice_units",
    "smooth_path",
    "supernet",
    "take_units",
    "top_k_gates",
    "transformer_units",
    "unit_norms",
    "unit_rows",
    "unit_sizes",
    "upcycle",
    "weight_graph",
    "weight_kinds",
    "widen",
    "widen_state",
    "widths_after",
]
