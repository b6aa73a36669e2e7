"""Tracing: NumPy's protocols lead from ordinary NumPy code to ops, in forward mode, in reverse mode and over Balls."""
