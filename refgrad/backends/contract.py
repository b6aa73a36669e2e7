"""The contract of a backend: what the judge, the suite and the reports need to know of a framework.

A backend is one class, derived from ``Backend``. It imports its framework; this module and everything that speaks to the contract
import none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from refgrad.bounds.profiles import Profile, profile_of
from refgrad.errors import DeviceMissingError
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.observation import ExpectedRefusals, Observation
from refgrad.testing.judging.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Build:
    """Which build of a framework is judged: what records of deviations and refusals are compared with.

    backend  the backend's name
    release  the framework's version, such as "2.13.0+cpu"
    kernels  what the framework calls the vector unit for which its CPU kernels were chosen; empty: not known
    """

    backend: str
    release: str
    kernels: str = ""

    def __str__(self) -> str:
        return f"{self.backend} {self.release}"


class Backend(ABC):
    """A framework as the judge sees it.

    name           by which it is loaded, and which results, deviations and reports carry
    address        how the command line names it: the name, or "module:attribute"; ``load`` sets it
    known_devices  the kinds of devices that a report mentions, present or not, the usual one first
    modes          by name in refgrad.modes, what the framework calls the mode; a mode that is missing here is not asked
    ops            the names of the ops of the registry (refgrad.op.REGISTRY) of which the framework has a counterpart
    build          the build of the framework in this process
    """

    name: str
    address: str = ""
    known_devices: tuple[str, ...] = ("cpu",)
    modes: Mapping[str, str]

    # --- what is judged ---

    @property
    @abstractmethod
    def build(self) -> Build:
        """The build of the framework in this process."""

    @property
    @abstractmethod
    def ops(self) -> Collection[str]:
        """The names of the ops of the registry (refgrad.op.REGISTRY) of which the framework has a counterpart."""

    def missing(self, device: str) -> str:
        """Why a device is not there, as a sentence; empty where it is present."""
        where = ", ".join(self.known_devices)
        return (
            "" if device in self.known_devices else f"{self.name} knows the devices {where}; got {device!r}"
        )

    def describe(self, device: str) -> str:
        """A device in words, for the report."""
        return f"not present: {device} was not judged" if self.missing(device) else device

    @abstractmethod
    def computes(self, dtype: str, device: str) -> bool:
        """Whether a device computes in a dtype. Raises DeviceMissingError where there is no such device."""

    def profile(self, device: str) -> Profile:
        """What the framework promises of its rounding on a device; unless overridden, what torch promises there."""
        return profile_of(device)

    # --- how it is judged ---

    def settle(self) -> None:  # noqa: B027 - most frameworks have no settings to make
        """Make the settings of this process that the bounds assume: threads, reduced-precision arithmetic off."""

    @abstractmethod
    def observe(self, case: Case) -> Observation:
        """Run a case and differentiate it in every mode of ``modes``.

        What the framework raises is a ``NoAnswer`` in ``unavailable``: a refusal, or an error at a node. Raises DeviceMissingError where
        the case's device is missing.
        """

    def script(self, case: Case, verdict: Verdict) -> str:  # noqa: ARG002 - of the contract
        """A program that needs the framework alone and exits with 1 while the failure is there; empty where none can be written."""
        return ""

    def environment(self) -> Mapping[str, str]:
        """What the framework's numbers depend on beside its version, by name: libraries, instruction sets, threads."""
        return {}

    # --- derived ---

    def require(self, device: str) -> None:
        """Raise DeviceMissingError where a device is missing."""
        why = self.missing(device)
        if why:
            raise DeviceMissingError(why)

    def devices(self) -> list[str]:
        """The known devices that are present."""
        return [name for name in self.known_devices if not self.missing(name)]

    def judged(self, case: Case, support: ExpectedRefusals | None = None) -> Observation:
        """The observation of a case with what its judge needs: the promise of rounding, and the list of expected refusals."""
        return replace(self.observe(case), profile=self.profile(case.device), support=support)

    def calls(self) -> dict[str, str]:
        """By mode, what the framework calls it, where that is another name."""
        return {mode: called for mode, called in self.modes.items() if called != mode}
