"""The condition ``classes``: tuples of classes."""
