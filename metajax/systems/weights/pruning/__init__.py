"""The condition ``pruning``: pruning."""
