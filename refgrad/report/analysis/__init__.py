"""Analysis of a run: findings, coverage, power, news, and the verdict with its exit code."""
