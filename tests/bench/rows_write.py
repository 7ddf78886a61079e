# SPDX-License-Identifier: MIT
"""The rows that write. The time ends when the last byte is on the server, whatever close(2) has promised before."""

import shutil
import subprocess

from .rows import RCLONE, Row, at_most


class Write(Row):
    needs = ("in",)
    writes = True
    variants = ("ftpfs-back",)

    def target_directory(self, run):
        return run.tree.root / "in" / run.directory.name


class WriteMedium(Write):
    name = "write64"
    title = "write 64 MiB"
    needs = ("in", "local_medium")

    def measure(self, run):
        source = str(run.tree.local / "medium")
        target = self.target_directory(run)
        return run.work("copy_in", command=["cp", source, run.at(target)], pairs=[(source, str(target))])

    def raw(self, run):
        source = str(run.tree.local / "medium")
        target = self.target_directory(run)
        return run.curl("-T", source, run.url(target), same=[(source, str(target))])

    def target(self, results):
        raw = results.seconds("raw", 20, "vsftpd")
        yield (20, "vsftpd", "at most 1.15 times curl -T",
               at_most(results.seconds("ftpfs", 20, "vsftpd"), raw and raw * 1.15))


class CopyIn(Write):
    name = "copy"
    title = "copy 100 files of 4 KiB in"
    needs = ("in", "local_small")
    kinds = ("vsftpd", "proftpd")
    limit = 150

    def pairs(self, run):
        source = run.tree.local / "small"
        return [(str(path), str(self.target_directory(run) / path.name)) for path in sorted(source.iterdir())]

    def measure(self, run):
        command = ["cp", "-r", str(run.tree.local / "small"), run.at(self.target_directory(run))]
        return run.work("copy_in", command=command, pairs=self.pairs(run))

    def raw(self, run):
        self.target_directory(run).mkdir()
        run.site.server.give(self.target_directory(run))
        lines = [f'upload-file = "{source}"\nurl = "{run.url(target)}"' for source, target in self.pairs(run)]
        return run.curl_list(lines, same=self.pairs(run))

    def target(self, results):
        for rtt, peer, limit in ((20, "ftpfs", 9), (20, "ftpfs-back", 2), (0, "ftpfs", 0.5), (0, "ftpfs-back", 0.5)):
            mode = "back" if peer == "ftpfs-back" else "sync"
            yield (rtt, "vsftpd", f"write={mode} under {limit} s",
                   at_most(results.seconds(peer, rtt, "vsftpd"), limit))


class Untar(Write):
    name = "untar"
    title = "untar 1,000 files"
    needs = ("in", "tar")
    limit = 400

    def pairs(self, run):
        top = run.tree.local / "source"
        return [(str(path), str(self.target_directory(run) / "source" / path.relative_to(top)))
                for path in sorted(top.glob("*/*"))]

    def measure(self, run):
        self.target_directory(run).mkdir()
        run.site.server.give(self.target_directory(run))
        command = ["tar", "xf", str(run.tree.local / "source.tar"), "-C", run.at(self.target_directory(run))]
        return run.work("copy_in", command=command, pairs=self.pairs(run))

    def raw(self, run):
        self.target_directory(run).mkdir()
        run.site.server.give(self.target_directory(run))
        return run.lftp(f"mirror -R {run.tree.local}/source in/{run.directory.name}/source", same=self.pairs(run))

    def target(self, results):
        for rtt, kind in results.places():
            best = results.best(RCLONE, rtt, kind)
            for peer in ("ftpfs", "ftpfs-back"):
                mode = "back" if peer == "ftpfs-back" else "sync"
                yield (rtt, kind, f"write={mode} faster than rclone in each mode",
                       at_most(results.seconds(peer, rtt, kind), best))


class Remove(Write):
    name = "remove"
    title = "remove 101 entries"
    needs = ("in", "local_small")
    variants = ()

    def prepare(self, run):
        shutil.copytree(run.tree.local / "small", self.target_directory(run))
        run.site.server.give(self.target_directory(run))

    def measure(self, run):
        self.prepare(run)
        return run.work("remove", path=run.at(self.target_directory(run)), served=str(self.target_directory(run)))

    def raw(self, run):
        self.prepare(run)
        return run.lftp(f"rm -r in/{run.directory.name}")


class WriteEnormous(Write):
    """Much more than memory should see."""

    name = "write4g"
    title = "write 4 GiB"
    rtts = (0,)
    only_ours = True
    limit = 600

    def measure(self, run):
        target = self.target_directory(run)
        small = target.with_name(target.name + ".first")
        run.work("write_blocks", path=run.at(small), served=str(small), blocks=max(1, run.tree.sizes.enormous // 2**26))
        before = run.mount.memory()[1]
        result = run.work("write_blocks", path=run.at(target), served=str(target),
                          blocks=run.tree.sizes.enormous // 2**20)
        result["grown"] = run.mount.memory()[1] - before
        spool = run.directory / "spool"
        result["spool"] = sum(int(line.split()[0]) for line in subprocess.run(
            ["du", "-sk", str(spool)], stdout=subprocess.PIPE, timeout=60, check=True).stdout.splitlines())
        small.unlink()
        target.unlink()
        return result

    def cell(self, median):
        return (f"{median['seconds']:.1f}, memory +{median['grown'] / 2**20:.1f} MiB after the first 64 MiB, "
                f"{median['spool']:.0f} KiB in the spool")

    def target(self, results):
        for peer in ("ftpfs", "ftpfs-back"):
            found = results.get(peer, 0, "vsftpd")
            name = "write=back" if peer == "ftpfs-back" else "write=sync"
            yield 0, "vsftpd", f"{name}: memory flat (under 8 MiB more)", at_most(found and found["grown"], 8 * 2**20)
            yield 0, "vsftpd", f"{name}: the spool empty (under 64 KiB)", at_most(found and found["spool"], 64)


WRITING = [WriteMedium(), CopyIn(), Untar(), Remove(), WriteEnormous()]
