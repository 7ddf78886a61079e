# SPDX-License-Identifier: MIT
"""Programs that people use, run on a mount and compared with a local copy.

Each test runs on every target (see conftest.py). The judge is always what lies on the server's own disk
(`workdir.local`) straight after the program ended: a file that was closed is on the server, whole, at once. Where a
program keeps its own proof (git fsck, pragma integrity_check, make's "up to date"), that is asked for as well.
"""

import hashlib
import mmap
import os
import pathlib
import random
import stat
import subprocess
import sys
import tarfile
import time
import zipfile

import pytest

from lib import run, wait_for

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
OLD_TIME = 1_500_000_000  # 2017-07-14: listings show such a date without a time of day


@pytest.fixture
def mnt(mount, server, workdir):
    """The test's own directory of the server, mounted."""
    return mount(server, workdir.remote).path


def names_in(directory):
    """The names in a directory, but for those under which a removed file lives on while it is still open."""
    return sorted(name for name in os.listdir(directory) if not name.startswith((".fuse_hidden", ".ftpfs-")))


def settles(directory, names):
    """A removed file may stay on the server under a private name for the moment until its last handle is released
    (which close(2) does not wait for). Waits for exactly these names."""
    wait_for(lambda: sorted(os.listdir(directory)) == sorted(names), timeout=60,
             what=f"{directory} to hold {sorted(names)}")


def noise(size, seed):
    """`size` bytes that no compression, no line-end conversion and no block boundary leaves alone."""
    return random.Random(seed).randbytes(size)


def make_tree(top):
    """A small tree with every kind of regular content: empty, text, binary, nested, executable, with old times."""
    top.mkdir()
    files = {
        "empty": b"",
        "one byte": b"x",
        "lines.txt": b"unix\ndos\r\nmac\r" * 40,
        "no newline": b"the last line ends here",
        "binary.bin": noise(300_001, 1),
        "block.bin": noise(131_072, 2),
        "bin/tool.sh": b"#!/bin/sh\necho ran\n",
        "deep/er/and/deeper/leaf.txt": b"leaf\n",
        "deep/.hidden": b"hidden\n",
        "names/100% #1?.txt": b"name\n",
        "names/gr\u00fc\u00dfe.txt": "gr\u00fc\u00dfe\n".encode(),
    }
    for number in range(12):
        files[f"many/file-{number:02}"] = noise(100 * number, number)
    for name, content in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (top / "void").mkdir()
    for number, path in enumerate(sorted(p for p in top.rglob("*") if p.is_file())):
        path.chmod(0o755 if path.suffix == ".sh" else (0o600 if number % 3 == 0 else 0o644))
        os.utime(path, (OLD_TIME + number * 1001, OLD_TIME + number * 1001))
    return top


def listing_step(server):
    """How exact old times are in this server's listings, in seconds: vsftpd has no MLSD, only LIST, which shows the
    day of what is older than half a year. (MDTM for each name would cost a round trip each.)"""
    return 86_400 if server.kind == "vsftpd" else 1


def describe(top, times=True, modes=True, step=1):
    """Everything below `top`: relative path -> (kind, size, sha256, mtime in steps of `step` seconds, permissions)."""
    top = pathlib.Path(top)
    found = {}
    for path in sorted(top.rglob("*")):
        info = path.lstat()
        name = str(path.relative_to(top))
        if stat.S_ISDIR(info.st_mode):
            found[name] = ("directory",)
        elif stat.S_ISREG(info.st_mode):
            content = path.read_bytes()
            assert len(content) == info.st_size, f"{path}: stat says {info.st_size}, {len(content)} bytes were read"
            found[name] = (
                "file",
                len(content),
                hashlib.sha256(content).hexdigest(),
                int(info.st_mtime) // step if times else None,
                oct(stat.S_IMODE(info.st_mode)) if modes else None,
            )
        else:
            found[name] = (stat.filemode(info.st_mode),)
    return found


def assert_same(got, want, what):
    """Compare two results of describe() and name every difference."""
    lines = [f"{name}: {got.get(name)} instead of {want.get(name)}"
             for name in sorted(set(got) | set(want)) if got.get(name) != want.get(name)]
    assert not lines, f"{what}:\n" + "\n".join(lines)


