# SPDX-License-Identifier: MIT
"""Thunar and PCManFM on a mount: real windows under Xvfb, driven by xdotool and photographed by import.

By hand: FTPFS_DESKTOP=DIRECTORY for the photographs; `tests/deps desktop` installs the programs. What the windows do is
checked on the server's own disk; the photographs are for people."""

import os
import pathlib
import shutil
import subprocess
import time

import pytest

import servers
from lib import run, wait_for

PICTURES = pathlib.Path(os.environ.get("FTPFS_DESKTOP") or "/nonexistent")
PATIENCE = 120


class Desktop:
    """An X display, a window manager and a session bus of their own."""

    def __init__(self, home):
        self.home = home
        self.processes = []
        reader, writer = os.pipe()
        self.start(["Xvfb", "-displayfd", str(writer), "-screen", "0", "900x560x24", "-nolisten", "tcp"],
                   env=dict(os.environ), pass_fds=[writer])
        os.close(writer)
        number = os.read(reader, 100).decode().strip()
        os.close(reader)
        for name in ("Pictures", "run", ".config"):
            (home / name).mkdir(mode=0o700)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "DISPLAY": f":{number}",
                            "XDG_RUNTIME_DIR": str(home / "run"), "LC_ALL": "C.UTF-8", "GDK_BACKEND": "x11",
                            "NO_AT_BRIDGE": "1", "GTK_THEME": "Adwaita", "GIO_USE_VFS": "local"}
        bus = subprocess.run(["dbus-daemon", "--session", "--fork", "--print-address=1", "--print-pid=1"],
                             stdout=subprocess.PIPE, env=self.environment, timeout=60, check=True).stdout.split()
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = bus[0].decode()
        self.bus = int(bus[1])
        self.start(["openbox"])

    def start(self, command, **options):
        options.setdefault("env", getattr(self, "environment", None))
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                   **options)
        self.processes.append(process)
        return process

    def xdotool(self, *words, check=True):
        return run(["xdotool", *words], env=self.environment, timeout=60, check=check)

    def window(self, title):
        """Waits for a window with the title and gives it the keyboard."""
        def search():
            return self.xdotool("search", "--onlyvisible", "--name", title, check=False).stdout.split()
        found = wait_for(search, timeout=PATIENCE, what=f"the window {title!r}")[-1]
        self.xdotool("windowactivate", "--sync", found)
        return found

    def keys(self, *names):
        for name in names:
            self.xdotool("key", "--clearmodifiers", name)
            time.sleep(0.3)  # a person's pace: menus need it

    def type(self, text):
        self.xdotool("type", "--delay", "60", text)

    def photograph(self, name):
        time.sleep(1.5)  # for the icons to be drawn; nothing depends on it
        run(["import", "-window", "root", "-colors", "64", PICTURES / f"{name}.png"], env=self.environment, timeout=60)

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        os.kill(self.bus, 15)


