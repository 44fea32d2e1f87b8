"""A learner on a person's own data: it adapts to arrays or a file, answers, and is exported."""

from metajax.using.adapted import (
    Adapted,
    adapt_learner,
    check_no_steps,
    check_steps,
    load_exported,
    usual_key,
)
from metajax.using.files import (
    FIELD,
    Given,
    check_no_target,
    named_target,
    read_arrays,
    read_classes,
    read_queries,
)
from metajax.using.image_classes import classes, known_classes, tell_classes
from metajax.using.labels import Labels, Names, label, read_labeled
from metajax.using.points import curve, tell_curve
from metajax.using.queries import Form, ImageForm, RowForm, read_numbers, support_pair
from metajax.using.task_scores import scores
from metajax.using.telling import Told, tell_labels

__all__ = [
    "FIELD",
    "Adapted",
    "Form",
    "Given",
    "ImageForm",
    "Labels",
    "Names",
    "RowForm",
    "Told",
    "adapt_learner",
    "check_no_steps",
    "check_no_target",
    "check_steps",
    "classes",
    "curve",
    "known_classes",
    "label",
    "load_exported",
    "named_target",
    "read_arrays",
    "read_classes",
    "read_labeled",
    "read_numbers",
    "read_queries",
    "scores",
    "support_pair",
    "tell_classes",
    "tell_curve",
    "tell_labels",
    "usual_key",
]