def git_environment(home):
    """An environment in which git reads no file of this machine's users."""
    return dict(
        os.environ, HOME=str(home), GIT_CONFIG_NOSYSTEM="1", GIT_TERMINAL_PROMPT="0", LC_ALL="C.UTF-8",
        GIT_AUTHOR_NAME="Test", GIT_AUTHOR_EMAIL="test@example.org",
        GIT_COMMITTER_NAME="Test", GIT_COMMITTER_EMAIL="test@example.org",
        GIT_CONFIG_COUNT="2", GIT_CONFIG_KEY_0="gc.auto", GIT_CONFIG_VALUE_0="0",
        GIT_CONFIG_KEY_1="safe.directory", GIT_CONFIG_VALUE_1="*",
    )


def git(environment, *arguments, cwd=None):
    return run(["git", *arguments], cwd=cwd, env=environment)


def test_cp_in(mnt, workdir, tmp_path):
    source = make_tree(tmp_path / "source")
    want = describe(source)
    run(["cp", "-a", str(source), str(mnt / "copy")])
    assert_same(describe(workdir.local / "copy"), want, "the server's disk after cp -a")
    assert_same(describe(mnt / "copy"), want, "the mount after cp -a")


def test_cp_in_seen_by_a_second_mount(mount, server, workdir, tmp_path):
    """What a mount that did not write the files shows: times and modes come from the server alone."""
    source = make_tree(tmp_path / "source")
    first = mount(server, workdir.remote)
    run(["cp", "-a", str(source), str(first.path / "copy")])
    first.unmount()
    second = mount(server, workdir.remote)
    step = listing_step(server)
    assert_same(describe(second.path / "copy", step=step), describe(source, step=step), "a second mount after cp -a")


def test_cp_out(mnt, server, workdir, tmp_path):
    make_tree(workdir.local / "tree")
    server.give(workdir.local / "tree")
    step = listing_step(server)
    want = describe(workdir.local / "tree", step=step)
    run(["cp", "-a", str(mnt / "tree"), str(tmp_path / "copy")])
    assert_same(describe(tmp_path / "copy", step=step), want, "the local copy after cp -a")


def test_cp_over_existing_files(mnt, workdir, tmp_path):
    """A second cp onto the same names replaces longer by shorter content and the other way round."""
    for number, (before, after) in enumerate([(5000, 0), (0, 5000), (200_000, 10), (10, 200_000), (4096, 4096)]):
        (tmp_path / "before").write_bytes(noise(before, number))
        (tmp_path / "after").write_bytes(noise(after, 100 + number))
        run(["cp", str(tmp_path / "before"), str(mnt / "file")])
        assert (workdir.local / "file").read_bytes() == (tmp_path / "before").read_bytes()
        run(["cp", str(tmp_path / "after"), str(mnt / "file")])
        assert (workdir.local / "file").read_bytes() == (tmp_path / "after").read_bytes()
        run(["cmp", str(tmp_path / "after"), str(mnt / "file")])


def test_empty_files(mnt, workdir, tmp_path):
    run(["touch", str(mnt / "touched")])
    assert (workdir.local / "touched").read_bytes() == b""

    source = tmp_path / "empty"
    source.write_bytes(b"")
    source.chmod(0o640)
    os.utime(source, (OLD_TIME, OLD_TIME))
    run(["cp", "-p", str(source), str(mnt / "copied")])
    for seen in (mnt / "copied", workdir.local / "copied"):
        info = seen.stat()
        assert info.st_size == 0
        assert int(info.st_mtime) == OLD_TIME
        assert stat.S_IMODE(info.st_mode) == 0o640
    run(["touch", "-d", "@1400000000", str(mnt / "touched")])
    assert int((mnt / "touched").stat().st_mtime) == 1_400_000_000
    assert int((workdir.local / "touched").stat().st_mtime) == 1_400_000_000


def test_rsync_twice(mnt, workdir, tmp_path):
    source = make_tree(tmp_path / "source")
    command = ["rsync", "-a", "-i", f"{source}/", f"{mnt}/copy/"]
    run(command)
    assert_same(describe(workdir.local / "copy"), describe(source), "the server's disk after rsync -a")
    # No server lets a client set every directory's time, so a line about a directory's time (".d..t......") is
    # rsync's right; a line about a file is a file whose size, time or mode the mount does not show as it was set.
    lines = [line for line in run(command).stdout.splitlines() if line and not line.startswith(".d..t...... ")]
    assert lines == [], "the second rsync -a had work to do"
    (source / "lines.txt").write_bytes(b"changed\n")
    (source / "empty").unlink()
    run(["rsync", "-a", "--delete", f"{source}/", f"{mnt}/copy/"])
    assert_same(describe(workdir.local / "copy"), describe(source), "the server's disk after rsync -a --delete")


