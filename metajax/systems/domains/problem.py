"""From settings to source and target domains."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from metajax.continual import turned
from metajax.core import ConfigError, TaskDistribution
from metajax.data import Domains, DomainTasks, domain_circle
from metajax.learners import Experts, FeatureNetwork
from metajax.nn import mlp
from metajax.systems.domains.settings import Settings, Training
from metajax.systems.image_sets import image_pools


class Problem(NamedTuple):
    """Domains to learn from, and others to classify images of.

    Attributes:
      settings: what it was made from.
      tasks: what is trained on, a random source domain each.
      targets: the domains that accuracy is measured on.
      ways: classes.
    """

    settings: Settings
    tasks: DomainTasks
    targets: Domains
    ways: int

    @property
    def example_tasks(self) -> TaskDistribution:
        """Tasks of the shapes that training has."""
        return self.tasks

    def network(self, width: int) -> FeatureNetwork:
        """Return a network that predicts, an expert or a student.

        Args:
          width: of its hidden layer.
        """
        return FeatureNetwork(mlp((width,), self.settings.features), mlp((), self.ways))

    def experts(self, width: int) -> Experts:
        """Return networks that each learn one source domain.

        Args:
          width: of their hidden layers.
        """
        return Experts(self.network(width), self.settings.num_domains)

    def setting(self) -> str:
        """Return the tasks in a few words."""
        of = self.settings
        return f"{of.num_domains} unseen turns of {of.base_set}, {of.shots} images of each"


def make_problem(settings: Settings, training: Training, data_dir: Path | None = None) -> Problem:
    """Make the problem of some settings.

    Args:
      settings: of the problem.
      training: not read.
      data_dir: folder of the data sets.

    Raises:
      MissingDataError: the set is not on disk.
      ConfigError: the settings do not fit the set.
    """
    train, test = image_pools(settings, data_dir)
    if len(test.labels) <= settings.shots:
        expected = f"fewer than the {len(test.labels)} images of {settings.test_split}"
        raise ConfigError("shots", settings.shots, expected)
    sources, targets = domain_circle(train, test, turned, settings.num_domains, 2 * math.pi)
    tasks = DomainTasks(sources, settings.shots, settings.queries)
    return Problem(settings, tasks, targets, train.num_classes)
