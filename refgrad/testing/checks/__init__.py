"""Single checks: a derivative of the user's against the derivative of a NumPy function, and the report on it."""
