"""The condition ``images``: images that a generator is to reconstruct."""
