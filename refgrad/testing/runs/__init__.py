"""Runs: items of the suite judged case by case, recorded as they come, locked, resumed and shrunk."""
