# SPDX-License-Identifier: MIT
"""A small internet for tests: a client's and a server's network namespace with a wire between them.

    with netlab.Lab(rtt=20) as lab:
        server = servers.start("vsftpd", netns=lab.server.path, address=lab.server.address, port=21)
        lab.server.firewall("tcp dport { 21 } accept", "drop")
        lab.client.run(["curl", server.url()])

The worlds (addresses are the same in each lab; they exist only inside its namespaces):

    Lab()               client 203.0.113.1 and .3, 2001:db8::1  ---wire---  server 203.0.113.2 and .4, 2001:db8::2
    Lab(nat="client")   client 192.168.1.2 -- router 203.0.113.1 (masquerades)  ---wire---  server 203.0.113.2
    Lab(nat="server")   client 203.0.113.1  ---wire---  router 203.0.113.2 and .4 -- server 192.168.2.2
                        (the router forwards what Namespace.forward() was told)

A process enters by `nsenter --net=...` (Namespace.prefix), which leaves the mount namespace as it is, so that FUSE
mounts made there are seen by all. The kernel needs no netem: wire.c is what delays, limits, loses and cuts off.

Nothing is left behind: a namespace lives as long as the process that holds it, that one ends with the thread that made
the lab, however that ends, and its devices and nftables rules vanish with it. Not thread-safe.
"""

import atexit
import ctypes
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import weakref

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 60  # seconds for any of the small programs used here

_labs = weakref.WeakSet()
_wire_program = None


class LabError(Exception):
    """A lab can't be made or told; the message says why."""


