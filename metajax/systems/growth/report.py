"""The report on growth: accuracies, and what training has cost."""

from __future__ import annotations

from typing import Any

from metajax.systems.show import table as shared_table


def table(evaluation: dict[str, Any]) -> str:
    """Return the accuracies, the stages of training, and their operations."""
    more = evaluation["more"]
    lines = [shared_table(evaluation).replace(" tasks).", " test images).")]
    stages = (
        f"{one['network']}: {one['steps']} steps, {one['updates']} updates"
        for one in more["stages"]
    )
    lines.append("; ".join(stages) + ".")
    share = more["flops"] / more["budget"]
    lines.append(
        f"{more['flops']:.3g} operations, {share:.3f} of as many steps of the large network."
    )
    return "\n".join(lines)
