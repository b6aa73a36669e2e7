"""The conformance suite: families generate cases, mutants are wrong formulas that the judge must detect, test_*.py are the tests."""
