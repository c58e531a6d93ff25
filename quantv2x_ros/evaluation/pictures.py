# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures and animations of scenes, as files. No display is needed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from quantv2x_ros.evaluation.drawing import (
    BACKGROUND,
    TEXT,
    PictureArea,
    PictureContent,
    draw_scene,
    legend_handles,
)

Panel = tuple[str, PictureContent]
"""A title and the scene below it."""

_PANEL_WIDTH = 6.0  # inches
_COLOURS = 128  # of an animation; more cost much size and show little


def save_picture(
    path: str | Path, panels: Sequence[Panel], *, heading: str = "", dots_per_inch: int = 110
) -> None:
    """Draw panels side by side over the same part of the ground.

    Args:
        path: A `.png` file; its folder is made where it does not exist.
        panels: Titles and scenes, such as without and with cooperation.
        heading: Text above all panels.
        dots_per_inch: Resolution.
    """
    view = PictureArea.around([scene for _, scene in panels])
    figure = _figure(len(panels), view)
    _draw(figure, panels, view, heading)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=dots_per_inch, facecolor=BACKGROUND)


def save_comparison(
    path: str | Path, alone: PictureContent, together: PictureContent, *, heading: str = ""
) -> None:
    """Draw a scene without and with cooperation side by side.

    Args:
        path: A `.png` file.
        alone: Content with the ego alone.
        together: Content with its peers.
        heading: Text above both panels.
    """
    panels = [
        (panel_title("ego alone", alone), alone),
        (panel_title("with cooperation", together), together),
    ]
    save_picture(path, panels, heading=heading)


def save_animation(
    path: str | Path,
    frames: Iterable[Sequence[Panel]],
    view: PictureArea,
    *,
    headings: Iterable[str] | None = None,
    frames_per_second: float = 10.0,
    dots_per_inch: int = 60,
    processes: int = 1,
) -> None:
    """Write an animated GIF that repeats forever.

    Args:
        path: A `.gif` file; its folder is made where it does not exist.
        frames: The panels of each frame.
        view: The part of the ground that all frames show.
        headings: Text above each frame.
        frames_per_second: Frames that are shown a second.
        dots_per_inch: Resolution.
        processes: Number of processes that draw.

    Raises:
        ValueError: If there is no frame.
    """
    texts: Iterator[str] = itertools.repeat("") if headings is None else iter(headings)
    todo = [_Frame(tuple(panels), view, next(texts), dots_per_inch) for panels in frames]
    if not todo:
        raise ValueError(f"{path}: an animation needs one frame at least")
    images = [_image(todo[0])]  # its palette is that of all
    rest = [replace(frame, palette_of=images[0]) for frame in todo[1:]]
    if processes > 1 and len(rest) > processes:
        # new interpreters: the threads of engines and of DDS do not survive a fork
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            images += pool.map(_image, rest)
    else:
        images += map(_image, rest)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    images[0].save(
        target,
        save_all=True,
        append_images=images[1:],
        duration=round(1000.0 / frames_per_second),
        loop=0,
        optimize=False,
    )


@dataclass(frozen=True, eq=False)
class _Frame:
    """One frame of an animation, with the settings to draw it."""

    panels: tuple[Panel, ...]
    view: PictureArea
    heading: str
    dots_per_inch: int
    palette_of: Image.Image | None = None


def _image(frame: _Frame) -> Image.Image:
    """Draw a frame; runs in any process."""
    figure = _figure_of(len(frame.panels), frame.view, frame.dots_per_inch)
    _draw(figure, frame.panels, frame.view, frame.heading)
    return _render(figure, frame.palette_of)


@lru_cache(maxsize=1)
def _figure_of(panels: int, view: PictureArea, dots_per_inch: int) -> Figure:
    """Return a figure for frames of one kind, which are drawn into it one after the other."""
    figure = _figure(panels, view)
    figure.set_dpi(dots_per_inch)
    return figure


def panel_title(name: str, scene: PictureContent) -> str:
    """Return a panel's title with what was found of the truth."""
    count = len(scene.detections)
    if scene.truth_boxes is None:
        return f"{name}: {count} objects"
    found = scene.found()
    return f"{name}: {found.sum()} of {len(found)} objects found, {count - found.sum()} false"


def _figure(panels: int, view: PictureArea) -> Figure:
    figure = Figure(
        figsize=(_PANEL_WIDTH * panels + 0.3, _PANEL_WIDTH * view.aspect + 1.5),
        facecolor=BACKGROUND,
    )
    FigureCanvasAgg(figure)
    figure.subplots(1, panels, squeeze=False)
    height = figure.get_figheight()
    figure.subplots_adjust(
        left=0.01, right=0.99, bottom=0.65 / height, top=1.0 - 0.85 / height, wspace=0.02
    )
    return figure


def _draw(figure: Figure, panels: Sequence[Panel], view: PictureArea, heading: str) -> None:
    for ax, (title, scene) in zip(figure.axes, panels, strict=True):
        draw_scene(ax, scene, view, title)
    figure.legends.clear()
    handles = legend_handles(max((scene for _, scene in panels), key=lambda s: len(s.clouds)))
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=min(len(handles), 5 * len(panels)),
        frameon=False,
        labelcolor=TEXT,
        fontsize=8,
    )
    figure.suptitle(
        heading,
        color="white",
        fontsize=13,
        fontweight="bold",
        y=1.0 - 0.12 / figure.get_figheight(),
        va="top",
    )


def _render(figure: Figure, palette_of: Image.Image | None) -> Image.Image:
    """Draw the figure into an image with a palette, the first frame's for all."""
    canvas: Any = figure.canvas  # the Agg canvas of _figure; matplotlib leaves it untyped
    canvas.draw()
    pixels: npt.NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())[..., :3]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if palette_of is None:
        return image.quantize(_COLOURS, dither=Image.Dither.NONE)
    return image.quantize(palette=palette_of, dither=Image.Dither.NONE)
