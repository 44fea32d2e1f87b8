"""Errors about data that a person can act on."""

from __future__ import annotations

from metajax.core import MetajaxError


class MissingDataError(MetajaxError):
    """A set is not on disk; the message holds the command that brings it."""


class BadDataError(MetajaxError):
    """A file or a set on disk cannot be used; the message names it and says what is wrong."""
