"""Judging: observed arrays against reference values and their error bounds, node by node, end to end and in every mode."""
