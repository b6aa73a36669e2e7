"""PyTorch as an implementation of the contract of a backend."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from refgrad.backends import Backend, Build
from refgrad.backends.rounding_file import profiles_in
from refgrad.backends.settings import NO_SETTINGS, Settings, imported
from refgrad.bounds.profiles import Profile
from refgrad.errors import DeviceMissingError
from refgrad.op import FUNCTIONS, REGISTRY
from refgrad.testing.cases.case import Case
from refgrad.testing.judging.observation import Observation
from refgrad.testing.judging.verdict import Verdict
from refgrad.torch import devices
from refgrad.torch.case_script import script
from refgrad.torch.environment import environment, settle
from refgrad.torch.forward_mode import compile_once
from refgrad.torch.further_modes import CALLS
from refgrad.torch.observe import observe
from refgrad.torch.replacement import namespaces, replacements
from refgrad.torch.side_effects import settings_restored


class TorchBackend(Backend):
    """The release of torch that is installed in this process, with the settings of an address."""

    name = "torch"
    known_devices = ("cpu", "cuda")
    modes = CALLS

    def __init__(self, settings: Settings = NO_SETTINGS) -> None:
        imported(settings.load)
        self.settings, self.replacements = settings, replacements(settings.replace)
        self.replaced = frozenset(self.replacements)
        self.namespaces = namespaces(self.replacements)
        self.profiles = profiles_in(settings.rounding)
        self.stated = frozenset(self.profiles)

    @property
    def build(self) -> Build:
        """The version of torch, and the vector unit of its CPU kernels."""
        return Build(self.name, devices.VERSION, devices.KERNELS)

    @property
    def ops(self) -> Collection[str]:
        """The ops whose record has a counterpart in torch, and all functions."""
        return frozenset([*FUNCTIONS, *[name for name, op in REGISTRY.items() if op.torch is not None]])

    def missing(self, device: str) -> str:
        """The reason why torch has no such device; empty where it has one."""
        try:
            devices.device(device)
        except DeviceMissingError as error:
            own = device.partition(":")[0] in self.known_devices or self.settings.load
            return str(error) if own else f"{error}; --load MODULE imports a package that registers one"
        return ""

    def describe(self, device: str) -> str:
        """The name of a GPU, or the cores and the vector unit of the CPU."""
        return devices.describe(device)

    def computes(self, dtype: str, device: str) -> bool:
        """Whether a matrix product runs in the dtype. Raises DeviceMissingError where there is no such device."""
        return devices.supported(device, dtype)

    def free_memory(self, device: str) -> int | None:
        """The free memory of a GPU in bytes, as its driver tells it; None for other devices."""
        return devices.free_memory(device)

    def profile(self, device: str) -> Profile:
        """The profile in a file that was given for this kind of device, or the one that is known of it."""
        return self.profiles.get(device.partition(":")[0]) or super().profile(device)

    def settle(self) -> None:
        """Select one thread, and switch off reduced-precision reductions and TF32.

        Forward mode is compiled here, so that its compilation does not count towards a case's time limit.
        """
        settle()
        compile_once()

    def observe(self, case: Case) -> Observation:
        """Values, gradients and tangents of all nodes; for a case of order 2 also the answers of the further modes."""
        # Also after calls whose outcome is known, such as the search for the node that raised.
        with settings_restored():
            return observe(case, self.namespaces)

    def script(self, case: Case, verdict: Verdict) -> str:
        """The failure as a program that needs torch alone; where that cannot be written, a program that runs refgrad."""
        with settings_restored():
            return script(case, verdict, self.replacements, self.address)

    def environment(self) -> Mapping[str, str]:
        """The commit, BLAS, accelerator, vector unit and threads of torch."""
        found = dict(environment())
        if self.settings.load:
            found["loaded modules"] = ", ".join(self.settings.load)
        if self.profiles:
            stated = [f"{p.name}: {p.source or 'no source is stated'}" for p in self.profiles.values()]
            found["stated rounding profiles"] = "; ".join(stated)
        if self.replacements:
            found["replaced functions"] = "; ".join(map(str, self.replacements.values()))
        return found
