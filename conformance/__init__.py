"""The conformance suite: families say what to generate, mutants what must be caught, test_*.py what must hold."""
