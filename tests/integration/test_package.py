# SPDX-License-Identifier: MIT
"""What is handed out: the tarball of `meson dist`, and, with FTPFS_PACKAGE=1, the Debian packages made from it, looked
at by lintian and tried by their own test (debian/tests/smoke). That takes minutes, and needs debhelper and lintian
(tests/deps package)."""

import os
import re
import shutil
import subprocess
import tarfile

import pytest

from lib import CHECKOUT, FTPFS, run
from test_mount import DETACH

BY_HAND = bool(os.environ.get("FTPFS_PACKAGE"))


@pytest.fixture(scope="module")
def tarball(session_directory):
    """Of what is committed: unpacked, its directory."""
    build = session_directory / "dist-build"
    here = session_directory / "dist"
    here.mkdir()
    clone = here / "clone"
    run(["git", "-c", "safe.directory=*", "clone", "-q", "--no-hardlinks", CHECKOUT, clone], timeout=120)
    run(["meson", "setup", build, clone, "-Dtests=false"], timeout=200)
    run(["meson", "dist", "-C", build, "--no-tests", "--formats", "gztar"], timeout=120)
    made, = (build / "meson-dist").glob("*.tar.gz")
    with tarfile.open(made) as archive:
        archive.extractall(here)
    yield here / made.name.removesuffix(".tar.gz")
    shutil.rmtree(build)
    shutil.rmtree(here)


def test_dist_has_all(tarball):
    """All that is in git, and nothing more; the version is that of the program and of the package."""
    listed = run(["git", "-c", "safe.directory=*", "-C", CHECKOUT, "ls-tree", "-r", "--name-only", "HEAD"]).stdout
    names = {name for name in listed.splitlines() if not name.startswith('"')}
    found = {str(path.relative_to(tarball)) for path in tarball.rglob("*") if path.is_file() or path.is_symlink()}
    assert names - found == set()
    assert {name for name in found - names if name.isascii()} == set()
    version = re.search(r"^ftpfs (\S+)$", run([FTPFS, "-V"]).stdout, re.MULTILINE).group(1)
    assert tarball.name == f"ftpfs-{version}"
    assert (tarball / "debian/changelog").read_text().startswith(f"ftpfs ({version}) ")


def test_changelog_can_be_read():
    """By the program that reads it, in order, with a date on each entry."""
    if not shutil.which("dpkg-parsechangelog"):
        pytest.skip("this is no Debian with dpkg-dev")
    text = run(["dpkg-parsechangelog", "-l", CHECKOUT / "debian/changelog", "--all"]).stdout
    assert "Source: ftpfs" in text and "Date: " in text


SMOKE = DETACH + """
    set -eu
    for name in bin sbin; do
        mount -t overlay -o "lowerdir=$1/usr/$name:/usr/$name" overlay "/usr/$name"
    done
    exec "$2"
"""

if BY_HAND:
    @pytest.mark.timeout(1800)
    def test_package(tarball, session_directory):
        log = tarball.parent / "build.log"
        with open(log, "wb") as output:
            subprocess.run(["dpkg-buildpackage", "-us", "-uc"], cwd=tarball, stdout=output, stderr=output, timeout=1500,
                           check=True)
        changes, = tarball.parent.glob("*.changes")
        done = run(["lintian", "--fail-on", "error,warning,info", "--pedantic", "--display-info", changes], timeout=600,
                   check=False)
        assert done.returncode == 0 and not re.search(r"^[EWIP]:", done.stdout, re.MULTILINE), done
        root = session_directory / "unpacked"
        for package in tarball.parent.glob("*.deb"):
            if "-dbgsym" not in package.name:
                run(["dpkg-deb", "-x", package, root])
        done = run(["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "timeout", "200", "sh",
                    "-c",
                    SMOKE, "sh", root, CHECKOUT / "debian/tests/smoke"], timeout=250)
        assert done.stdout.splitlines()[-1] == "all of it was right", done
        assert "mounted by curlftpfs" in done.stdout
