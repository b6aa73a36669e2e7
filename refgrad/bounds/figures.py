"""Names of ULP figures in rounding rules, checked against the tables of documented figures when a rule is made."""

from __future__ import annotations

import difflib

from refgrad.bounds.formats import FORMATS
from refgrad.errors import RegistrationError


def has_figure(name: str) -> bool:
    """Whether a table of documented figures has a function of this name."""
    return any(name in fmt.ulp_table for fmt in FORMATS.values())


def figure(ulp: str | float) -> str | float:
    """A ULP figure as it is given: a number, or the name of a function in the tables of documented figures.

    Raises RegistrationError for a name that no table has.
    """
    known = {name for fmt in FORMATS.values() for name in fmt.ulp_table}
    if not isinstance(ulp, str) or ulp in known:
        return ulp
    nearest = difflib.get_close_matches(ulp, known, n=1)
    meant = f" Is {nearest[0]!r} meant?" if nearest else ""
    raise RegistrationError(
        f"rounding rule: no library's ULP figure of {ulp!r} is recorded.{meant} Give the figure as a number, with its source in a comment, "
        f"or add it to the tables in refgrad/bounds. They have {', '.join(sorted(known))}"
    )
