# SPDX-License-Identifier: MIT
"""TLS as people meet it: certificates of nobody, of ourselves and pinned; servers that demand resumption or a
certificate; old versions; data connections in the clear."""

import concurrent.futures
import hashlib
import os
import re
import socket
import ssl
import subprocess
import threading

import pytest

import servers
from lib import FTPFS, run
from servers.certs import certificates

MOUNT_FAILED = 32


def ftpfs(source, mountpoint, *options):
    return run([FTPFS, source, mountpoint, "-o", ",".join(options)], check=False)


# vsftpd's require_ssl_reuse, as FileZilla Server has it, too.

@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("tls", [True, "implicit"])
def test_required_resumption(mount, version, tls):
    """Every data connection resumes the TLS session of its own control connection, also many at once."""
    with servers.start("vsftpd", tls=tls, require_ssl_reuse=True) as server:
        content = {f"file {number}": os.urandom(300_000 + number) for number in range(12)}
        for name, data in content.items():
            (server.root / name).write_bytes(data)
            server.give(server.root / name)
        mounted = mount(server, "", f"tls_max={version}", "connections=6", "cache_ttl=1")

        def copy(name):
            assert (mounted.path / name).read_bytes() == content[name]
            (mounted.path / f"{name} again").write_bytes(content[name])
            os.listdir(mounted.path)

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(copy, content))
        for name, data in content.items():
            assert hashlib.sha256((server.root / f"{name} again").read_bytes()).digest() == \
                hashlib.sha256(data).digest()
        status = run([FTPFS, "--status", mounted.path]).stdout
        assert "tls_resumed: yes\n" in status
        mounted.unmount()
        # With TLS 1.3 a used ticket is refused; it is tried again with a new control connection.
        refused = server.log_text().count("522 SSL connection failed")
        assert refused == 0 if version == "1.2" else refused < 36


def test_resumption_is_really_demanded(tmp_path):
    """So that the test above can fail: curl without its cache of sessions is refused."""
    with servers.start("vsftpd", tls=True, require_ssl_reuse=True) as server:
        (server.root / "file").write_bytes(b"x")
        command = ["curl", "-sS", "--ssl-reqd", "--cacert", server.cafile, "--tls-max", "1.2", server.url("file")]
        assert run(command).stdout == "x"
        assert run([*command, "--no-sessionid"], check=False).returncode != 0


# Who is there?

@pytest.fixture(scope="module")
def tls_server():
    with servers.start("vsftpd", tls=True) as server:
        (server.root / "file").write_bytes(b"content")
        yield server


def pin_of(certificate):
    """sha256//... of a PEM certificate's public key, by openssl."""
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], stdout=subprocess.PIPE,
                         timeout=60, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, stdout=subprocess.PIPE,
                         timeout=60, check=True).stdout
    import base64
    return "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()


def test_message_has_the_line_to_add(tls_server, tmp_path, mount):
    """What is not trusted is shown, with the options that would trust it, and nothing else."""
    done = ftpfs(tls_server.url(), tmp_path, "tls=on")
    assert done.returncode == MOUNT_FAILED and len(done.stderr.splitlines()) == 2, done
    line = re.search(r"-o (tls_verify=off,tls_pin=sha256//[A-Za-z0-9+/]{43}=); or its authority: cacert=FILE",
                     done.stderr).group(1)
    assert line.endswith(pin_of(certificates().certificate)), done
    mounted = mount(None, "", "tls=on", line, source=tls_server.url())
    assert (mounted.path / "file").read_bytes() == b"content"
    assert not [command for command in tls_server.commands() if command.startswith("PASS anonymous")]


def test_certificate_itself_is_trusted(mount):
    """A self-signed certificate stands in cacert= by itself."""
    with servers.start("proftpd", tls=True) as server:
        (server.root / "file").write_bytes(b"content")
        mounted = mount(None, "", "tls=on", f"cacert={server.cafile}", source=server.url())
        assert (mounted.path / "file").read_bytes() == b"content"
        mounted.unmount()


def test_another_key_than_the_pinned(tls_server, tmp_path):
    wrong = "sha256//" + "A" * 43 + "="
    for more in ("tls_verify=off", f"cacert={tls_server.cafile}"):
        done = ftpfs(tls_server.url(), tmp_path, "tls=on", more, f"tls_pin={wrong}")
        assert done.returncode == MOUNT_FAILED, done
        assert "not the key of tls_pin=" in done.stderr and pin_of(certificates().certificate) in done.stderr, done
    pinned = pin_of(certificates().certificate)
    done = ftpfs(tls_server.url(), tmp_path, "tls=on", f"cacert={tls_server.cafile}", f"tls_pin={wrong};{pinned}")
    assert done.returncode == 0, done
    run(["fusermount3", "-u", tmp_path])


def test_name_in_the_certificate(tls_server, tmp_path):
    """Another name of the same host is not in it."""
    source = tls_server.url().replace("127.0.0.1", "127.0.0.2")
    done = ftpfs(source, tmp_path, "tls=on", f"cacert={tls_server.cafile}", "connect_timeout=5")
    assert done.returncode == MOUNT_FAILED, done


# Client certificates.

