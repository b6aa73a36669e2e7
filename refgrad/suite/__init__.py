"""The conformance suite as commands: what a run judges, how it is run and shown, and what is done with its failures."""
