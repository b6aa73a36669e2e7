"""Draws of the arguments of functions of images and grids, for their declarations."""

from __future__ import annotations

from refgrad.bounds.profiles import DOUBLE, SINGLE
from refgrad.op import Draws, Params

SMOOTHED = ("bilinear", "bicubic")
WITH_ANTIALIAS = (DOUBLE, SINGLE)  # torch has no kernels of it in half formats on the CPU


def fine_pixels(draws: Draws) -> Params:
    """Arguments of pixel_shuffle."""
    r = draws.choice((2, 1, 3))
    lead = draws.shape(0, 1)
    shape = (*lead, draws.integer(1, 2) * r * r, draws.integer(1, 2), draws.integer(1, 2))
    return {"input": draws.numbers(shape), "upscale_factor": r}


def coarse_pixels(draws: Draws) -> Params:
    """Arguments of pixel_unshuffle."""
    r = draws.choice((2, 1, 3))
    lead = draws.shape(0, 1)
    shape = (*lead, draws.integer(1, 2), draws.integer(1, 2) * r, draws.integer(1, 2) * r)
    return {"input": draws.numbers(shape), "downscale_factor": r}


def grouped_channels(draws: Draws) -> Params:
    """Arguments of channel_shuffle."""
    groups = draws.integer(1, 3)
    shape = (draws.size(), groups * draws.integer(1, 3), draws.size(), *draws.shape(0, 1))
    return {"input": draws.numbers(shape), "groups": groups}


def interpolation(draws: Draws) -> Params:
    """Arguments of interpolate: every mode, with a size or with factors. Images are more frequent, for antialias is of them."""
    axes = draws.choice((1, 2, 3, 2))
    smooth = {1: ("linear",), 2: ("bilinear", "bicubic"), 3: ("trilinear",)}[axes]
    mode = draws.choice((*smooth, "nearest", "nearest-exact", "area"))
    shape = [draws.integer(1, 5 if axes < 3 else 3) for _ in range(axes)]
    x = draws.numbers((draws.integer(1, 2), draws.integer(1, 2), *shape))
    size, factors = None, None
    if draws.choice((True, False)):
        size = tuple([draws.integer(1, 6 if axes < 3 else 4) for _ in range(axes)])
    else:
        factors = tuple(
            [draws.choice([f for f in (2.0, 1.5, 1.0, 0.6, 0.5) if int(n * f) > 0]) for n in shape]
        )
    antialias = draws.choice((False, True)) and mode in SMOOTHED and draws.dtype in WITH_ANTIALIAS
    aligned = (False, None) if antialias else (False, True, None)
    align = draws.choice(aligned) if mode in smooth else None
    recompute = draws.choice((None, True)) if factors is not None else None
    return {
        "input": x,
        "size": size,
        "scale_factor": factors,
        "mode": mode,
        "align_corners": align,
        "recompute_scale_factor": recompute,
        "antialias": antialias,
    }


def affine_maps(draws: Draws) -> Params:
    """Arguments of affine_grid in the plane and in space."""
    axes, samples = draws.choice((2, 3)), draws.size()
    places = [draws.integer(1, 4) for _ in range(axes)]
    return {
        "theta": draws.numbers((samples, axes, axes + 1)),
        "size": (samples, draws.integer(1, 2), *places),
        "align_corners": draws.choice((False, True)),
    }


def sampled_grid(draws: Draws) -> Params:
    """Arguments of grid_sample; some of the places lie outside of the image."""
    axes, samples = draws.choice((2, 3)), draws.integer(1, 2)
    modes = ("bilinear", "nearest", "bicubic") if axes == 2 else ("bilinear", "nearest")
    places = tuple([draws.integer(1, 3) for _ in range(axes)])
    shape = (samples, draws.integer(1, 2), *[draws.integer(1, 4) for _ in range(axes)])
    return {
        "input": draws.numbers(shape),
        "grid": draws.numbers((samples, *places, axes), -1.75, 1.75),
        "mode": draws.choice(modes),
        "padding_mode": draws.choice(("zeros", "border", "reflection")),
        "align_corners": draws.choice((False, True)),
    }