@pytest.fixture
def desktop(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    made = Desktop(home)
    yield made
    made.close()


def fill(root):
    (root / "Documents").mkdir()
    (root / "Photos").mkdir()
    (root / "letter.txt").write_text("Dear Ann,\n")
    (root / "notes.txt").write_text("buy milk\n")
    for number, colour in enumerate(["tomato", "gold", "seagreen", "steelblue", "orchid", "sienna"]):
        run(["convert", "-size", "640x480", f"gradient:{colour}-white", root / "Photos" / f"picture {number}.jpg"],
            timeout=60)


PROGRAMS = {"thunar": ["thunar"], "pcmanfm": ["pcmanfm", "-n"]}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", PROGRAMS)
def test_file_manager(program, desktop, mount_bg, tmp_path):
    with servers.start("vsftpd", user="ann", password="ann") as ftp:
        fill(ftp.root)
        ftp.give(ftp.root)
        mounted = mount_bg(ftp, "", "cache_ttl=5")
        place = mounted.path
        command = PROGRAMS[program]
        desktop.start([*command, place])
        desktop.window(place.name)
        desktop.photograph(f"{program}-browse")

        # a new folder, typed into the dialogue
        desktop.keys("ctrl+shift+n")
        time.sleep(1)
        desktop.keys("ctrl+a")
        desktop.type("Made here")
        desktop.keys("Return")
        wait_for(lambda: (ftp.root / "Made here").is_dir(), timeout=PATIENCE, what="the new folder on the server")

        # select by typing the name's beginning; rename
        desktop.window(place.name)
        desktop.keys("Escape")
        desktop.type("letter")
        time.sleep(0.5)
        desktop.keys("Escape", "F2")
        time.sleep(1)
        desktop.keys("ctrl+a")
        desktop.type("renamed.txt")
        desktop.keys("Return")
        wait_for(lambda: (ftp.root / "renamed.txt").exists(), timeout=PATIENCE, what="the new name on the server")
        assert not (ftp.root / "letter.txt").exists()

        # copy out of the mount: to the desktop's home, in another window
        desktop.window(place.name)
        desktop.type("notes")
        time.sleep(0.5)
        desktop.keys("Escape", "ctrl+c")
        desktop.start([*command, desktop.home / "Pictures"])
        desktop.window("Pictures")
        desktop.keys("ctrl+v")
        wait_for(lambda: (desktop.home / "Pictures/notes.txt").exists(), timeout=PATIENCE, what="the copy here")
        assert (desktop.home / "Pictures/notes.txt").read_text() == "buy milk\n"

        # and one in
        (desktop.home / "Pictures/fresh.txt").write_text("fresh\n" * 1000)
        desktop.window("Pictures")
        desktop.keys("F5")
        time.sleep(1)
        desktop.type("fresh")
        time.sleep(0.5)
        desktop.keys("Escape", "ctrl+c")
        desktop.window(place.name)
        desktop.keys("ctrl+v")
        wait_for(lambda: (ftp.root / "fresh.txt").exists() and (ftp.root / "fresh.txt").stat().st_size == 6000,
                 timeout=PATIENCE, what="the copied file on the server")

        # delete for good (the trash is below)
        desktop.window(place.name)
        desktop.keys("F5")
        desktop.type("fresh")
        time.sleep(0.5)
        desktop.keys("Escape", "shift+Delete")
        time.sleep(1.5)
        desktop.keys("Return")
        wait_for(lambda: not (ftp.root / "fresh.txt").exists(), timeout=PATIENCE, what="the file to be gone")

        # thumbnails do not stall it
        desktop.start([*command, place / "Photos"])
        desktop.window("Photos")
        desktop.photograph(f"{program}-photos")
        began = time.monotonic()
        assert len(os.listdir(place / "Photos")) == 6
        assert time.monotonic() - began < 30
        assert sorted(name for name in os.listdir(ftp.root) if not name.startswith(".")) == \
            ["Documents", "Made here", "Photos", "notes.txt", "renamed.txt"]
        desktop.close()
        mounted.unmount()
        for path in ftp.root.rglob("*"):
            assert not path.name.startswith((".ftpfs-", ".fuse_hidden")), f"left behind: {path}"


def test_trash(mount_bg, tmp_path):
    """What "move to trash" does: a directory .Trash-UID at the top of the mount, or a clear error."""
    assert shutil.which("gio"), "gio is not installed"
    with servers.start("vsftpd", user="ann", password="ann") as ftp:
        (ftp.root / "old.txt").write_text("old\n")
        ftp.give(ftp.root)
        mounted = mount_bg(ftp, "")
        done = run(["gio", "trash", mounted.path / "old.txt"], check=False,
                   env=dict(os.environ, HOME=str(tmp_path)))
        kept = [path for path in ftp.root.rglob("old.txt")]
        assert kept and kept[0].read_text() == "old\n", done
        assert done.returncode == 0 or kept[0] == ftp.root / "old.txt", done