def test_rsync_out(mnt, server, workdir, tmp_path):
    make_tree(workdir.local / "tree")
    server.give(workdir.local / "tree")
    run(["rsync", "-a", f"{mnt}/tree/", f"{tmp_path}/copy/"])
    step = listing_step(server)
    assert_same(describe(tmp_path / "copy", step=step), describe(workdir.local / "tree", step=step),
                "the local copy after rsync -a")


def test_tar_and_diff(mnt, workdir, tmp_path):
    """A source tree of about 150 files: this project's own, filled up with generated ones."""
    source = tmp_path / "source"
    source.mkdir()
    count = 0
    for part in ("include", "src", "tests"):
        for path in sorted((CHECKOUT / part).rglob("*")):
            if path.suffix in (".c", ".h", ".py", ".build", ".md") and path.is_file() and count < 90:
                target = source / path.relative_to(CHECKOUT)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
                count += 1
    for number in range(150 - count):
        target = source / f"generated/{number % 10}/module-{number}.c"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"/* {number} */\n" * (number * 3 + 1))
    for path in source.rglob("*"):
        os.utime(path, (OLD_TIME, OLD_TIME))
    archive = tmp_path / "source.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(source, "source")

    run(["tar", "xf", str(archive), "-C", str(mnt)], timeout=200)
    run(["diff", "-r", str(source), str(mnt / "source")], timeout=200)
    run(["diff", "-r", str(source), str(workdir.local / "source")])
    times = {int(path.stat().st_mtime) for path in (mnt / "source").rglob("*") if path.is_file()}
    assert times == {OLD_TIME}, "tar x restores each file's time"
    run(["tar", "cf", str(tmp_path / "again.tar"), "-C", str(mnt), "source"], timeout=200)
    run(["tar", "df", str(tmp_path / "again.tar"), "-C", str(tmp_path)])


def test_git_repository_in_the_mount(mnt, workdir, tmp_path):
    environment = git_environment(tmp_path)
    repository = mnt / "repository"
    git(environment, "init", "-q", "-b", "main", str(repository))
    make_tree(repository / "tree")
    (repository / "README").write_text("first\n")
    git(environment, "add", "-A", cwd=repository)
    git(environment, "commit", "-q", "-m", "first", cwd=repository)
    (repository / "README").write_text("second\n")
    git(environment, "commit", "-q", "-a", "-m", "second", cwd=repository)
    git(environment, "fsck", "--full", "--strict", cwd=repository)
    assert git(environment, "status", "--porcelain", cwd=repository).stdout == ""
    git(environment, "checkout", "-q", "HEAD~1", cwd=repository)
    assert (workdir.local / "repository/README").read_text() == "first\n"
    git(environment, "checkout", "-q", "main", cwd=repository)
    assert (workdir.local / "repository/README").read_text() == "second\n"
    # The repository is as good on the server's own disk, and in a clone taken through the mount.
    git(environment, "fsck", "--full", "--strict", cwd=workdir.local / "repository")
    git(environment, "clone", "-q", "--no-hardlinks", str(repository), str(tmp_path / "clone"))
    assert git(environment, "log", "--format=%s", cwd=tmp_path / "clone").stdout.split() == ["second", "first"]


def test_git_clone_into_the_mount(mnt, workdir, tmp_path):
    environment = git_environment(tmp_path)
    origin = tmp_path / "origin"
    git(environment, "init", "-q", "-b", "main", str(origin))
    make_tree(origin / "tree")
    for number in range(3):
        (origin / "counter").write_text(f"{number}\n")
        git(environment, "add", "-A", cwd=origin)
        git(environment, "commit", "-q", "-m", f"commit {number}", cwd=origin)
    git(environment, "clone", "-q", f"file://{origin}", str(mnt / "clone"))
    git(environment, "fsck", "--full", "--strict", cwd=mnt / "clone")
    assert git(environment, "status", "--porcelain", cwd=mnt / "clone").stdout == ""
    (origin / "tree/void").rmdir()  # git keeps no empty directory
    assert_same(describe(workdir.local / "clone/tree", times=False, modes=False),
                describe(origin / "tree", times=False, modes=False), "the clone's work tree on the server")
    assert git(environment, "rev-parse", "HEAD", cwd=workdir.local / "clone").stdout == \
        git(environment, "rev-parse", "HEAD", cwd=origin).stdout


