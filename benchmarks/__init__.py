"""Ratios against peers, side by side and interleaved in one run: python -m benchmarks."""
