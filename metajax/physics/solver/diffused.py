"""Nonlinear problems by way of more diffusion, where Gauss-Newton ends at no solution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metajax.physics.solver.clock import Clock
from metajax.physics.solver.fitting import Fitted, weighted_rows
from metajax.physics.solver.lapack import HostHead, solve_stacked
from metajax.physics.solver.nonlinear import combine_nonlinear, gauss_newton, length, tabulate
from metajax.physics.solver.operators import At, Block, Operator
from metajax.physics.solver.ridge_functions import FeatureSet

POOR = 1e-3
"""What is left, relative to the data, above which a solution is sought by way of more diffusion."""
MOST = 420
"""Features up to which it is: with more, there is a solution by fewer to start from."""
FACTORS = 4.0 ** np.arange(5, -1, -1)
"""Of the second derivatives on the way: at first they outweigh all else."""


def combine_diffused(
    blocks: Sequence[Block],
    features: FeatureSet,
    before: Fitted | None = None,
    *,
    clock: Clock | None = None,
) -> HostHead:
    """Return the best combination of features for a nonlinear problem.

    Gauss-Newton may end where nothing near leaves less, though something else does: an inner layer
    is far from all that coarse features make of it. With many times the diffusion there is no
    layer. Less and less of it leads to the solution.

    Args:
      blocks: of the problem.
      features: that are combined.
      before: a solution to start from.
      clock: stops the search for a solution; None: nothing does.
    """
    clock = clock or Clock()
    found = combine_nonlinear(blocks, features, before, clock=clock)
    second = blocks[0].parts[0].operator.hessian
    if len(found.weights) > MOST or second is None or clock.stops():
        return found
    table = tabulate(blocks, features)
    left = length(table.left(table.state(found.weights)))
    if left < POOR * max(length(table.targets), np.finfo(float).tiny):
        return found
    head: HostHead | None = None
    for factor in FACTORS:
        ((points, operator),) = blocks[0].parts
        more = Operator(operator.value, operator.gradient, factor * second)
        equation = blocks[0]._replace(parts=(At(points, more),))
        if head is None:
            head = solve_stacked(weighted_rows((equation, *blocks[1:]), features))
        step = gauss_newton(tabulate((equation, *blocks[1:]), features), head, clock=clock)
        if step is None or clock.stops():
            return found
        head = step.head
    assert head is not None
    return head if length(table.left(table.state(head.weights))) < left else found
