"""The condition ``architectures``: architectures of multi-layer perceptrons."""
