# SPDX-License-Identifier: MIT
"""tests/bench/run works: every row, with small sizes. How long anything takes is not judged here."""

import os
import signal
import subprocess

import pytest

import lib
import netlab
import servers
from lib import FTPFS, STRICT

RUN = lib.CHECKOUT / "tests/bench/run"


@pytest.fixture(autouse=True)
def _possible():
    for reason in (netlab.missing(), servers.missing("vsftpd")):
        if reason and STRICT:
            pytest.fail(reason)
        if reason:
            pytest.skip(reason)


def bench(*arguments, **options):
    return lib.run([RUN, "--no-install", *arguments], env=dict(os.environ, FTPFS=str(FTPFS)), timeout=240, **options)


def test_smoke(tmp_path):
    page = tmp_path / "page"
    # With a sanitizer in it ftpfs does nothing here that other tests do not: some rows are enough.
    rows = ["--rows", "deep,ls,copy,growth"] if os.environ.get("FTPFS_SANITIZED") else []
    done = bench("--smoke", "--results", page, "--peers", "ftpfs,raw", *rows)
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(lines) > (4 if rows else 16), repr(done)
    assert "failed" not in done.stdout and "hung" not in done.stdout, repr(done)
    text = page.read_text()
    assert all(line in text for line in lines)
    assert "- machine: " in text


def test_a_broken_peer_is_told_and_the_others_are_measured(tmp_path):
    """A program that reads wrong bytes fails its cell, and with ftpfs or the raw program in it, the run."""
    liar = tmp_path / "curl"
    liar.write_text('#!/bin/sh\nfor word; do case $word in */out) echo wrong > "$word" ;; esac; done\n')
    liar.chmod(0o755)
    (tmp_path / "lftp").symlink_to("/bin/false")
    environment = dict(os.environ, FTPFS=str(FTPFS), PATH=f"{tmp_path}:{os.environ['PATH']}",
                       PYTHONPATH=str(lib.CHECKOUT / "tests"))
    done = lib.run(["/usr/bin/python3", "-m", "bench", "--smoke", "--rows", "deep", "--rtt", "0",
                    "--peers", "ftpfs,raw"], env=environment, timeout=120, check=False)
    assert done.returncode == 1, repr(done)
    assert "wrong bytes" in done.stdout and "0." in done.stdout, repr(done)


def test_what_is_not_known_is_refused():
    done = bench("--rows", "nosuchrow", check=False)
    assert done.returncode == 1 and "nosuchrow" in done.stderr, repr(done)


def test_an_end_by_a_signal_leaves_nothing(session_directory):
    # (pytest's own directory is closed to the server's sessions)
    place = session_directory / "bench"
    place.mkdir(mode=0o755)
    environment = dict(os.environ, FTPFS=str(FTPFS), FTPFS_BENCH_DIR=str(place))
    with open(place / "log", "wb") as log:
        process = subprocess.Popen([RUN, "--no-install", "--smoke", "--rows", "read64", "--rtt", "5",
                                    "--peers", "ftpfs", "--repeat", "1000"], env=environment, stdout=log, stderr=log)
    try:
        lib.wait_for(lambda: any(path.startswith(str(place)) for path in lib.mounted_paths()), 60, "a mount")
        process.terminate()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM, (place / "log").read_text()
    finally:
        process.kill()
        process.wait()
    assert [path for path in lib.mounted_paths() if path.startswith(str(place))] == []
    assert [path.name for path in place.iterdir()] == ["log"]
