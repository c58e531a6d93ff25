# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A part of a network on any number of rows gives what it gives on all of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest

from quantv2x_ros.inference.cpu.engine import OpenVinoEngine
from quantv2x_ros.inference.cpu.row_engine import Outputs, RowEngine, Rows
from quantv2x_ros.inference.cpu.row_parts import DEBLOCKS, RESULT, ROWS
from quantv2x_ros.inference.model.bundle import ModelBundle

#: The third level's deblock, whose rows have 256 numbers.
PART, WIDTH, PER_RUN = DEBLOCKS[2], 256, 16

Numbers = npt.NDArray[np.uint8]


@pytest.fixture(params=[1, 2], ids=["caller", "pool"])
def pool(request: pytest.FixtureRequest) -> Iterator[Executor | None]:
    if request.param == 1:
        yield None
        return
    with ThreadPoolExecutor(request.param) as executor:
        yield executor


@pytest.fixture
def engine(int8_bundle: ModelBundle, pool: Executor | None) -> RowEngine:
    threads = 1 if pool is None else 2
    return RowEngine(int8_bundle.engine_path("head"), PART, WIDTH, PER_RUN, threads, pool)


def computed(engine: RowEngine, rows: Numbers) -> list[Numbers]:
    """The outputs, one for each row, in order."""
    found: dict[int, Numbers] = {}

    def fill(start: int, stop: int, target: Rows) -> None:
        assert target.shape == (PER_RUN, WIDTH)
        target[: stop - start] = rows[start:stop]

    def keep(start: int, stop: int, outputs: Outputs) -> None:
        found.update(enumerate(outputs[RESULT][: stop - start].copy(), start))

    engine.run(len(rows), fill, keep)
    return [found[number] for number in sorted(found)]


def test_rows_need_not_divide_into_runs(int8_bundle: ModelBundle, engine: RowEngine) -> None:
    rows = np.random.default_rng(1).integers(0, 256, (71, WIDTH)).astype(np.uint8)
    shape = (1, 1, len(rows), WIDTH)
    whole = OpenVinoEngine(int8_bundle.engine_path("head"), {ROWS: shape}, 1, 1, PART)
    expected = whole.run({ROWS: rows[None, None]})[RESULT][0, 0].copy()
    assert len(np.unique(expected)) > 10
    for count in (71, PER_RUN, PER_RUN + 1, 1):
        np.testing.assert_array_equal(computed(engine, rows[:count]), expected[:count])


def test_without_rows_nothing_runs(engine: RowEngine) -> None:
    def fill(start: int, stop: int, target: Rows) -> None:
        raise AssertionError(f"rows {start} to {stop}")

    engine.run(0, fill, lambda start, stop, outputs: None)


def test_what_fails_in_a_run_reaches_the_caller(engine: RowEngine) -> None:
    def fill(start: int, stop: int, target: Rows) -> None:
        if start:
            raise ValueError(f"rows {start} to {stop}")

    with pytest.raises(ValueError, match="rows 16 to 20"):
        engine.run(20, fill, lambda start, stop, outputs: None)
