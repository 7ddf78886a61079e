# SPDX-License-Identifier: MIT
"""Temporary directories that vanish with this process, and directories of dead processes that are removed on the way.

They are of mode 0755 and not below a private $TMPDIR, because the servers' sessions run as an ordinary user.
"""

import atexit
import os
import pathlib
import shutil
import tempfile

_PREFIX = "ftpfs-servers."
_base = None
_counter = 0


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _remove_stale():
    for entry in pathlib.Path("/tmp").glob(_PREFIX + "*"):
        pid = entry.name[len(_PREFIX):].partition(".")[0]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(entry, ignore_errors=True)


def _base_directory():
    global _base  # the one directory of this process
    if _base is None:
        _remove_stale()
        _base = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}.", dir="/tmp")
        os.chmod(_base, 0o755)
        atexit.register(remove_all)
    return _base


def new_directory(name):
    """Makes a new empty directory and returns its path."""
    global _counter
    _counter += 1
    path = os.path.join(_base_directory(), f"{name}.{_counter}")
    os.mkdir(path)
    os.chmod(path, 0o755)
    return path


def remove_all():
    """Removes every directory of this process."""
    global _base
    if _base is not None:
        shutil.rmtree(_base, ignore_errors=True)
        _base = None
