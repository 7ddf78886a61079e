# SPDX-License-Identifier: MIT
"""The rows that ask how time and memory grow with the size of a directory."""

from servers.scripted import ScriptedServer

from .rows import Row, at_most


class Memory(Row):
    name = "memory"
    title = "memory after `ls -l` of 100,000 entries and a streaming read"
    needs = ("huge", "medium")
    rtts = (0,)
    limit = 120

    def measure(self, run):
        before = run.mount.memory()[0]
        huge = run.tree.root / "huge"
        result = run.work("ls", directory=run.at(huge), original=str(huge), out=run.out())
        result["entry"] = (run.mount.memory()[0] - before) / run.tree.sizes.huge
        medium = run.tree.root / "medium"
        run.work("read", path=run.at(medium), original=str(medium))
        result["resident"], result["peak"] = run.mount.memory()
        return result

    def cell(self, median):
        return (f"{median['resident'] / 2**20:.0f} MiB, at most {median['peak'] / 2**20:.0f} MiB, "
                f"{median['entry']:.0f} bytes an entry, ls {median['seconds']:.2g} s")

    def target(self, results):
        found = results.get("ftpfs", 0, "vsftpd")
        yield 0, "vsftpd", "under 64 MiB resident", at_most(found and found["resident"], 64 * 2**20)
        yield 0, "vsftpd", "at most 200 bytes an entry", at_most(found and found["entry"], 200)


class Growth(Row):
    """A scripted server, whose own time is that of sending bytes that it has ready."""

    name = "growth"
    title = "`ls -lU` of 1,000 to 1,000,000 entries"
    rtts = (0,)
    kinds = ("scripted",)
    options = ("prefetch=off",)  # each directory shall be listed when its time is taken
    limit = 120

    def measure(self, run):
        result = {"seconds": 0}
        for count in run.tree.sizes.growth:
            before = run.mount.memory()[0]
            done = run.work("ls_numbered", directory=str(run.mount.path / f"n{count}"), count=count, out=run.out())
            result[f"seconds{count}"] = done["seconds"]
            result[f"memory{count}"] = max(0, run.mount.memory()[0] - before)
            result["seconds"] += done["seconds"]
        return result

    def cell(self, median):
        counts = sorted(int(name[7:]) for name in median if name[7:].isdigit() and name.startswith("seconds"))
        return "; ".join(f"{count:,}: {median[f'seconds{count}']:.3g} s, {median[f'memory{count}'] / 2**20:.1f} MiB"
                         for count in counts)

    def target(self, results):
        found = results.get("ftpfs", 0, "scripted")
        if found and "seconds1000000" in found:
            yield (0, "scripted", "time for each entry at 1,000,000 at most 1.5 times that at 100,000",
                   at_most(found["seconds1000000"] / 10, found["seconds100000"] * 1.5))
            yield (0, "scripted", "memory likewise", at_most(found["memory1000000"] / 10, found["memory100000"] * 1.5))


class ScriptedSite:
    """Looks like a Site: a scripted server on loopback, for listings only."""

    kind = "scripted"
    prefix = []
    rtt = 0

    def __init__(self, counts):
        self.server = ListingServer(counts)
        self.server.start()

    def url(self, path=""):
        return self.server.url(str(path))

    def set_wire(self, rtt, loss, seed):
        pass

    def forget_commands(self):
        self.server.clear_log()

    def commands(self):
        return [line for line in self.server.commands() if line != "QUIT"]


class ListingServer(ScriptedServer):
    """/nCOUNT has COUNT entries; their size is their number. All is ready before anybody looks."""

    def __init__(self, counts):
        super().__init__(user="bench", password="bench")
        lines = [b"type=file;size=%d;modify=20240102030405;UNIX.mode=0644; entry%07d\r\n" % (number, number)
                 for number in range(max(counts))]
        for count in counts:
            path = b"/n%d" % count
            self.tree.mkdir(path)
            self.mlsd_raw[path] = b"".join(lines[:count])

    def forget(self):
        self.stop()


SIZES = [Memory(), Growth()]
