"""The condition ``widths``: widths of a hidden layer."""
