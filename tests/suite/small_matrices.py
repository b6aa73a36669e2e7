"""A plugin for the workers of a run: the item of the textbook that multiplies large matrices takes smaller ones."""

from conformance.textbook import implicit

implicit.SIDE = 512
