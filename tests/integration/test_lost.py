# SPDX-License-Identifier: MIT
"""What could not be sent is kept with what it is, and told of until somebody takes it away."""

import configparser
import json
import os

import pytest

from lib import FTPFS, run, wait_for
from servers.scripted import ScriptedServer


def test_kept_and_told(mount, tmp_path):
    with ScriptedServer(stor_refuse=rb"file|~") as server:
        server.options = [f"spool={tmp_path}"]
        m = mount(server)
        with pytest.raises(OSError):
            with open(m.path / "file", "wb", buffering=0) as file:
                file.write(b"precious")
        lost = tmp_path / "lost+found"
        wait_for(lambda: lost.is_dir() and list(lost.glob("*.info")), what="the file and what tells of it")
        info = next(lost.glob("*.info"))
        kept = info.with_suffix("")
        assert kept.read_bytes() == b"precious"
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in (info, kept))
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(info.read_text())
        assert parser["ftpfs"]["remote"] == "/file"
        assert parser["ftpfs"]["why"] == os.strerror(13)
        line = f"kept: /file in {kept} (Permission denied)"
        assert line in run([FTPFS, "--status", m.path]).stdout
        status = json.loads(run([FTPFS, "--status", "--json", m.path]).stdout)
        assert status["kept"] == [{"path": "/file", "file": str(kept), "why": "Permission denied"}]

        m.unmount()
        m = mount(server)
        assert "files that could not be sent: 1, kept in" in m.log_text()
        assert line in run([FTPFS, "--status", m.path]).stdout
        kept.unlink()
        assert "kept:" not in run([FTPFS, "--status", m.path]).stdout