def missing():
    """Why no lab can be made here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    for program in ("ip", "nft", "nsenter", "cc"):
        if _program(program) is None:
            return f"the program {program} is not installed"
    return _trial()


_trial_result = []


def _trial():
    """Makes one lab with all that the tests use, once for each process; returns what went wrong, or None."""
    if not _trial_result:
        try:
            with Lab(nat="client") as lab:
                lab.server.firewall("tcp dport 21 accept", "drop")
            _trial_result.append(None)
        except (LabError, OSError) as error:
            _trial_result.append(f"no network laboratory can be made: {error}")
    return _trial_result[0]


def _program(name):
    return shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")


def _run(command, text=None):
    result = subprocess.run([str(word) for word in command], input=text, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=LIMIT, check=False, encoding="utf-8", errors="replace")
    if result.returncode != 0:
        raise LabError(f"{' '.join(map(str, command))} ended with {result.returncode}: {result.stdout.strip()}\n"
                       f"{text or ''}")
    return result.stdout


def _wire():
    """The path of the helper program, compiled once for each process."""
    global _wire_program
    if _wire_program is None:
        for stale in pathlib.Path(tempfile.gettempdir()).glob("ftpfs-netlab.*"):  # of processes that were killed
            if not os.path.exists(f"/proc/{stale.name.split('.')[1]}"):
                shutil.rmtree(stale, ignore_errors=True)
        directory = tempfile.mkdtemp(prefix=f"ftpfs-netlab.{os.getpid()}.")
        atexit.register(shutil.rmtree, directory, True)
        _run([_program("cc"), "-std=gnu17", "-O2", "-Wall", "-Wextra", "-o", f"{directory}/wire", HERE / "wire.c"])
        _wire_program = f"{directory}/wire"
    return _wire_program


class _Helper:
    """A running wire.c. It ends when its standard input does, or with this thread."""

    def __init__(self, *arguments):
        environment = dict(os.environ, WIRE_PARENT=str(os.getpid()))
        for name in ("LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"):
            environment.pop(name, None)
        self.process = subprocess.Popen([_wire(), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=environment, start_new_session=True)
        try:
            self.expect("ready")
        except BaseException:
            self.end()
            raise

    def expect(self, wanted):
        ready, _, _ = select.select([self.process.stdout], [], [], LIMIT)
        line = self.process.stdout.readline().decode().strip() if ready else "(nothing)"
        if line != wanted:
            self.process.kill()
            said = self.process.stderr.read().decode(errors="replace").strip()
            raise LabError(said or f"the wire answers {line!r} instead of {wanted!r}")

    def tell(self, order):
        self.process.stdin.write(order.encode() + b"\n")
        self.process.stdin.flush()
        self.expect("ok")

    def end(self):
        self.process.kill()
        self.process.wait(timeout=LIMIT)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except OSError:
                pass


class Namespace:
    """One machine of the lab. address, address6: its first ones; path: for setns(2); prefix: to start a program in
    it."""

    def __init__(self, name):
        self.name = name
        self.address = None
        self.address6 = None
        self._holder = _Helper("hold")
        self.pid = self._holder.process.pid
        self.path = f"/proc/{self.pid}/ns/net"
        self.prefix = [_program("nsenter"), f"--net={self.path}", "--"]

    def run(self, command, text=None):
        """Runs a program in it and returns its output; LabError when it fails or takes longer than a minute."""
        return _run(self.prefix + list(command), text)

    def ip(self, *lines):
        """Lines of ip(8), without the word "ip"."""
        self.run([_program("ip"), "-batch", "-"], "".join(line + "\n" for line in lines))

    def sysctl(self, name, value):
        self.run(["/bin/sh", "-c", f"echo {value} > /proc/sys/{name.replace('.', '/')}"])

    def firewall(self, *rules, hook="input"):
        """Replaces the rules for what comes in (or goes out: hook="output"); none lets everything through. Answers to
        what this machine began, ICMP and its loopback are let in before these rules."""
        chain = ["ct state established,related accept", "iifname lo accept", "meta l4proto { icmp, icmpv6 } accept"]
        body = "\n".join(f"    {rule}" for rule in chain * bool(rules) + list(rules))
        table = f"firewall_{hook}"
        self.run([_program("nft"), "-f", "-"],
                 f"table inet {table} {{}}\nflush table inet {table}\n"
                 f"delete table inet {table}\ntable inet {table} {{\n  chain {hook} {{\n"
                 f"    type filter hook {hook} priority 0; policy accept;\n{body}\n  }}\n}}\n")

    def nat(self, *rules, hook="prerouting"):
        """Adds rules to a NAT chain (prerouting, postrouting, output)."""
        priority = {"prerouting": -100, "output": -100, "postrouting": 100}[hook]
        self.run([_program("nft"), "-f", "-"],
                 f"table ip nat {{\n  chain {hook} {{\n    type nat hook {hook} priority {priority};\n"
                 + "".join(f"    {rule}\n" for rule in rules) + "  }\n}\n")

    def end(self):
        self._holder.end()


class Wire:
    """What joins two namespaces. rtt in milliseconds, rate in bytes a second and direction (0: no limit), loss as a
    probability for each packet and direction."""

    def __init__(self, left, right, device_left, device_right):
        self._helper = _Helper("join", f"{left.pid}:{device_left}", f"{right.pid}:{device_right}")

    def set(self, rtt=None, rate=None, loss=None, seed=1):
        if rtt is not None:
            self._helper.tell(f"delay {int(rtt * 500)}")
        if rate is not None:
            self._helper.tell(f"rate {int(rate)}")
        if loss is not None:
            self._helper.tell(f"loss {float(loss):.9f} {int(seed)}")

    def down(self):
        """From now on everything vanishes, also what is on its way; nobody is told."""
        self._helper.tell("down")

    def up(self):
        self._helper.tell("up")

    def end(self):
        self._helper.end()


class Lab:
    """client, server: Namespace; router: Namespace, or None without NAT; wire: the Wire in the middle.

    reachable: the IPv4 address at which the client finds the server."""

    reachable = "203.0.113.2"
    reachable_too = "203.0.113.4"

    def __init__(self, rtt=0, rate=0, loss=0, seed=1, nat=None):
        if nat not in (None, "client", "server"):
            raise ValueError(f"nat={nat!r}")
        self.router = None
        self._parts = []
        _labs.add(self)
        try:
            self.client = self._keep(Namespace("client"))
            self.server = self._keep(Namespace("server"))
            if nat:
                self.router = self._keep(Namespace("router"))
            left = self.router if nat == "client" else self.client
            right = self.router if nat == "server" else self.server
            self.wire = self._keep(Wire(left, right, "wire", "wire"))
            self._address(left, "wire", "203.0.113.1/24", "203.0.113.3/24", six="2001:db8::1/64")
            self._address(right, "wire", f"{self.reachable}/24", f"{self.reachable_too}/24", six="2001:db8::2/64")
            if nat == "client":
                self._inner(self.client, "192.168.1.2", "192.168.1.1")
                self.router.nat("oifname wire masquerade", hook="postrouting")
            if nat == "server":
                self._inner(self.server, "192.168.2.2", "192.168.2.1")
            self.wire.set(rtt=rtt, rate=rate, loss=loss, seed=seed)
        except BaseException:
            self.end()
            raise

    def _keep(self, part):
        self._parts.append(part)
        return part

    @staticmethod
    def _address(namespace, device, *addresses, six=None):
        # The queue must hold what a window holds: a wire loses what it is told to lose, and nothing else.
        namespace.ip("link set lo up", f"link set {device} txqueuelen 20000 up",
                     *(f"address add {address} dev {device}" for address in addresses))
        namespace.address = addresses[0].partition("/")[0]
        # A link without addresses of the link layer: nobody to ask whether an address is taken.
        if six and os.path.exists("/proc/net/if_inet6"):
            namespace.sysctl("net.ipv6.conf.all.disable_ipv6", 0)
            namespace.ip(f"address add {six} dev {device} nodad")
            namespace.address6 = six.partition("/")[0]

    def _inner(self, namespace, inner, outer):
        self._keep(Wire(namespace, self.router, "inner", "inner"))
        router_address = self.router.address
        self._address(namespace, "inner", f"{inner}/24")
        self._address(self.router, "inner", f"{outer}/24")
        self.router.address = router_address
        namespace.ip(f"route add default via {outer}")
        self.router.sysctl("net.ipv4.ip_forward", 1)

    def forward(self, ports, to=None, address=None):
        """nat="server": what comes to the router's address (default: reachable) at these ports ("21, 40000-40010") goes
        to the server. nat="client": likewise to the client."""
        inner = to or (self.server if self.server.address.startswith("192.168.") else self.client)
        outer = address or self.router.address
        self.router.nat(f"ip daddr {outer} tcp dport {{ {ports} }} dnat to {inner.address}")

    def end(self):
        """Ends everything that was made here, and the programs' network with it. The programs themselves stay."""
        for part in reversed(self._parts):
            part.end()
        self._parts = []

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.end()


def end_all():
    """Ends every lab that is still there."""
    for lab in list(_labs):
        lab.end()


atexit.register(end_all)


class inside:
    """with inside(path): this thread's new sockets belong to the network namespace; path None changes nothing."""

    _libc = ctypes.CDLL(None, use_errno=True)
    _CLONE_NEWNET = 0x40000000

    def __init__(self, path):
        self.path = path

    def _enter(self, descriptor):
        if self._libc.setns(descriptor, self._CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), self.path)

    def __enter__(self):
        if self.path is not None:
            self.own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            other = os.open(self.path, os.O_RDONLY)
            try:
                self._enter(other)
            finally:
                os.close(other)

    def __exit__(self, *_exception):
        if self.path is not None:
            try:
                self._enter(self.own)
            finally:
                os.close(self.own)