def test_sqlite(mnt, workdir):
    database = mnt / "test.db"

    def sql(text, path=database):
        return run(["sqlite3", "-batch", "-bail", str(path), text]).stdout.strip()

    sql("create table t(id integer primary key, name text, data blob);")
    sql("begin;"
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000)"
        " insert into t select i, 'name ' || i, randomblob(100) from n;"
        "commit;")
    sql("update t set name = 'changed ' || id where id % 3 = 0;")
    sql("delete from t where id % 10 = 0;")
    sql("begin; delete from t; rollback;")
    sql("create index by_name on t(name);")
    sql("vacuum;")
    assert sql("pragma integrity_check;") == "ok"
    assert sql("select count(*), sum(id) from t;") == "900|450000"
    assert sql("select count(*) from t where name like 'changed %';") == "300"
    # The same bytes are a good database on the server's disk, and no journal is left behind.
    assert sql("pragma integrity_check;", workdir.local / "test.db") == "ok"
    assert sql("select count(*), sum(id) from t;", workdir.local / "test.db") == "900|450000"
    assert names_in(mnt) == ["test.db"]
    settles(workdir.local, ["test.db"])


def test_vim(mnt, workdir, tmp_path):
    text = "".join(f"line {number} alpha\n" for number in range(500))
    (mnt / "text.txt").write_text(text)
    os.chmod(mnt / "text.txt", 0o640)
    environment = dict(os.environ, HOME=str(tmp_path), TERM="dumb")
    run(["vim", "-Nu", "NONE", "-i", "NONE", "-es", "-c", "set backup writebackup swapfile backupskip=", "-c",
         "%s/alpha/beta/", "-c", "$put ='the end'", "-c", "wq", str(mnt / "text.txt")], env=environment)
    want = text.replace("alpha", "beta") + "the end\n"
    assert (workdir.local / "text.txt").read_text() == want
    assert (workdir.local / "text.txt~").read_text() == text, "vim's backup"
    assert stat.S_IMODE((workdir.local / "text.txt").stat().st_mode) == 0o640
    run(["vim", "-Nu", "NONE", "-i", "NONE", "-es", "-c", "put! ='new'", "-c", "wq", str(mnt / "new.txt")],
        env=environment)
    assert (workdir.local / "new.txt").read_text().startswith("new\n")
    settles(workdir.local, ["new.txt", "text.txt", "text.txt~"])  # no swap file


def test_sed_in_place(mnt, workdir):
    (mnt / "text.txt").write_text("one\ntwo\nthree\n" * 100)
    os.chmod(mnt / "text.txt", 0o600)
    run(["sed", "-i", "s/two/2/; $a the end", str(mnt / "text.txt")])
    assert (workdir.local / "text.txt").read_text() == "one\n2\nthree\n" * 100 + "the end\n"
    assert stat.S_IMODE((workdir.local / "text.txt").stat().st_mode) == 0o600
    run(["sed", "-i.orig", "1d", str(mnt / "text.txt")])
    assert (workdir.local / "text.txt.orig").read_text() == "one\n2\nthree\n" * 100 + "the end\n"
    assert (workdir.local / "text.txt").read_text() == ("one\n2\nthree\n" * 100 + "the end\n")[4:]
    assert names_in(mnt) == ["text.txt", "text.txt.orig"]
    settles(workdir.local, ["text.txt", "text.txt.orig"])


def test_shell_append(mnt, workdir):
    """`>>` and `>` of a shell, line by line: each is an open, a write and a close."""
    log = mnt / "log"
    for number in range(8):
        run(["sh", "-c", 'echo "line $1" >> "$2"', "sh", str(number), str(log)])
    assert (workdir.local / "log").read_text() == "".join(f"line {number}\n" for number in range(8))
    run(["sh", "-c", 'echo new > "$1"', "sh", str(log)])
    assert (workdir.local / "log").read_text() == "new\n"


