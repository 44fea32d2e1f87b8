"""The methods of growth that make experts of a trained network, and their baselines."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree

from metajax import learners
from metajax.core import Count, GradientState, NonNegative, Params, ProperFraction, divisor_of
from metajax.systems.base import Method
from metajax.systems.growth.problem import Problem, update_operations
from metajax.systems.growth.settings import Active, Blocks, Dense, Training, early_steps
from metajax.systems.growth.stage import Stage, in_stages, named, one_stage, told

BLOCKS = Blocks()
DENSE = Dense()
ACTIVE = Active()
UPDATES = 8
"""Updates whose images show which units are active, at most: more change the means little."""


def upcycled(
    problem: Problem,
    training: Training,
    of: Blocks,
    copies: int,
    parts: int,
    balance: Any,
    router: Literal["repeated", "random"],
) -> Method:
    """Return the method that trains a residual network, then the experts of its blocks."""
    sizes = of.block_width, of.block_hidden, of.blocks
    network = learners.feed_forward_blocks(*sizes, problem.ways)
    dense = learners.smoothed_labels(network)
    tuned = learners.tuned_experts(network, copies, parts, balance, router)
    first = early_steps(of.dense_share, training.steps)
    left = training.steps - first

    def split(params: Params, key: Key[Array, ""]) -> Params:
        return learners.upcycle_blocks(params, copies, parts, key, router)

    def change(before: GradientState, own: GradientState, key: Key[Array, ""]) -> GradientState:
        return own._replace(params=split(before.params, key))

    def more(networks: tuple[Params, ...], inputs: Array) -> Any:
        usual = network.apply(networks[0], inputs)
        if copies * parts == 1:
            return {"dense": usual}, {}
        # the first router is not kept, so this is another draw of it
        start, _ = learners.apply_experts(split(networks[0], jax.random.key(0)), inputs, parts)
        _, routes = learners.apply_experts(networks[1], inputs, parts)
        used = (routes.weights > 0).astype(usual.dtype)
        arrays = {
            "changed": jnp.max(jnp.abs(start - usual)),
            "largest": jnp.max(jnp.abs(usual)),
            "used_together": jnp.einsum("bne,bnf->bef", used, used) / len(inputs),
        }
        return {"dense": usual, "start": start}, arrays

    before = learners.GrowthStage(lambda done: dense, training.make_optimizer(first), first)
    after = learners.GrowthStage(
        lambda done: tuned, training.make_optimizer(left), left, change=change
    )

    def operations(copies: int, experts: int) -> int:
        """With all experts evaluated, and their routers."""
        block = 2 * copies * of.block_width * of.block_hidden + experts * of.block_width
        features = problem.tasks.features
        ends = features * of.block_width, of.block_width * problem.ways
        return update_operations([ends[0], *[block] * of.blocks, ends[1]])

    title = f"{of.blocks} blocks of {of.block_hidden}"
    last = f"{title} as {copies * parts} experts, {parts} used" if copies * parts > 1 else title
    tuning = told(
        after,
        last,
        lambda params, inputs: learners.apply_experts(params, inputs, parts)[0],
        operations(copies, copies * parts),
        more=more,
    )
    return in_stages([told(before, title, network.apply, operations(1, 0)), tuning])


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
    return upcycled(problem, training, blocks, copies, parts, balance, router)


def dense_continued(problem: Problem, training: Training, *, blocks: Blocks = BLOCKS) -> Method:
    """Train the network of `moe_tuning` on for as many steps, without experts: its baseline.

    It is `moe_tuning` with one copy of one part, so the optimizer starts again where it does there.
    """
    return upcycled(problem, training, blocks, 1, 1, 0.0, "repeated")


def active_sizes(problem: Problem, active: Active) -> tuple[int, ...]:
    """Return the hidden layers of a network with a part of the large one's units."""
    return tuple(max(round(active.active_share * width), 1) for width in problem.large)


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
    domains = problem.tasks.domains
    sizes = active_sizes(problem, active)
    experts = learners.ActivatedExperts(problem.large, sizes, problem.ways, domains, router_width)
    alone, learner = learners.smoothed_labels(experts.network), experts.learner()
    first = early_steps(dense.dense_share, training.steps)
    second = early_steps(router_share, training.steps)
    left = training.steps - first - second

    def stage(steps: int, moving: tuple[str, ...], **changes: Any) -> learners.GrowthStage:
        optimizer = learners.moving_only(training.make_optimizer(steps), moving)
        return learners.GrowthStage(lambda done: learner, optimizer, steps, **changes)

    def hand_over(before: GradientState, own: GradientState, key: Key[Array, ""]) -> GradientState:
        return own._replace(params={**own.params, "dense": before.params})

    def choose(
        state: GradientState, tasks: PyTree, key: Key[Array, ""], axis_name: str | None
    ) -> GradientState:
        params, inputs = state.params, tasks.inputs[:, :UPDATES]
        activity = learners.activity_of_domains(params["dense"], inputs, domains)
        if axis_name is not None:
            activity = jax.lax.pmean(activity, axis_name)
        return state._replace(params=experts.choose(params, activity, key, units))

    def keep(before: GradientState, own: GradientState, key: Key[Array, ""]) -> GradientState:
        return own._replace(params=before.params)

    trained = learners.GrowthStage(lambda done: alone, training.make_optimizer(first), first)
    chosen = stage(second, ("router",), change=hand_over, prepare=choose)
    tuned = stage(left, ("router", "shared", "own"), change=keep)

    def more(networks: tuple[Params, ...], inputs: Array) -> Any:
        own = jax.nn.one_hot(jnp.arange(len(inputs)) // (len(inputs) // domains), domains)
        routes = experts.route(networks[2], inputs)
        logits = {
            "dense": experts.network.apply(networks[0], inputs),
            "start": experts.apply(networks[1], inputs),
            "own_start": experts.apply(networks[1], inputs, own),
            "own_domain": experts.apply(networks[2], inputs, own),
        }
        return logits, {"routes": own.T @ routes / jnp.sum(own, axis=0)[:, None]}

    router = [problem.tasks.features * router_width, router_width * domains]
    both = domains * problem.update_flops(sizes) + update_operations(router)
    both += problem.forward_flops(problem.large)  # the dense network, which votes
    title = f"{domains} experts {named(sizes)}"
    large, flops = named(problem.large), problem.update_flops(problem.large)
    return in_stages(
        [
            told(trained, large, experts.network.apply, flops),
            told(chosen, f"{title}, router", experts.apply, both),
            told(tuned, title, experts.apply, both, more=more),
        ]
    )


def narrow_network(problem: Problem, training: Training, *, active: Active = ACTIVE) -> Method:
    """Train a network of an expert's size from scratch for as many steps: baseline of `read_me`."""
    sizes = active_sizes(problem, active)
    network = problem.network(sizes)
    flops = problem.update_flops(sizes)
    part = Stage(named(sizes), network.apply, training.steps, 1, flops)
    return one_stage(training, learners.smoothed_labels(network), part)
