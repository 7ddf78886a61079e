# SPDX-License-Identifier: MIT
"""Every connection mode behind real firewalls and NAT: real servers in the network namespaces of netlab.

Each row reads, writes, lists and renames through the mount, and asserts the sentence in the log that says which mode is
used and why. Bounds are for a hang, never for speed: a decision that takes one connect_timeout is given a minute more.
"""

import concurrent.futures
import hashlib
import os
import time

import pytest

import lib
import netlab
import servers
from lib import STRICT

PASSIVE = (40000, 40019)
PATIENCE = 60  # seconds, on top of what a row takes by design
ROUNDS = 4
SHORT = "connect_timeout=4"
ADMIT = "tcp dport { 20, 21 } accept"

plain_and_tls = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@pytest.fixture
def world():
    """Makes labs: world(nat="client") -> netlab.Lab; they end after the mounts, which a test must ask for later."""
    reason = netlab.missing()
    if reason:
        if STRICT:
            pytest.fail(reason)
        pytest.skip(reason)
    made, started = [], []

    def make(**options):
        lab = netlab.Lab(**options)
        made.append(lab)

        def start(kind="vsftpd", **settings):
            why = servers.missing(kind)
            if why:
                if STRICT:
                    pytest.fail(why)
                pytest.skip(why)
            settings.setdefault("address", lab.server.address)
            settings.setdefault("seen_as", None if ":" in settings["address"] else lab.reachable)
            server = servers.start(kind, netns=lab.server.path, port=21, **settings)
            started.append(server)
            for number in range(1, ROUNDS + 1):
                (server.root / f"round{number}").mkdir()
                put(server, f"round{number}/read")
                server.give(server.root / f"round{number}")
            for name in ("unreachable", "late"):
                put(server, name)
            (server.root / "busy").mkdir()
            for number in range(12):
                put(server, f"busy/file{number}", 400_000 + number)
            server.give(server.root / "busy")
            return server

        lab.start = start
        return lab

    yield make
    for server in started:
        server.forget()
    for lab in made:
        lab.end()