@pytest.fixture(scope="module")
def client_certificate(session_directory):
    """(certificate, key, key with a pass phrase, authority)"""
    here = session_directory / "client-certificate"
    here.mkdir()

    def openssl(*arguments):
        run(["openssl", *arguments], cwd=here, timeout=60)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=authority of clients",
            "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=joe", "-keyout", "joe.key", "-out", "joe.csr")
    openssl("x509", "-req", "-in", "joe.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "7", "-days", "30",
            "-out", "joe.pem")
    openssl("rsa", "-in", "joe.key", "-aes128", "-passout", "pass:open it", "-out", "joe-locked.key")
    return here


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_server_that_wants_a_certificate(mount, client_certificate, tmp_path, version):
    here = client_certificate
    settings = {"require_cert": "YES", "validate_cert": "YES", "ca_certs_file": here / "ca.pem"}
    with servers.start("vsftpd", tls=True, settings=settings) as server:
        (server.root / "file").write_bytes(b"content" * 10_000)
        for key in ([f"key={here}/joe.key"], [f"key={here}/joe-locked.key", "pass=open it"]):
            mounted = mount(server, "", f"tls_max={version}", f"cert={here}/joe.pem", *key)
            assert (mounted.path / "file").read_bytes() == b"content" * 10_000
            (mounted.path / "new").write_bytes(b"new" * 10_000)
            assert (server.root / "new").read_bytes() == b"new" * 10_000
            mounted.unmount()
        done = ftpfs(server.url(), tmp_path, *server.options, f"tls_max={version}", "retry=0", "timeout=5")
        # With TLS 1.3 the refusal comes behind the handshake, and the connection may be gone before it is read.
        assert done.returncode == MOUNT_FAILED and (version == "1.3" or "cert=FILE" in done.stderr), done
        done = ftpfs(server.url(), tmp_path, *server.options, f"cert={here}/joe.pem", f"key={here}/ca.key")
        assert done.returncode == MOUNT_FAILED and "belong together" in done.stderr, done


# Parts in the clear.

@pytest.mark.parametrize("option", ["tls_data=off", "ssl_control"])
def test_clear_data_connections(mount, option):
    with servers.start("vsftpd", tls=True, settings={"force_local_data_ssl": "NO"}) as server:
        (server.root / "in").write_bytes(b"in" * 50_000)
        options = [f"cacert={server.cafile}", *([option] if option == "ssl_control" else ["tls=on", option])]
        mounted = mount(None, "", *options, source=server.url(), arguments=["-v"])
        assert (mounted.path / "in").read_bytes() == b"in" * 50_000
        (mounted.path / "out").write_bytes(b"out" * 50_000)
        assert (server.root / "out").read_bytes() == b"out" * 50_000
        mounted.unmount()
        commands = [line.upper() for line in server.commands()]
        assert "PROT P" not in commands and ("PROT C" in commands or "PROT" not in " ".join(commands))
        assert "AUTH SSL" in commands or "AUTH TLS" in commands


@pytest.mark.parametrize("tls", [False, True])
def test_try(mount, tls):
    """tls=try encrypts where the server can, and goes on where it can't."""
    with servers.start("vsftpd", tls=tls) as server:
        (server.root / "file").write_bytes(b"content")
        options = [f"cacert={server.cafile}"] if tls else []
        mounted = mount(None, "", "tls=try", *options, source=server.url())
        assert (mounted.path / "file").read_bytes() == b"content"
        status = run([FTPFS, "--status", mounted.path]).stdout
        assert f"tls: {'explicit' if tls else 'no'}\n" in status
        mounted.unmount()


def test_try_does_not_trust_everybody(tls_server, tmp_path):
    """A certificate that is wrong is no reason to go on without TLS."""
    before = len(tls_server.commands())
    done = ftpfs(tls_server.url(), tmp_path, "tls=try")
    assert done.returncode == MOUNT_FAILED and "tls_pin=" in done.stderr, done
    assert not [line for line in tls_server.commands()[before:] if line.startswith("PASS")]


# Old servers.

class OldServer:
    """Greets, agrees to AUTH, and then speaks no newer TLS than `version`."""

    def __init__(self, version):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_ciphers("ALL:@SECLEVEL=0")
        self.context.minimum_version = ssl.TLSVersion.TLSv1
        self.context.maximum_version = version
        self.context.load_cert_chain(certificates().certificate, certificates().key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                client.settimeout(30)
                try:
                    client.sendall(b"220 old\r\n")
                    client.recv(1000)
                    client.sendall(b"234 go on\r\n")
                    with self.context.wrap_socket(client, server_side=True) as wrapped:
                        wrapped.recv(1000)
                except OSError:
                    pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(timeout=60)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_version(tmp_path, version):
    server = OldServer(version)
    try:
        done = ftpfs(f"ftp://u:secret@127.0.0.1:{server.port}/", tmp_path, "tls=on", f"cacert={certificates().cafile}")
    finally:
        server.close()
    assert done.returncode == MOUNT_FAILED, done
    assert "only versions of TLS that are too old" in done.stderr and "secret" not in done.stderr, done


def test_no_version_in_common(tls_server, tmp_path):
    with servers.start("proftpd", tls=True) as server:
        done = ftpfs(server.url(), tmp_path, *server.options, "tls_max=1.0")
        assert done.returncode == MOUNT_FAILED and "version" in done.stderr, done
