"""Single checks: a user's derivative compared with that of a NumPy function, and the report on the comparison."""
