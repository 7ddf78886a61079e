# SPDX-License-Identifier: MIT
"""Private names on the server: of this mount hidden, of a dead one tidied up, of others left alone."""

import os
import signal
import subprocess

import pytest

from lib import run, wait_for
from servers.scripted import ScriptedServer, stall_in_data


@pytest.fixture
def scripted_server(tmp_path):
    with ScriptedServer() as server:
        server.options = [f"spool={tmp_path}"]
        yield server


def start(command):
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill(mount):
    """The daemon ends without a word."""
    os.kill(mount.pid, signal.SIGKILL)
    mount.process.wait(60)
    run(["fusermount3", "-uz", mount.path])
    mount.forget()


def test_names_of_others(server, workdir, mount, tmp_path):
    """Another client's open or half-sent file is shown, and is not removed but by a person."""
    names = (".ftpfs-01234567-1~", ".fuse_hidden0000000300000001")
    for name in names:
        (workdir.local / "d").mkdir(exist_ok=True)
        (workdir.local / "d" / name).write_bytes(b"another client's")
    for path in (workdir.local / "d", *(workdir.local / "d").iterdir()):
        server.give(path)
    m = mount(server, workdir.remote, f"spool={tmp_path}")
    with pytest.raises(OSError):
        os.rmdir(m.path / "d")
    assert sorted(os.listdir(workdir.local / "d")) == sorted(names)
    assert sorted(os.listdir(m.path / "d")) == sorted(names)
    with pytest.raises(PermissionError):
        (m.path / "d/.ftpfs-new~").write_bytes(b"")
    run(["rm", "-r", m.path / "d"])
    assert not (workdir.local / "d").exists()


def test_half_an_upload_is_deleted_by_the_next_mount(scripted_server, mount):
    scripted_server.tree.put("/d/file", b"old")
    rule = scripted_server.on("STOR", stall_in_data(1000))
    m = mount(scripted_server)
    writer = start(["sh", "-c", f"head -c 100000 /dev/zero > {m.path}/d/file"])
    assert rule.holding.wait(60)
    names = [name for name in scripted_server.tree.names("/d") if name.startswith(b".ftpfs-")]
    assert len(names) == 1
    kill(m)
    rule.release()
    writer.wait(60)
    m = mount(scripted_server)
    wait_for(lambda: scripted_server.tree.names("/d") == [b"file"], what="the private name to be gone")
    assert (m.path / "d/file").read_bytes() == b"old"
    assert os.listdir(m.path / "d") == ["file"]


def test_old_file_is_put_back_by_the_next_mount(scripted_server, mount):
    """The server refuses to rename over a file; the daemon is killed while the old one has stepped aside."""
    scripted_server.tree.put("/d/file", b"old")
    scripted_server.tree.put("/d/new", b"new")
    scripted_server.rename_replaces = False
    m = mount(scripted_server)
    rule = scripted_server.on("RNTO", lambda moment: (moment.stall(), moment.close()), nth=3)
    writer = start(["mv", f"{m.path}/d/new", f"{m.path}/d/file"])
    assert rule.holding.wait(60)
    assert b"file" not in scripted_server.tree.names("/d")
    kill(m)
    rule.release()
    writer.wait(60)
    m = mount(scripted_server)
    wait_for(lambda: scripted_server.tree.content("/d/file") is not None, what="the file to be back")
    wait_for(lambda: not [name for name in scripted_server.tree.names("/d") if name.startswith(b".ftpfs-")],
             what="the private name to be gone")
    assert scripted_server.tree.content("/d/file") == b"old"
    assert scripted_server.tree.content("/d/new") == b"new"
