"""The conformance suite: families say what to generate, test_families.py says what must hold."""
