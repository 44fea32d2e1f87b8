"""The methods of growth that make experts of a trained network, and their baselines."""

from __future__ import annotations

from typing import Annotated, Literal

from jaxtyping import Array

from metajax import learners
from metajax.core import Count, NonNegative, ProperFraction, divisor_of
from metajax.systems.base import Method
from metajax.systems.growth.problem import Problem
from metajax.systems.growth.settings import Active, Blocks, Dense, Training
from metajax.systems.growth.stage import Networks, Stage, in_stages, named, of_widths, one_stage

BLOCKS = Blocks()
DENSE = Dense()
ACTIVE = Active()


def moe_tuning(
    problem: Problem,
    training: Training,
    *,
    blocks: Blocks = BLOCKS,
    copies: Count = 4,
    parts: Annotated[Count, divisor_of("block_hidden")] = 2,
    balance: NonNegative = 0.01,
    router: Literal["repeated", "random"] = "repeated",
) -> Method:
    """Train a network, make each feed-forward block experts (Dynamic-DINO, arXiv 2507.17436).

    Args:
      copies: Copies of each block.
      parts: Experts that a copy is split into, and experts that an image uses in each block.
      balance: Weight of the loss that experts are used evenly.
      router: "repeated": the parts of a copy begin with equal rows, so that nothing changes;
        "random": each expert has its own row.
    """
    network, experts = problem.block_network(blocks), copies * parts
    dense, tuned = learners.upcycling(
        network,
        copies,
        parts,
        learners.stage_lengths(training.steps, [blocks.dense_share]),
        training.make_optimizer,
        balance=balance,
        router=router,
    )
    title = f"{blocks.blocks} blocks of {blocks.block_hidden}"
    before = Stage(dense, title, problem.block_flops(blocks), row="dense")
    after = Stage(tuned, title, problem.block_flops(blocks, copies, experts))
    if experts == 1:
        return in_stages([before, after])

    def further(networks: Networks, inputs: Array) -> dict[str, Array]:
        found = learners.compare_upcycled(network, networks, inputs, copies, parts, router)
        return found._asdict()

    title = f"{title} as {experts} experts, {parts} used"
    return in_stages([before, after._replace(name=title, further=further)])


def dense_continued(problem: Problem, training: Training, *, blocks: Blocks = BLOCKS) -> Method:
    """Train the network of `moe_tuning` on for as many steps, without experts: its baseline.

    It is `moe_tuning` with one copy of one part, so the optimizer starts again where it does there.
    """
    return moe_tuning(problem, training, blocks=blocks, copies=1, parts=1, balance=0.0)


def read_me(
    problem: Problem,
    training: Training,
    *,
    dense: Dense = DENSE,
    active: Active = ACTIVE,
    router_share: ProperFraction = 0.1,
    router_width: Count = 32,
    units: Literal["domain", "random", "all"] = "domain",
) -> Method:
    """Split a trained network into experts of domains, and route by the image (arXiv 2410.19123).

    Args:
      router_share: Part of the steps in which the router alone is trained.
      router_width: Hidden units of the router.
      units: "domain": an expert has the units that are most active on its domain (Read-ME);
        "random": others; "all": all experts have the most active units of all domains.
    """
    sizes = problem.part_of_large(active.active_share)
    experts = learners.ActivatedExperts(
        problem.large, sizes, problem.ways, problem.tasks.domains, router_width
    )
    steps = learners.stage_lengths(training.steps, [dense.dense_share, router_share])
    whole, routed, tuned = learners.read_me(experts, steps, training.make_optimizer, units)

    def further(networks: Networks, inputs: Array) -> dict[str, Array]:
        return learners.compare_activated(experts, networks, inputs)._asdict()

    title, flops = f"{experts.domains} experts {named(sizes)}", problem.expert_flops(experts)
    return in_stages(
        [
            of_widths(problem, whole, problem.large, row="dense"),
            Stage(routed, f"{title}, router", flops, row="start"),
            Stage(tuned, title, flops, further=further),
        ]
    )


def narrow_network(problem: Problem, training: Training, *, active: Active = ACTIVE) -> Method:
    """Train a network of an expert's size from scratch for as many steps: baseline of `read_me`."""
    sizes = problem.part_of_large(active.active_share)
    learner = learners.smoothed_labels(problem.network(sizes))
    return one_stage(training, learner, named(sizes), problem.update_flops(sizes))
