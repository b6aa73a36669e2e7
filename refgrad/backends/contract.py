"""The contract of a backend: what the judge, the suite and the reports need to know about a framework.

A backend is one class, derived from ``Backend``. It imports its framework. This module, and all code that uses the contract, import no
framework.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from refgrad.bounds.profiles import Profile, profile_of
from refgrad.errors import DeviceMissingError
from refgrad.testing.cases.case import Case
from refgrad.testing.cases.vocabulary import Vocabulary
from refgrad.testing.judging.observation import ExpectedRefusals, Observation
from refgrad.testing.judging.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Build:
    """The build of a framework that is judged. Records of deviations and refusals refer to builds.

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
    """The interface of a framework for the judge.

    name           the name by which it is loaded, and which results, deviations and reports contain
    address        how the command line names it: the name, or "module:attribute"; ``load`` sets it
    known_devices  the kinds of devices that a report mentions, present or not, the usual one first
    modes          by name in refgrad.modes, what the framework calls the mode; a mode that is missing here is not judged
    ops            the names of the ops of the registry (refgrad.op.REGISTRY) that the framework implements
    build          the build of the framework in this process
    replaced       the ops whose counterpart is a function of a library, which is judged in place of the framework's own
    stated         the kinds of devices whose rounding profile the user states
    time_limit     what one case may take by default, in seconds
    """

    name: str
    address: str = ""
    known_devices: tuple[str, ...] = ("cpu",)
    modes: Mapping[str, str]
    replaced: frozenset[str] = frozenset()
    stated: frozenset[str] = frozenset()
    time_limit: float = 60.0

    # --- what is judged ---

    @property
    @abstractmethod
    def build(self) -> Build:
        """The build of the framework in this process."""

    @property
    @abstractmethod
    def ops(self) -> Collection[str]:
        """The names of the ops of the registry (refgrad.op.REGISTRY) that the framework implements."""

    def vocabulary(self, dtype: str, device: str) -> Vocabulary:  # noqa: ARG002 - implementations use them
        """The ops from which cases of a dtype on a device are drawn; unless overridden, all of ``ops``."""
        return Vocabulary(frozenset(self.ops))

    def missing(self, device: str) -> str:
        """The reason why a device is missing, as a sentence; empty where it is present."""
        where = ", ".join(self.known_devices)
        return (
            "" if device in self.known_devices else f"{self.name} knows the devices {where}; got {device!r}"
        )

    def describe(self, device: str) -> str:
        """A description of a device, for the report."""
        return f"not present: {device} was not judged" if self.missing(device) else device

    @abstractmethod
    def computes(self, dtype: str, device: str) -> bool:
        """Whether a device computes in a dtype. Raises DeviceMissingError where there is no such device."""

    def free_memory(self, device: str) -> int | None:  # noqa: ARG002 - implementations use it
        """The free memory of a device in bytes; None where the framework does not tell it. It limits the number of processes of a run."""
        return None

    def profile(self, device: str) -> Profile:
        """The guarantees of the framework about its rounding on a device; unless overridden, those of torch."""
        return profile_of(device)

    # --- how it is judged ---

    def settle(self) -> None:  # noqa: B027 - most frameworks need no settings
        """Make the settings of this process that the bounds assume: the number of threads, no reduced-precision arithmetic."""

    def limit(self, seconds: float) -> None:  # noqa: B027 - a framework in this process is interrupted by a signal
        """Limit the time of a case, where the framework runs in another process."""

    def suspend(self) -> None:  # noqa: B027 - a framework in this process holds nothing that it could give back
        """Give back what this process holds until the next case is observed: a run with worker processes observes none here."""

    @abstractmethod
    def observe(self, case: Case) -> Observation:
        """Run a case and differentiate it in every mode of ``modes``.

        An exception of the framework becomes a ``NoAnswer`` in ``unavailable``: a refusal, or an error at a node. Raises
        DeviceMissingError where the case's device is missing.
        """

    def script(self, case: Case, verdict: Verdict) -> str:  # noqa: ARG002 - implementations use it
        """A script that needs the framework alone and exits with 1 while the failure is there; empty where none can be written."""
        return ""

    def environment(self) -> Mapping[str, str]:
        """What the framework's numbers depend on in addition to its version, by name: libraries, instruction sets, threads."""
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
        """The observation of a case, with the rounding profile and the list of expected refusals.

        What a kernel sets by ``np.seterr`` is not left behind, nor a copy of this process that a kernel made and let come back: it would
        judge and write all that follows once more.
        """
        here = os.getpid()
        try:
            with np.errstate():
                seen = self.observe(case)
        finally:
            if os.getpid() != here:
                os._exit(1)
        return replace(seen, profile=self.profile(case.device), support=support)

    def calls(self) -> dict[str, str]:
        """By mode, the framework's name for it, where that is another name."""
        return {mode: called for mode, called in self.modes.items() if called != mode}
