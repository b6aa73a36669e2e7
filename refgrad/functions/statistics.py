"""Statistics and other sums: average, median, diff, nansum, trapezoid, cross, ptp."""
