"""The search for cycles: paused where nothing is to be found, and back afterwards."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from refgrad import collector


@pytest.fixture(autouse=True)
def searching():
    """As it was, whatever a test leaves. What is frozen stays so: the files of commands that ran in this process are among it."""
    yield
    gc.enable()


def test_no_search_while_it_is_paused_and_the_state_before_afterwards() -> None:
    with collector.paused():
        assert not gc.isenabled()
        with collector.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    with collector.paused():
        assert not gc.isenabled()
    assert not gc.isenabled()


def test_what_is_loaded_is_passed_over_and_later_cycles_are_found() -> None:
    with collector.loading():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 1000
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert gc.collect() >= 1


def test_the_end_of_a_process_searches_nothing() -> None:
    script = (
        "import atexit, gc, sys\n"
        "from refgrad import collector\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 1000))\n"  # runs after the one of the next line
        "collector.spare_exit()\n"
        "print(gc.get_freeze_count())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True"]
