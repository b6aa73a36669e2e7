"""Power: errors planted in a run's own comparisons, and what share of them has to be caught."""