def test_dd_in_place(mnt, workdir, tmp_path):
    """dd conv=notrunc in the middle, at odd places, at the end and past it, against the same on a local file."""
    local = tmp_path / "image"
    local.write_bytes(noise(500_003, 3))
    run(["cp", str(local), str(mnt / "image")])
    (tmp_path / "block").write_bytes(noise(70_001, 4))
    for block_size, seek, count in [(1, 0, 1), (512, 3, 2), (4096, 17, 5), (7, 1001, 300), (65_536, 7, 1),
                                    (1, 500_002, 1), (1000, 510, 3), (4096, 160, 2)]:
        for path in (local, mnt / "image"):
            run(["dd", f"if={tmp_path}/block", f"of={path}", f"bs={block_size}", f"seek={seek}", f"count={count}",
                 "conv=notrunc", "status=none"])
        run(["cmp", str(local), str(mnt / "image")])
        run(["cmp", str(local), str(workdir.local / "image")])
    run(["dd", f"if={mnt}/image", f"of={tmp_path}/part", "bs=1000", "skip=123", "count=77", "status=none"])
    assert (tmp_path / "part").read_bytes() == local.read_bytes()[123_000:200_000]
    for path in (local, mnt / "image"):
        run(["dd", "if=/dev/zero", f"of={path}", "bs=1", "count=0", "seek=1234", "status=none"])
    assert (workdir.local / "image").read_bytes() == local.read_bytes()


def test_find_and_rm(mnt, server, workdir):
    make_tree(workdir.local / "tree")
    for number in range(5):
        (workdir.local / f"tree/wide/{number}/a/b").mkdir(parents=True)
        (workdir.local / f"tree/wide/{number}/a/file").write_bytes(b"f")
    server.give(workdir.local / "tree")
    through_mount = run(["find", ".", "-printf", "%y %s %P\\n"], cwd=mnt / "tree").stdout.splitlines()
    on_server = run(["find", ".", "-printf", "%y %s %P\\n"], cwd=workdir.local / "tree").stdout.splitlines()

    def without_directory_sizes(lines):
        return sorted(line if line.startswith("f") else line.split(" ", 2)[0] + " " + line.split(" ", 2)[2]
                      for line in lines)

    assert without_directory_sizes(through_mount) == without_directory_sizes(on_server)
    names = run(["find", str(mnt / "tree"), "-name", "file*", "-type", "f"]).stdout.splitlines()
    assert len(names) == 17
    assert run(["grep", "-rl", "hidden", str(mnt / "tree")]).stdout.splitlines() == [str(mnt / "tree/deep/.hidden")]
    run(["rm", "-r", str(mnt / "tree")])
    settles(workdir.local, [])
    settles(mnt, [])


def test_mv_of_trees(mnt, workdir, tmp_path):
    source = make_tree(tmp_path / "source")
    want = describe(source)
    run(["cp", "-a", str(source), str(mnt / "one")])
    run(["mv", str(mnt / "one"), str(mnt / "two")])
    assert_same(describe(workdir.local / "two"), want, "the server's disk after mv within the mount")
    assert_same(describe(mnt / "two"), want, "the mount after mv")
    assert os.listdir(workdir.local) == ["two"]
    run(["mv", str(mnt / "two"), str(tmp_path / "back")])
    assert_same(describe(tmp_path / "back"), want, "the local disk after mv out of the mount")
    settles(workdir.local, [])


def test_make(mnt, workdir):
    """Time stamps that make compares: of files it has just written through the mount."""
    (mnt / "Makefile").write_text(
        "PARTS = a.out b.out c.out\n"
        "all: result\n"
        "result: $(PARTS)\n\tcat $(PARTS) > $@\n"
        "%.out: %.in\n\ttr a-z A-Z < $< > $@\n"
        "clean:\n\trm -f *.out result\n")
    now = int(time.time())
    for name in "abc":
        (mnt / f"{name}.in").write_text(f"text of {name}\n")
        os.utime(mnt / f"{name}.in", (now - 100, now - 100))
    run(["make", "-s"], cwd=mnt)
    assert (workdir.local / "result").read_text() == "TEXT OF A\nTEXT OF B\nTEXT OF C\n"
    assert "up to date" in run(["make", "result"], cwd=mnt).stdout
    # FTP has whole seconds: what is to count as older must be older by one.
    for name in ("a.out", "b.out", "c.out", "result"):
        os.utime(mnt / name, (now - 50, now - 50))
    (mnt / "b.in").write_text("other\n")
    run(["make"], cwd=mnt)
    assert (workdir.local / "result").read_text() == "TEXT OF A\nOTHER\nTEXT OF C\n"
    assert "up to date" in run(["make", "result"], cwd=mnt).stdout
    run(["make", "-s", "clean"], cwd=mnt)
    assert names_in(mnt) == ["Makefile", "a.in", "b.in", "c.in"]
    settles(workdir.local, ["Makefile", "a.in", "b.in", "c.in"])


