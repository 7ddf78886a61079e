# SPDX-License-Identifier: MIT
"""The rows of the table. A row says what is done on a mount, what the raw program for it is, and what is aimed at.

measure(run) is called with a fresh mount (run.mount) and returns {"seconds": ...} and more; raw(run) the same without a
mount. target(results) yields (rtt, server, sentence, whether it is met or None) of the medians.
"""

import pathlib

from . import tree as trees

RCLONE = ("rclone-off", "rclone-writes", "rclone-full")


class Run:
    """One measurement. site, tree, mount (None for raw programs), directory (its own), limit (seconds)."""

    def __init__(self, site, tree, mount, directory, limit, number):
        self.site = site
        self.tree = tree
        self.mount = mount
        self.directory = directory
        self.limit = limit
        self.number = number  # of the repetition

    def at(self, path):
        """Where a file of the server stands in the mount."""
        return str(self.mount.path / pathlib.Path(path).relative_to(self.tree.root))

    def url(self, path):
        return self.site.url(pathlib.Path(path).relative_to(self.tree.root))

    def out(self, name="out"):
        return str(self.directory / name)

    def child(self, function, **parameters):
        from .bounded import Child
        return Child(function, parameters, [] if self.mount else self.site.prefix)

    def work(self, function, **parameters):
        return self.child(function, **parameters).result(self.limit, self.mount)

    def curl(self, *arguments, **parameters):
        return self.work("command", argv=["curl", "-sS", "--ftp-method", "nocwd", *arguments], **parameters)

    def curl_list(self, lines, *arguments, **parameters):
        """One curl for many transfers."""
        config = self.directory / "curlrc"
        config.write_text("\n".join(lines) + "\n")
        return self.curl(*arguments, "-K", str(config), **parameters)

    def lftp(self, script, **parameters):
        server = self.site.server
        begin = f"set ftp:passive-mode on; set net:max-retries 2; set ftp:ssl-allow off; " \
                f"open -u {server.user},{server.password} {server.host}:{server.port}; "
        return self.work("command", argv=["lftp", "-c", begin + script], **parameters)


class Results:
    """The medians: get(peer, rtt, server) -> a dictionary, or None when it was not measured or did not end."""

    def __init__(self, medians):
        self.medians = medians

    def get(self, peer, rtt, kind):
        return self.medians.get((peer, rtt, kind))

    def seconds(self, peer, rtt, kind):
        found = self.get(peer, rtt, kind)
        return found and found["seconds"]

    def best(self, names, rtt, kind):
        return min(filter(None, (self.seconds(name, rtt, kind) for name in names)), default=None)

    def places(self):
        return sorted({(rtt, kind) for _, rtt, kind in self.medians})


def at_most(value, limit):
    """Whether it is met; None when there is nothing to compare."""
    return None if value is None or limit is None else value <= limit


class Cell:
    """All measurements of one row by one peer in one place. trouble: why there are no more."""

    def __init__(self, measurements=(), trouble=None):
        self.measurements = list(measurements)
        self.trouble = trouble


class Row:
    name = title = None
    needs = ()
    rtts = (0, 20)
    kinds = ("vsftpd",)
    options = ()  # more for every ftpfs
    variants = ()  # of ftpfs, beside the plain one
    loss = {}
    writes = False
    limit = 90
    only_ours = False  # there is nothing to compare with
    raw = None

    def measure(self, run):
        raise NotImplementedError

    def target(self, results):
        return []

    def cell(self, median):
        text = f"{median['seconds']:.3g}" if median["seconds"] < 10 else f"{median['seconds']:.0f}"
        if median.get("rounds") is not None:
            text += f" ({median['rounds']:.0f})"
        return text


class Deep(Row):
    name = "deep"
    title = "open and read a file 8 levels down"
    needs = ("deep",)
    rtts = (0, 20, 100)
    kinds = ("vsftpd", "proftpd")

    def measure(self, run):
        return run.work("read", path=run.at(run.tree.deep_file()), original=str(run.tree.deep_file()))

    def raw(self, run):
        out = run.out()
        return run.curl("-o", out, run.url(run.tree.deep_file()), same=[(out, str(run.tree.deep_file()))])

    def target(self, results):
        found = results.get("ftpfs", 20, "proftpd")
        yield 20, "proftpd", "at most 14 round trips", at_most(found and found.get("rounds"), 14)


