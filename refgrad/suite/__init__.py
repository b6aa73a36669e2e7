"""The commands around the conformance suite: scope of a run, runner, progress, reproduction, accepted failures."""