def test_zipfile(mnt, workdir):
    """python's zipfile seeks back to write sizes, and appends by overwriting the directory at the end."""
    archive = mnt / "archive.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for number in range(5):
            zipped.writestr(f"first/{number}", noise(10_000, number))
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_STORED) as zipped:
        with zipped.open("second", "w") as member:
            for number in range(5):
                member.write(noise(20_000, 10 + number))
    for path in (archive, workdir.local / "archive.zip"):
        with zipfile.ZipFile(path) as zipped:
            assert zipped.testzip() is None
            assert len(zipped.namelist()) == 6
            assert zipped.read("first/3") == noise(10_000, 3)
            assert zipped.read("second") == b"".join(noise(20_000, 10 + number) for number in range(5))


def test_mmap(mnt, workdir):
    content = bytearray(noise(100_000, 5))
    (mnt / "mapped").write_bytes(content)
    with open(mnt / "mapped", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert mapped[:] == content
        assert mapped.find(content[50_000:50_016]) == 50_000
    with open(mnt / "mapped", "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[10:20] = content[10:20] = b"0123456789"
        mapped[65_530:65_550] = content[65_530:65_550] = b"across 64 KiB border"
        mapped[99_999] = content[99_999] = 7
        mapped.flush()
        os.fsync(file.fileno())
        assert (workdir.local / "mapped").read_bytes() == content, "after msync and fsync"
        mapped[0:4] = content[0:4] = b"last"
    assert (mnt / "mapped").read_bytes() == content
    # A mapping may be written back after close(2): the next open of the file must see it, and the server at its end.
    fd = os.open(mnt / "mapped", os.O_RDWR)
    os.fsync(fd)
    os.close(fd)
    assert (workdir.local / "mapped").read_bytes() == content


def test_parallel_readers(mnt, workdir):
    files = {f"file-{number}": noise(150_000 + 1111 * number, number) for number in range(16)}
    for name, content in files.items():
        (workdir.local / name).write_bytes(content)
    (workdir.local / "shared").write_bytes(noise(1_000_000, 99))
    want = sorted(f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in files.items())
    shared = f"{hashlib.sha256(noise(1_000_000, 99)).hexdigest()}  shared"

    readers = []
    try:
        for number in range(8):
            order = list(files)
            random.Random(number).shuffle(order)
            readers.append(subprocess.Popen(["timeout", "-k", "5", "200", "sha256sum", "shared", *order], cwd=mnt,
                                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        for reader in readers:
            output, errors = reader.communicate(timeout=220)
            assert reader.returncode == 0, errors
            assert sorted(output.splitlines()) == sorted(want + [shared])
    finally:
        for reader in readers:
            if reader.poll() is None:
                reader.kill()
                reader.wait()


def test_python_runs_from_the_mount(mnt, workdir):
    """The interpreter writes its byte code through a temporary name and a rename."""
    (mnt / "package").mkdir()
    (mnt / "package/__init__.py").write_text("from .part import VALUE\n")
    (mnt / "package/part.py").write_text("VALUE = 42\n")
    (mnt / "program.py").write_text("import package\nprint(package.VALUE)\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for _ in range(2):
        assert run([sys.executable, str(mnt / "program.py")], env=environment).stdout == "42\n"
    cached = names_in(workdir.local / "package/__pycache__")
    assert len(cached) == 2 and all(name.endswith(".pyc") for name in cached), cached


def test_symlink(mnt, workdir):
    """Either a link that works, or a clean refusal that leaves nothing behind."""
    (mnt / "target").write_bytes(b"target\n")
    result = run(["ln", "-s", "target", str(mnt / "link")], check=False)
    if result.returncode == 0:
        assert os.readlink(mnt / "link") == "target"
        assert (mnt / "link").read_bytes() == b"target\n"
        assert os.readlink(workdir.local / "link") == "target"
    else:
        assert any(text in result.stderr for text in ("Operation not supported", "Operation not permitted",
                                                      "Function not implemented")), result.stderr
        assert sorted(os.listdir(workdir.local)) == ["target"]
        assert sorted(os.listdir(mnt)) == ["target"]