class Ls(Row):
    name = "ls"
    title = "`ls -l` of 10,000 entries"
    limit = 60
    needs = ("many",)
    rtts = (0, 20, 100)
    kinds = ("vsftpd", "proftpd")

    def measure(self, run):
        many = run.tree.root / "many"
        return run.work("ls", directory=run.at(many), original=str(many), out=run.out())

    def raw(self, run):
        how = ["-X", "MLSD"] if run.site.kind == "proftpd" else []
        return run.curl(*how, run.url(run.tree.root / "many") + "/", out=run.out())

    def target(self, results):
        for rtt, kind in results.places():
            raw = results.seconds("raw", rtt, kind)
            yield (rtt, kind, "at most 1.5 times curl + 0.1 s",
                   at_most(results.seconds("ftpfs", rtt, kind), raw and raw * 1.5 + 0.1))


class Find(Row):
    name = "find"
    title = "`find` over 100 directories"
    needs = ("dirs",)
    rtts = (0, 20, 100)
    kinds = ("vsftpd", "proftpd")
    variants = ("ftpfs-one",)

    def measure(self, run):
        dirs = run.tree.root / "dirs"
        return run.work("find", directory=run.at(dirs), original=str(dirs), out=run.out())

    def raw(self, run):
        return run.lftp("find dirs", out=run.out())

    def target(self, results):
        for kind, how, one, many in (("vsftpd", "STAT", 2.5, 1), ("proftpd", "MLSD", 9, 2)):
            yield (20, kind, f"by {how}: under {one} s with connections=1",
                   at_most(results.seconds("ftpfs-one", 20, kind), one))
            yield 20, kind, f"by {how}: under {many} s", at_most(results.seconds("ftpfs", 20, kind), many)


class Cat(Row):
    name = "cat"
    title = "`cat` 200 small files in order"
    needs = ("small",)
    kinds = ("vsftpd", "proftpd")

    def measure(self, run):
        small = run.tree.root / "small"
        return run.work("cat", directory=run.at(small), original=str(small), out=run.out())

    def raw(self, run):
        lines = [f'url = "{run.url(path)}"\noutput = "{run.out(path.name)}"' for path in run.tree.small_files()]
        return run.curl_list(lines, same=[(run.out(path.name), str(path)) for path in run.tree.small_files()])

    def target(self, results):
        for kind in self.kinds:
            yield 20, kind, "under 3 s", at_most(results.seconds("ftpfs", 20, kind), 3)


class Processes(Row):
    name = "procs"
    title = "8 processes reading 200 small files"
    needs = ("small",)
    kinds = ("vsftpd",)

    def measure(self, run):
        small = run.tree.root / "small"
        return run.work("cat_parallel", directory=run.at(small), original=str(small), out=run.out(), processes=8)

    def raw(self, run):
        lines = [f'url = "{run.url(path)}"\noutput = "{run.out(path.name)}"' for path in run.tree.small_files()]
        return run.curl_list(lines, "-Z", "--parallel-max", "8",
                             same=[(run.out(path.name), str(path)) for path in run.tree.small_files()])

    def target(self, results):
        yield (20, "vsftpd", "as fast as rclone",
               at_most(results.seconds("ftpfs", 20, "vsftpd"), results.best(RCLONE, 20, "vsftpd")))


class ReadMedium(Row):
    name = "read64"
    title = "read 64 MiB"
    needs = ("medium",)
    rtts = (0, 20, 100)
    loss = {100: 0.001}
    file = "medium"

    def measure(self, run):
        path = run.tree.root / self.file
        return run.work("read", path=run.at(path), original=str(path))

    def raw(self, run):
        path = run.tree.root / self.file
        return run.curl("-o", "/dev/null", "-w", "%{size_download}", run.url(path), out=run.out(),
                        size=path.stat().st_size)

    def target(self, results):
        for rtt, text, factor in ((20, "at most 1.1 times curl", 1.1), (100, "at most half of curl's time", 0.5)):
            raw = results.seconds("raw", rtt, "vsftpd")
            yield rtt, "vsftpd", text, at_most(results.seconds("ftpfs", rtt, "vsftpd"), raw and raw * factor)


