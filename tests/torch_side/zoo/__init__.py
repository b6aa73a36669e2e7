"""Wrong torch callables of the kinds that people ship, each with a right twin, and right ones against other formulas."""