def put(server, name, size=200_000):
    """A file on the server with content that belongs to its name; returns the content."""
    seed = hashlib.sha256(name.encode()).digest()
    content = (seed * (size // len(seed) + 1))[:size]
    path = server.root / name
    path.write_bytes(content)
    server.give(path)
    return content


class Rounds:
    """Uses a mount: each call does everything once, below a directory of its own (world() makes ROUNDS of them on the
    server), so that no cache answers."""

    def __init__(self, server, mount):
        self.server = server
        self.mount = mount
        self.number = 0

    def __call__(self):
        while (self.server.root / f"round{self.number}" / "new").exists() or self.number == 0:
            self.number += 1
        here, there = (top / f"round{self.number}" for top in (self.mount.path, self.server.root))
        assert os.listdir(here) == ["read"]
        content = (there / "read").read_bytes()
        assert (here / "read").read_bytes() == content
        os.mkdir(here / "new")
        (here / "new" / "written").write_bytes(content[::-1])
        assert (there / "new" / "written").read_bytes() == content[::-1]
        os.rename(here / "new" / "written", here / "new" / "renamed")
        assert os.listdir(there / "new") == os.listdir(here / "new") == ["renamed"]


def attach(mount, lab, server, *options):
    """A mount made in the client's namespace, and its Rounds."""
    made = mount(server, "", *options, wrapper=lab.client.prefix)
    return made, Rounds(server, made)


def expect(mount, *words):
    """Waits for one line of the log that has all the words."""
    def found():
        return any(all(word in line for word in words) for line in mount.log_text().splitlines())
    lib.wait_for(found, PATIENCE, f"a line of the log with {words}; the log is:\n{mount.log_text()}")


def fails(mount):
    """A read through the mount ends with an error; returns how long that took."""
    begin = time.monotonic()
    with pytest.raises(OSError):
        (mount.path / "unreachable").read_bytes()
    return time.monotonic() - begin


def count(server, verb):
    return sum(1 for line in server.commands() if line.split(" ")[0] == verb)


def verbs(server):
    return {verb for verb in ("EPSV", "PASV", "EPRT", "PORT") if count(server, verb)}


# Nothing in between.

FORCED = [("EPSV", ["passive"]), ("EPSV", ["passive", "epsv=on"]), ("PASV", ["passive", "epsv=off"]),
          ("EPRT", ["active"]), ("PORT", ["active", "eprt=off"]), ("EPSV", [])]
SIX = [("EPSV", ["passive"]), ("EPRT", ["active"]), ("EPSV", []), ("EPSV", ["epsv=off"])]


def name_of(value):
    return value if isinstance(value, str) else "+".join(value)


@plain_and_tls
@pytest.mark.parametrize("verb, options", FORCED, ids=name_of)
def test_forced(world, mount, tls, verb, options):
    lab = world()
    server = lab.start(tls=tls)
    _, use = attach(mount, lab, server, *options)
    use()
    assert verbs(server) == {verb}


@pytest.mark.parametrize("verb, options", SIX, ids=name_of)
def test_forced_ipv6(world, mount, verb, options):
    lab = world()
    if lab.client.address6 is None:
        pytest.skip("this kernel has no IPv6")
    server = lab.start(address=lab.server.address6)
    _, use = attach(mount, lab, server, *options)
    use()
    assert verbs(server) == {verb}


# The server's firewall.

@plain_and_tls
def test_server_firewall_drops(world, mount, tls):
    lab = world()
    server = lab.start(tls=tls, settings={"connect_from_port_20": "YES"})
    lab.server.firewall(ADMIT, "drop")

    forced, _ = attach(mount, lab, server, "passive", SHORT)
    assert fails(forced) < 4 + PATIENCE
    expect(forced, "the passive data connection to 203.0.113.2:", "got no answer", "mode=passive allows nothing else")

    _, use = attach(mount, lab, server, "active", SHORT)
    use()

    auto, use = attach(mount, lab, server, SHORT)
    use()
    expect(auto, "the passive data connection to 203.0.113.2:", "(EPSV) got no answer in 2 s",
           "(PASV) got no answer in 2 s; using active mode (mode=active forces it)")
    before = count(server, "EPSV")
    use()
    assert count(server, "EPSV") == before, "what worked is remembered"


@plain_and_tls
@pytest.mark.parametrize("how, words", [("reject with tcp reset", "was refused"), ("reject", "(EPSV)")],
                         ids=["reset", "icmp"])
def test_server_firewall_rejects(world, mount, tls, how, words):
    lab = world()
    server = lab.start(tls=tls)
    lab.server.firewall(ADMIT, how)
    begin = time.monotonic()
    auto, use = attach(mount, lab, server, "connect_timeout=200")
    use()
    assert time.monotonic() - begin < 100, "a refused connection needs no waiting"
    expect(auto, "the passive data connection to 203.0.113.2:", words, "using active mode (mode=active forces it)")


# The client behind NAT.

def behind_client_nat(world):
    lab = world(nat="client")
    # The server sends what it has for private addresses towards the internet, where nobody carries it.
    lab.server.ip("route add default dev wire")
    lab.router.firewall("iifname wire drop", hook="forward")
    return lab


@plain_and_tls
def test_client_behind_nat(world, mount, tls):
    lab = behind_client_nat(world)
    server = lab.start(tls=tls)
    forced, _ = attach(mount, lab, server, "active", SHORT)
    fails(forced)
    expect(forced, "the server refuses active mode", "PORT 192,168,1,2,", "mode=active allows nothing else")

    auto, use = attach(mount, lab, server, SHORT)
    before = count(server, "PORT")
    use()
    assert count(server, "PORT") == before
    assert "active mode" not in auto.log_text()


def test_client_behind_nat_and_a_trusting_server(world, mount):
    lab = behind_client_nat(world)
    server = lab.start("pyftpdlib", settings={"permit_foreign_addresses": True})
    forced, _ = attach(mount, lab, server, "active", SHORT)
    assert fails(forced) < 4 + PATIENCE
    expect(forced, "the server did not connect to 192.168.1.2:", "in 4 s", "mode=active allows nothing else")


def test_client_behind_nat_that_forwards(world, mount):
    lab = behind_client_nat(world)
    lab.forward("50000-50009")
    lab.router.firewall("ct status dnat accept", "iifname wire drop", hook="forward")
    server = lab.start()
    _, use = attach(mount, lab, server, "active", "active_address=203.0.113.1", "active_ports=50000-50009")
    use()
    assert verbs(server) == {"EPRT"}
    assert any(line.startswith("EPRT |1|203.0.113.1|500") for line in server.commands())


# The server behind NAT.

def behind_server_nat(world, tls=False, **settings):
    lab = world(nat="server")
    lab.forward("21")
    return lab, lab.start(tls=tls, passive_ports=PASSIVE, **settings)


@plain_and_tls
@pytest.mark.parametrize("choice", ["auto", "control"])
def test_server_behind_nat(world, mount, tls, choice):
    lab, server = behind_server_nat(world, tls=tls)
    lab.forward("40000-40019")
    made, use = attach(mount, lab, server, "epsv=off", f"pasv_address={choice}")
    use()
    assert verbs(server) == {"PASV"}
    if choice == "auto":
        expect(made, "the server announces 192.168.2.2 for passive data connections; using 203.0.113.2",
               "pasv_address=control forces it")


def test_server_behind_nat_believed(world, mount):
    lab, server = behind_server_nat(world)
    lab.forward("40000-40019")
    made, _ = attach(mount, lab, server, "passive", "epsv=off", "pasv_address=server", SHORT)
    assert fails(made) < 4 + PATIENCE
    expect(made, "the passive data connection to 192.168.2.2:", "pasv_address=control",
           "mode=passive allows nothing else")


def test_server_behind_nat_epsv(world, mount):
    lab, server = behind_server_nat(world)
    lab.forward("40000-40019")
    _, use = attach(mount, lab, server)
    use()
    assert verbs(server) == {"EPSV"}


def test_server_announces_another_public_address(world, mount):
    """A third host is believed when the user says so, and not otherwise."""
    lab, server = behind_server_nat(world, settings={"pasv_address": "203.0.113.4"})
    lab.forward("40000-40019", address=lab.reachable_too)
    _, use = attach(mount, lab, server, "passive", "epsv=off", "pasv_address=server", SHORT)
    use()
    assert verbs(server) == {"PASV"}
    for choice in ("auto", "control"):
        other, _ = attach(mount, lab, server, "passive", "epsv=off", f"pasv_address={choice}", SHORT)
        fails(other)
        expect(other, "the passive data connection to 203.0.113.2:")
        if choice == "auto":
            expect(other, "the server announces 203.0.113.4", "pasv_address=server")


def test_server_announces_a_public_address_that_leads_nowhere(world, mount):
    lab, server = behind_server_nat(world, settings={"pasv_address": "203.0.113.77"})
    lab.forward("40000-40019")
    made, use = attach(mount, lab, server, "passive", "epsv=off", SHORT)
    use()
    expect(made, "the server announces 203.0.113.77", "using 203.0.113.2")


@plain_and_tls
def test_server_announces_nothing(world, mount, tls):
    lab = world()
    server = lab.start("pyftpdlib", tls=tls, settings={"masquerade_address": "0.0.0.0"})
    made, use = attach(mount, lab, server, "epsv=off")
    use()
    assert verbs(server) == {"PASV"}
    expect(made, "the server announces 0.0.0.0 for passive data connections; using 203.0.113.2")


# Ranges of ports, several connections.

def busy(server, made):
    """Six readers and writers at once, each of several files."""
    directory = server.root / "busy"
    contents = [(directory / f"file{number}").read_bytes() for number in range(12)]

    def work(number):
        here = made.path / "busy"
        for step in (number, number + 6):
            assert (here / f"file{step}").read_bytes() == contents[step]
            (here / f"copy{step}").write_bytes(contents[step])
        return number

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(work, range(6))) == list(range(6))
    for number, content in enumerate(contents):
        assert (directory / f"copy{number}").read_bytes() == content


def announced_ports(server):
    found = set()
    for line in server.commands():
        if line.startswith("EPRT "):
            found.add(int(line.split("|")[3]))
    return found


@plain_and_tls
@pytest.mark.parametrize("high", [50005, 50001], ids=["six-ports", "two-ports"])
def test_client_firewall_admits_active_ports(world, mount, tls, high):
    lab = world()
    server = lab.start(tls=tls)
    lab.client.firewall(f"tcp dport 50000-{high} accept", "drop")
    made, use = attach(mount, lab, server, "active", f"active_ports=50000-{high}", "connections=6")
    use()
    busy(server, made)
    assert announced_ports(server) <= set(range(50000, high + 1))


def test_short_passive_range(world, mount):
    lab = world()
    server = lab.start(passive_ports=(40000, 40001))
    made, use = attach(mount, lab, server, "passive", "connections=6")
    use()
    busy(server, made)


# The client's addresses.

def test_active_address(world, mount):
    lab = world()
    server = lab.start("pyftpdlib", settings={"permit_foreign_addresses": True})
    _, use = attach(mount, lab, server, "active", "active_address=203.0.113.3")
    use()
    told = {line.split("|")[2] for line in server.commands() if line.startswith("EPRT ")}
    assert told == {"203.0.113.3"}


def test_active_address_by_interface(world, mount):
    lab = world()
    server = lab.start()
    _, use = attach(mount, lab, server, "active", "active_address=wire", "active_ports=50000-50009")
    use()
    told = {line.split("|")[2] for line in server.commands() if line.startswith("EPRT ")}
    assert told == {"203.0.113.1"}
    assert announced_ports(server) <= set(range(50000, 50010))


@pytest.mark.parametrize("where, address", [("203.0.113.3", "203.0.113.3"), ("wire", "203.0.113.1")])
@pytest.mark.parametrize("mode", ["passive", "active"])
def test_bind(world, mount, mode, where, address):
    lab = world()
    # Whoever comes from another address is not let in, neither for the control connection nor for data.
    lab.server.firewall(f"ip saddr {address} accept", "drop")
    server = lab.start()
    _, use = attach(mount, lab, server, mode, f"bind={where}")
    use()
    assert f'Client "{address}"' in server.log_text()


# What the server refuses, or what a box in the middle lets through of it.

@plain_and_tls
def test_epsv_refused(world, mount, tls):
    lab = world()
    server = lab.start("pyftpdlib", tls=tls, refuse=["EPSV"])
    made, use = attach(mount, lab, server, "connections=1")
    use()
    expect(made, "the server refuses EPSV (5", "using PASV (epsv=off forces it)")
    before = count(server, "EPSV")
    use()
    assert count(server, "EPSV") == before, "the refusal is remembered"


@plain_and_tls
def test_epsv_blocked(world, mount, tls):
    lab = world()
    server = lab.start("pyftpdlib", tls=tls, epsv_ports=(45000, 45019), passive_ports=PASSIVE)
    lab.server.firewall(ADMIT, "tcp dport 40000-40019 accept", "drop")
    made, use = attach(mount, lab, server, "connections=2", SHORT)
    use()
    expect(made, "the passive data connection to 203.0.113.2:450", "(EPSV) got no answer in 2 s",
           "using PASV (epsv=off forces it)")
    before = count(server, "EPSV")
    use()
    assert count(server, "EPSV") == before, "the one that works is remembered"
    assert count(server, "PASV") > 0 and count(server, "EPRT") == 0


def test_passive_refused(world, mount):
    lab = world()
    server = lab.start("pyftpdlib", refuse=["EPSV", "PASV"])
    made, use = attach(mount, lab, server, "connections=1")
    use()
    expect(made, "the server refuses passive mode (PASV: 5", "using active mode (mode=active forces it)")
    before = count(server, "PASV")
    use()
    assert count(server, "PASV") == before, "the refusal is remembered"


def test_epsv_refused_ipv6(world, mount):
    lab = world()
    if lab.client.address6 is None:
        pytest.skip("this kernel has no IPv6")
    server = lab.start("pyftpdlib", address=lab.server.address6, refuse=["EPSV"])
    made, use = attach(mount, lab, server)
    use()
    expect(made, "the server refuses passive mode (EPSV: 5", "using active mode (mode=active forces it)")


def test_eprt_refused(world, mount):
    lab = world()
    server = lab.start("pyftpdlib", refuse=["EPRT"])
    made, use = attach(mount, lab, server, "active", "connections=1")
    use()
    expect(made, "the server refuses EPRT (5", "using PORT (eprt=off forces it)")
    before = count(server, "EPRT")
    use()
    assert count(server, "EPRT") == before, "the refusal is remembered"


def test_only_what_was_asked_for(world, mount):
    """epsv=on never sends PASV's connection, eprt=on never takes PORT."""
    lab = world()
    server = lab.start("pyftpdlib", refuse=["EPSV", "EPRT"])
    passive, _ = attach(mount, lab, server, "passive", "epsv=on", SHORT)
    fails(passive)
    expect(passive, "EPSV", "mode=passive allows nothing else")
    active, _ = attach(mount, lab, server, "active", "eprt=on", SHORT)
    fails(active)
    expect(active, "EPRT", "mode=active allows nothing else")


def test_nothing_works(world, mount):
    lab = world()
    server = lab.start()
    lab.server.firewall(ADMIT, "drop")
    lab.client.firewall("drop")
    made, _ = attach(mount, lab, server, SHORT)
    assert fails(made) < 2 * 4 + PATIENCE
    expect(made, "using active mode")
    expect(made, "the server did not connect to 203.0.113.1:",
           "neither passive nor active data connections can be made")


# While mounted.

@plain_and_tls
def test_firewall_changes_while_mounted(world, mount, tls):
    lab = world()
    server = lab.start(tls=tls)
    made, use = attach(mount, lab, server, SHORT)
    use()
    assert verbs(server) == {"EPSV"}
    lab.server.firewall(ADMIT, "drop")
    use()
    expect(made, "got no answer", "using active mode (mode=active forces it)")
    lab.server.firewall()
    lab.client.firewall("drop")
    use()
    expect(made, "the server did not connect to 203.0.113.1:", "using passive mode (mode=passive forces it)")


def test_firewall_changes_while_mounted_and_back(world, mount):
    """A mode that is forced has no other to go to: operations wait for it, while retry= lasts."""
    lab = world()
    server = lab.start()
    made, use = attach(mount, lab, server, "passive", SHORT, "retry=200")
    use()
    lab.server.firewall(ADMIT, "drop")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit((made.path / "late").read_bytes)
        expect(made, "got no answer", "mode=passive allows nothing else")
        lab.server.firewall()
        assert waiting.result(PATIENCE + 60) == (server.root / "late").read_bytes()
