"""Reads the rounding profile of a device from a TOML file: what the kernels of a device promise that a package registers.

``device`` names the kind of device. The other keys are the fields of a profile (refgrad.bounds.profiles.Profile), with the figures in the
tables ``[ulp.float32]`` and ``[ulp.float64]``. A figure that the file does not state is that of the CPU's libraries.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

from refgrad.backends.messages import stated_profile
from refgrad.bounds.profiles import Profile
from refgrad.errors import ArgumentError, WorkerError


def profiles_in(files: Iterable[str]) -> dict[str, Profile]:
    """The profiles in some files, by the kind of device.

    Raises ArgumentError for a file that cannot be read, without ``device``, or with a field that a profile does not have or whose value
    is of another type, and for two files about one device.
    """
    found: dict[str, Profile] = {}
    for file in files:
        path = Path(file)
        try:
            entry = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ArgumentError(f"--rounding {file}: cannot be read: {error}") from error
        device = entry.pop("device", None)
        if not isinstance(device, str) or not device or ":" in device:
            raise ArgumentError(
                f'--rounding {file}: device is the kind of device that the profile is of, such as device = "mydevice"; got {device!r}'
            )
        if device in found:
            raise ArgumentError(
                f"--rounding {file}: the profile of {device} was given before; a device has one"
            )
        try:
            found[device] = stated_profile(device, entry)
        except WorkerError as error:
            raise ArgumentError(f"--rounding {file}: {error}") from error
    return found
