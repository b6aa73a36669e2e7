"""The expected durations of test items, by which shards are balanced and the longest items run first.

A table of seconds is shipped with the suite. Shards depend on it alone, so that all machines divide a run in the same way. The order of the
items also considers the durations that an earlier run in the same folder measured. Neither changes which cases are judged.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from refgrad.errors import ArgumentError

UNKNOWN = 0.05  # seconds of a test, or of a case, that the table does not name


@dataclass(frozen=True, slots=True)
class ExpectedSeconds:
    """The seconds that items are expected to take.

    cases      seconds of one case, by "family dtype"
    tests      seconds of one test, by the name of the test function, or of the test with its parameter
    measured   seconds by the name of the test, from an earlier run
    """

    cases: Mapping[str, float] = field(default_factory=dict)
    tests: Mapping[str, float] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, table: str | Path, measured: str | Path | None = None) -> ExpectedSeconds:
        """Read a table (TOML), and the measured durations (JSON) if there are any. Raises ArgumentError where the table cannot be read."""
        try:
            data = tomllib.loads(Path(table).read_text(encoding="utf-8"))
            cases, tests = (
                {str(name): float(s) for name, s in data.get(key, {}).items()} for key in ("cases", "tests")
            )
            known = json.loads(Path(measured).read_text(encoding="utf-8")) if measured else {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ArgumentError(f"{table}: no table of seconds: {error}") from error
        return cls(cases, tests, {str(name): float(s) for name, s in known.items()})

    def of_test(self, name: str) -> float:
        """The seconds of a test that judges no block of cases."""
        return self.tests.get(name, self.tests.get(name.partition("[")[0], UNKNOWN))

    def of_block(self, family: str, dtype: str, cases: int) -> float:
        """The seconds of a block of cases."""
        return cases * self.cases.get(f"{family} {dtype}", UNKNOWN)