class ReadBig(ReadMedium):
    name = "read256"
    title = "read 256 MiB"
    needs = ("big",)
    rtts = (0, 20)
    loss = {}
    file = "big"

    def target(self, results):
        ours = results.seconds("ftpfs", 0, "vsftpd")
        raw = results.seconds("raw", 0, "vsftpd")
        yield 0, "vsftpd", "at least 60 % of curl's throughput", at_most(ours, raw and raw / 0.6)
        yield 0, "vsftpd", "faster than every rclone mode", at_most(ours, results.best(RCLONE, 0, "vsftpd"))


class Random(Row):
    name = "random"
    title = "100 random reads of 4 KiB in 256 MiB"
    limit = 60
    needs = ("big",)
    kinds = ("vsftpd", "proftpd")

    def measure(self, run):
        path = run.tree.root / "big"
        return run.work("read_random", path=run.at(path), original=str(path), count=run.tree.sizes.reads,
                        seed=run.number)

    def target(self, results):
        for rtt, limit in ((0, 0.5), (20, 10)):
            yield rtt, "vsftpd", f"under {limit} s", at_most(results.seconds("ftpfs", rtt, "vsftpd"), limit)


class Second(Row):
    name = "second"
    title = "second read of 256 MiB"
    needs = ("big",)

    def measure(self, run):
        path = run.tree.root / "big"
        run.work("read", path=run.at(path), original=str(path))
        run.site.forget_commands()
        result = run.work("read", path=run.at(path), original=str(path))
        result["local"] = run.work("read", path=str(path), original=str(path))["seconds"]
        return result

    def cell(self, median):
        return super().cell(median) + f", {median['local'] / median['seconds']:.2f} of local"

    def target(self, results):
        for rtt, kind in results.places():
            found = results.get("ftpfs", rtt, kind)
            yield (rtt, kind, "at least 0.7 of a local file", at_most(found and found["seconds"],
                                                                      found and found["local"] / 0.7))
            yield (rtt, kind, "no FTP command (but a look at the name, where the last is older than a second)",
                   at_most(found and found.get("transfers"), 0))


class InTheWay(Row):
    """ls of other directories, alone and during a long transfer."""

    name = "download"
    title = "`ls -l` of another directory during a download"
    needs = ("big", "dirs")
    rtts = (20,)
    limit = 180

    def begin(self, run):
        """Starts the transfer; returns the child once bytes flow."""
        path = run.tree.root / "big"
        return run.child("read", path=run.at(path), original=str(path))

    def measure(self, run):
        directories = [run.at(path) for path in run.tree.directories()]
        third = max(1, min(10, len(directories) // 3))
        idle = run.work("ls_each", directories=directories[:third])
        child = self.begin(run)
        try:
            self.wait_for_bytes(run)
            busy = run.work("ls_each", directories=directories[third:2 * third])
            if child.process.poll() is not None and run.tree.sizes.big > trees.MIB * 2:
                raise RuntimeError("the transfer was over too early")
        finally:
            child.stop(run.mount)
        return {"seconds": busy["seconds"], "idle": idle["seconds"], "worst": busy["worst"]}

    @staticmethod
    def wait_for_bytes(run):
        import time
        limit = time.monotonic() + 30
        while time.monotonic() < limit:
            if any(line.split(" ")[0] in ("RETR", "STOR", "APPE") for line in run.site.server.commands()):
                time.sleep(5 * run.site.rtt / 1000)
                return
            time.sleep(0.02)

    def cell(self, median):
        return f"{median['seconds']:.3g}, alone {median['idle']:.3g}, worst {median['worst']:.3g}"

    def target(self, results):
        for rtt, kind in results.places():
            found = results.get("ftpfs", rtt, kind)
            yield (rtt, kind, "at most twice its idle time", at_most(found and found["seconds"],
                                                                     found and 2 * found["idle"]))


class InTheWayOfUpload(InTheWay):
    name = "upload"
    title = "`ls -l` of another directory during an upload"
    needs = ("local_big", "dirs", "in")
    writes = True

    def begin(self, run):
        source = str(run.tree.local / "big")
        target = run.tree.root / "in" / f"long{run.directory.name}"
        return run.child("copy_in", command=["cp", source, run.at(target)], pairs=[(source, str(target))])


READING = [Deep(), Ls(), Find(), Cat(), Processes(), ReadMedium(), ReadBig(), Random(), Second(), InTheWay(),
           InTheWayOfUpload()]
