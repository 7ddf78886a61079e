# SPDX-License-Identifier: MIT
"""A certificate authority and a server certificate, made once for each process by the openssl program."""

import functools
import pathlib
import subprocess
import textwrap

from . import scratch


class Certificates:
    """Paths of PEM files: the authority, the server's certificate, its key, and both of these in one file."""

    def __init__(self, directory):
        self.cafile = directory / "ca.pem"
        self.certificate = directory / "server.pem"
        self.key = directory / "server.key"
        self.combined = directory / "server-and-key.pem"


def _openssl(*arguments):
    result = subprocess.run(("openssl",) + arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=120, check=False)
    if result.returncode != 0:
        raise RuntimeError("openssl failed: " + result.stdout.decode(errors="replace"))


@functools.lru_cache(maxsize=None)
def certificates():
    """The certificates of this process, for localhost, 127.0.0.1, ::1 and the server's addresses in netlab. The files
    vanish with the process."""
    directory = pathlib.Path(scratch.new_directory("certificates"))
    made = Certificates(directory)
    ca_key = directory / "ca.key"
    request = directory / "server.csr"
    extensions = directory / "extensions"
    extensions.write_text(textwrap.dedent("""\
        basicConstraints = critical, CA:FALSE
        keyUsage = critical, digitalSignature, keyEncipherment
        extendedKeyUsage = serverAuth
        subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1, IP:203.0.113.2, IP:2001:db8::2
        """))
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "30",
             "-subj", "/CN=ftpfs test authority", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
             "-keyout", str(ca_key), "-out", str(made.cafile))
    _openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-sha256", "-subj", "/CN=localhost",
             "-keyout", str(made.key), "-out", str(request))
    _openssl("x509", "-req", "-in", str(request), "-CA", str(made.cafile), "-CAkey", str(ca_key), "-set_serial", "1",
             "-sha256", "-days", "30", "-extfile", str(extensions), "-out", str(made.certificate))
    made.combined.write_bytes(made.key.read_bytes() + made.certificate.read_bytes())
    made.combined.chmod(0o600)
    return made
