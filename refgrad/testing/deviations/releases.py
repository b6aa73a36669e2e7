"""The releases of a backend with a disagreement, and the releases before and after them that are known to be without it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from refgrad.errors import ArgumentError

DEFAULT = "torch"  # the backend of an entry that names none
ABSENT, SEEN, MENDED, UNRECORDED = "absent", "seen", "mended", "unrecorded"


@dataclass(frozen=True, slots=True)
class Releases:
    """The first and the last release in which a disagreement was seen, and the nearest releases known to be without it.

    ``mended`` and ``absent`` are empty where no such release is known. ``backend`` names the framework whose releases they are.

    Releases are compared by their numbers alone, so "2.14.0a0+git1f2e3d4" counts as 2.14.
    """

    first: str
    last: str
    mended: str = ""
    absent: str = ""
    backend: str = DEFAULT

    @classmethod
    def read(cls, seen: list[str], mended: str = "", absent: str = "", backend: str = DEFAULT) -> Releases:
        """The record of these releases. Raises ArgumentError where one is no version, or where they are not in order."""
        if len(seen) != 2:
            raise ArgumentError(
                f'seen is [first, last] release of {backend}, such as ["2.6", "2.13"]; got {seen}'
            )
        found = cls(seen[0], seen[1], mended, absent, backend)
        if numbers(found.last) < numbers(found.first):
            raise ArgumentError(f"seen is [first, last] release of {backend}, in that order; got {seen}")
        if mended and numbers(mended) <= numbers(found.last):
            raise ArgumentError(
                f"mended is a release after the last one of seen, {found.last}; got {mended!r}"
            )
        if absent and numbers(absent) >= numbers(found.first):
            raise ArgumentError(
                f"absent is a release before the first one of seen, {found.first}; got {absent!r}"
            )
        return found

    def state(self, release: str) -> str:
        """The recorded state of a release: ABSENT, SEEN or MENDED; UNRECORDED where it is not recorded."""
        v = numbers(release)
        if numbers(self.first) <= v <= numbers(self.last):
            return SEEN
        if self.absent and v <= numbers(self.absent):
            return ABSENT
        return MENDED if self.mended and v >= numbers(self.mended) else UNRECORDED

    def extended(self, release: str, *, there: bool) -> Releases:
        """The record extended by one release with the disagreement (``there``) or without it."""
        v, name = numbers(release), ".".join(map(str, numbers(release)))
        if there:
            first = name if v < numbers(self.first) else self.first
            last = name if v > numbers(self.last) else self.last
            overtaken = self.mended and numbers(self.mended) <= numbers(last)
            known = self.absent and numbers(self.absent) < numbers(first)
            return replace(
                self,
                first=first,
                last=last,
                mended="" if overtaken else self.mended,
                absent=self.absent if known else "",
            )
        if v > numbers(self.last) and (not self.mended or v < numbers(self.mended)):
            return replace(self, mended=name)
        if v < numbers(self.first) and (not self.absent or v > numbers(self.absent)):
            return replace(self, absent=name)
        return self

    def __str__(self) -> str:
        span = f"{self.backend} {self.first}" + (f" to {self.last}" if self.last != self.first else "")
        before = f", not in {self.absent}" if self.absent else ""
        return span + before + (f", mended in {self.mended}" if self.mended else "")


def numbers(release: str) -> tuple[int, int, int]:
    """Major, minor and micro number of a release. Raises ArgumentError where the text is no version."""
    from packaging.version import InvalidVersion, Version  # a dependency of the suite

    try:
        v = Version(release)
    except (InvalidVersion, TypeError) as error:
        raise ArgumentError(f'a release such as "2.13.0" is expected; got {release!r}') from error
    return v.major, v.minor, v.micro
