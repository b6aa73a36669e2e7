"""Runs the items of the suite: judges their cases, records the verdicts, shrinks failing cases, and locks the output folder."""
