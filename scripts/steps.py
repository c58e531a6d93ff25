# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the steps of prepare.py share: progress, commands, and stamps of what is up to date."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "quantv2x_stamps"


class PrepareError(Exception):
    """A step that failed; the message is one sentence for the person at the terminal."""


def say(text: str) -> None:
    """Prints a line of progress."""
    print(f"[prepare] {text}", flush=True)


@contextmanager
def announced(text: str) -> Iterator[None]:
    """Says what begins, and how long it took."""
    say(f"{text} …")
    start = time.monotonic()
    yield
    say(f"done in {time.monotonic() - start:.0f} s")


def run(command: Sequence[str | Path], failure: str, env: dict[str, str] | None = None) -> str:
    """Runs a command and returns its output, which it prints only on failure.

    Raises:
        PrepareError: The command failed.
    """
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if result.returncode != 0:
        sys.stderr.write(result.stdout)
        raise PrepareError(failure)
    return result.stdout


@contextmanager
def beside(command: Sequence[str | Path], failure: str) -> Iterator[None]:
    """Runs a command beside what happens inside, and waits for it.

    Raises:
        PrepareError: The command failed.
    """
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            yield
        except BaseException:
            process.kill()
            raise
        finally:
            status = process.wait()
        if status != 0:
            output.seek(0)
            sys.stderr.write(output.read())
            raise PrepareError(failure)


def source_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yields the files at or below the paths, without bytecode and hidden files."""
    for path in paths:
        if path.is_dir():
            children = (p for p in path.iterdir() if not p.name.startswith((".", "__pycache__")))
            yield from source_files(sorted(children))
        elif path.is_file():
            yield path


def content_hash(paths: Iterable[Path], *facts: object) -> str:
    """Hashes the files at or below the paths, with their names, and further facts."""
    digest = hashlib.sha256(json.dumps([str(fact) for fact in facts]).encode())
    for path in source_files(paths):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"\n{path.relative_to(ROOT)} {content}".encode())
    return digest.hexdigest()


def is_stamped(name: str, value: str) -> bool:
    """Tells whether a step was completed from exactly this."""
    stamp = STAMPS / name
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == value


def write_stamp(name: str, value: str) -> None:
    """Records a completed step."""
    STAMPS.mkdir(parents=True, exist_ok=True)
    (STAMPS / name).write_text(value, encoding="utf-8")
