"""From settings to the few-shot problem: its tasks, its networks and its loss."""

from __future__ import annotations

from metajax.core import Network
from metajax.learners import cross_entropy, mean_squared_error
from metajax.learners.losses import Loss
from metajax.nn import conv_net, mlp
from metajax.systems.parts import PartedProblem


class Problem(PartedProblem):
    """Few-shot tasks, and what every method for them is made of."""

    __slots__ = ()

    @property
    def loss(self) -> Loss:
        """The cross-entropy on images, the mean squared error on sinusoids."""
        return cross_entropy if self.images else mean_squared_error

    @property
    def metric(self) -> str:
        """The metric of ``learner.loss`` that tasks are scored by."""
        return "accuracy" if self.images else "query_loss"

    @property
    def ways(self) -> int | None:
        """Classes of a task of images; None on sinusoids, which are regressed."""
        return self.settings.ways if self.images else None

    @property
    def inner_lr(self) -> float:
        """The usual learning rate of adapting the network."""
        return 0.1 if self.images else 0.01

    @property
    def head(self) -> str:
        """The name of the network's last layer."""
        return "head" if self.images else f"Dense_{self.settings.layers}"

    def network(self, context_size: int | None = None) -> Network:
        """Return the convolutional network, with logits, or the regressor.

        Args:
          context_size: numbers that modulate the convolutions, only for images.
        """
        of = self.settings
        if self.images:
            return conv_net(
                of.ways, channels=of.channels, layers=of.layers, context_size=context_size
            )
        return mlp((of.width,) * of.layers, 1)

    def features(self) -> Network:
        """Return the same network without its last layer."""
        of = self.settings
        if self.images:
            return conv_net(None, channels=of.channels, layers=of.layers, context_size=None)
        return mlp((of.width,) * (of.layers - 1), of.width)
