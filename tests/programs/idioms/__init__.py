"""All idioms, by name, each with its weight."""

from tests.programs.idioms import arithmetic, buffers, control, lists, nesting, types, views, writing
from tests.programs.idioms.registry import IDIOMS, Idiom, idiom

__all__ = [
    "IDIOMS",
    "Idiom",
    "arithmetic",
    "buffers",
    "control",
    "idiom",
    "lists",
    "nesting",
    "types",
    "views",
    "writing",
]
