"""Sine waves to regress, the standard few-shot regression tasks."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Key

from metajax.core import ConfigError, Examples, Task, register_dataclass


@register_dataclass
@dataclass(frozen=True)
class SinusoidTasks:
    """Tasks ``y = amplitude sin(x - phase)``, noise-free (Finn et al. 2017, arXiv 1703.03400).

    Attributes:
      amplitude: lowest and highest, uniform; .1 to 5 by default.
      phase: lowest and highest, uniform, radians; 0 to pi by default.
      inputs: lowest and highest x, uniform; -5 to 5 by default.
      support: examples to learn from. Static.
      query: examples to be scored on. Static.
    """

    amplitude: Float32[Array, "2"]
    phase: Float32[Array, "2"]
    inputs: Float32[Array, "2"]
    support: int = field(metadata={"static": True})
    query: int = field(metadata={"static": True})

    def __call__(self, key: Key[Array, ""]) -> Task:
        """Draw a task: inputs and targets ``[examples, 1]``."""
        num = self.support + self.query
        unit = jax.random.uniform(key, (2 + num,))

        def between(bounds, u):
            return bounds[0] + (bounds[1] - bounds[0]) * u

        amplitude, phase = between(self.amplitude, unit[0]), between(self.phase, unit[1])
        x = between(self.inputs, unit[2:])[:, None]
        examples = Examples(x, amplitude * jnp.sin(x - phase))
        return Task(
            jax.tree.map(lambda leaf: leaf[: self.support], examples),
            jax.tree.map(lambda leaf: leaf[self.support :], examples),
        )


def sinusoid_tasks(
    support: int = 10,
    query: int = 10,
    *,
    amplitude: tuple[float, float] = (0.1, 5.0),
    phase: tuple[float, float] = (0.0, 3.141592653589793),
    inputs: tuple[float, float] = (-5.0, 5.0),
) -> SinusoidTasks:
    """Make :class:`SinusoidTasks`, by default the standard ones.

    Args:
      support: points of a support.
      query: points of a query.
      amplitude: bounds of the amplitude.
      phase: bounds of the phase, in radians.
      inputs: bounds of the inputs.

    Returns:
      The task distribution; inputs and targets are float32 ``[points, 1]``.

    Raises:
      ConfigError: fewer than 1 example, or bounds that do not ascend.

    Examples:
      >>> import jax
      >>> from metajax.data import sinusoid_tasks
      >>> task = sinusoid_tasks(5, 10)(jax.random.key(0))
      >>> task.support.inputs.shape, task.query.targets.shape
      ((5, 1), (10, 1))
    """
    for name, num in (("support", support), ("query", query)):
        if num < 1:
            raise ConfigError(name, num, "1 example or more")
    for name, bounds in (("amplitude", amplitude), ("phase", phase), ("inputs", inputs)):
        if not bounds[0] <= bounds[1]:
            raise ConfigError(name, bounds, "the lowest value, then the highest")

    def array(bounds):
        return jnp.asarray(bounds, jnp.float32)

    return SinusoidTasks(array(amplitude), array(phase), array(inputs), support, query)
