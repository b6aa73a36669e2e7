"""Detection power: plants errors in the comparisons of a run and requires that a share of them is caught (mutation testing)."""
