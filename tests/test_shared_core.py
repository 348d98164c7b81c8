"""The rollup's scheduler runs where its executor does, for as long as that is busy."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from validator.shared_core import SharedCore

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two of Linux's cores",
)

#: A thread that works while told to, and one that wakes up often. Both tell their ids.
PROGRAM = """
import sys, threading, time
working = threading.Event()
def execute():
    print(threading.get_native_id(), flush=True)
    while True:
        working.wait()
        sum(range(20_000))
def schedule():
    print(threading.get_native_id(), flush=True)
    while True:
        time.sleep(0.0005)
def idle():
    time.sleep(1_000)
for target in (execute, schedule, idle):
    threading.Thread(target=target, daemon=True).start()
    time.sleep(0.2)
for line in sys.stdin:
    working.set() if line.strip() == "work" else working.clear()
"""


@pytest.fixture
def program() -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        process.kill()


def tell(program: subprocess.Popen[str], word: str) -> None:
    assert program.stdin
    print(word, file=program.stdin, flush=True)


def looks(core: SharedCore, until: int, thread: int) -> bool:
    """Look until that thread may run on so many cores."""
    for _ in range(200):
        core.look(0.05)
        if len(os.sched_getaffinity(thread)) == until:
            return True
        time.sleep(0.05)
    return False


def test_it_is_beside_a_busy_executor_and_free_of_an_idle_one(program):
    assert program.stdout
    executor, scheduler = int(program.stdout.readline()), int(program.stdout.readline())
    core, everywhere = SharedCore(program.pid), len(os.sched_getaffinity(0))
    tell(program, "work")
    assert looks(core, 1, scheduler)
    assert core.scheduler == scheduler
    assert os.sched_getscheduler(scheduler) == os.SCHED_BATCH
    assert len(os.sched_getaffinity(executor)) == everywhere
    tell(program, "rest")
    assert looks(core, everywhere, scheduler)


def test_a_program_that_has_ended_is_no_error(program):
    core = SharedCore(program.pid)
    program.kill()
    program.wait()
    core.look()
    assert core.scheduler == 0
