# SPDX-License-Identifier: MIT
"""A mount through an HTTP proxy that knows CONNECT and nothing else (RFC 9110, 9.3.6), and through real ones."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading

import pytest

from lib import wait_for
from servers.base import free_port


class Proxy:
    """Tunnels, and keeps the requests: each is the text up to the empty line."""

    def __init__(self):
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        request = b""
        with client:
            while b"\r\n\r\n" not in request:
                piece = client.recv(1)
                if not piece:
                    return
                request += piece
            self.requests.append(request)
            method, target = request.split()[:2]
            if method != b"CONNECT":
                client.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                return
            host, _, port = target.decode().rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=self._carry, args=(server, client), daemon=True)
                back.start()
                self._carry(client, server)
                back.join()

    @staticmethod
    def _carry(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def close(self):
        self.listener.close()


@pytest.fixture
def proxy():
    proxy = Proxy()
    yield proxy
    proxy.close()


def test_proxy(mount, server, workdir, proxy):
    (workdir.local / "in").write_bytes(b"in" * 50_000)
    server.give(workdir.local / "in")
    mounted = mount(server, workdir.remote, f"proxy=http://joe:proxy-secret@127.0.0.1:{proxy.port}", arguments=["-v"])
    assert (mounted.path / "in").read_bytes() == b"in" * 50_000
    (mounted.path / "out").write_bytes(b"out" * 50_000)
    assert (workdir.local / "out").read_bytes() == b"out" * 50_000
    mounted.unmount()

    methods = {request.split()[0] for request in proxy.requests}
    assert methods == {b"CONNECT"}
    assert len(proxy.requests) >= 3, "control and data connections go through it"
    for request in proxy.requests:
        assert server.user.encode() not in request
    text = mounted.log_text()
    assert "> CONNECT " in text
    for secret in (server.password, "proxy-secret", "Authorization"):
        assert secret not in text


def test_proxy_that_refuses(mount, any_server):
    """Nothing is sent in any other way."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(AssertionError, match="ended with 32"):
            mount(any_server, "", f"proxy=http://127.0.0.1:{nobody.getsockname()[1]}")


# Proxies of the distribution.

@pytest.fixture(params=["tinyproxy", "microsocks", "microsocks with a password"])
def real_proxy(request, tmp_path):
    """The URL of a running proxy."""
    program = request.param.split()[0]
    assert shutil.which(program), f"{program} is not installed (tests/deps test installs it)"
    port = free_port()
    if program == "tinyproxy":
        configuration = tmp_path / "tinyproxy.conf"
        configuration.write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 100\n")
        command, url = ["tinyproxy", "-d", "-c", str(configuration)], f"http://127.0.0.1:{port}"
    elif "password" in request.param:
        command = ["microsocks", "-i", "127.0.0.1", "-p", str(port), "-u", "joe", "-P", "proxy-secret"]
        url = f"socks5://joe:proxy-secret@127.0.0.1:{port}"
    else:
        command, url = ["microsocks", "-i", "127.0.0.1", "-p", str(port)], f"socks5://127.0.0.1:{port}"
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port), what=f"{program} to listen")
        yield url
    finally:
        process.kill()
        process.wait()


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def test_real_proxy(mount, any_server, real_proxy):
    path = any_server.root / "through a real proxy"
    path.write_bytes(b"in" * 50_000)
    any_server.give(path)
    mounted = mount(any_server, "", f"proxy={real_proxy}", arguments=["-v"])
    assert (mounted.path / path.name).read_bytes() == b"in" * 50_000
    (mounted.path / path.name).write_bytes(b"out" * 50_000)
    assert path.read_bytes() == b"out" * 50_000
    os.unlink(mounted.path / path.name)
    mounted.unmount()
    assert not path.exists()
    for secret in (any_server.password, "proxy-secret"):
        assert secret not in mounted.log_text()
