# SPDX-License-Identifier: MIT
"""The man page, --help and the option table say the same. --help is printed from the table, so it stands for it."""

import re
import shutil
import subprocess

import pytest

from lib import CHECKOUT, FTPFS

MAN = CHECKOUT / "man" / "ftpfs.1"


@pytest.fixture(scope="module")
def help_text():
    done = subprocess.run([FTPFS, "--help"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout


def help_options(text):
    """Name -> (whether it takes a value, default or None), of the lines "    -o name=VALUE  help (default: x)"."""
    found = {}
    for match in re.finditer(r"^    -o (\S+)\s+(.*)$", text, re.MULTILINE):
        synopsis, explained = match.groups()
        name, value = re.fullmatch(r"(\w+)(\[?=.*)?", synopsis).groups()
        default = re.search(r"\(default: (.*)\)$", explained)
        assert name not in found, f"{name} stands twice in --help"
        found[name] = (value is not None, default.group(1) if default else None)
    return found


def help_ignored(text):
    part = text.split("accepted without an effect:\n", 1)[1].split("\n\n", 1)[0]
    return {word.rstrip("=*") for word in part.split()}


def man_options():
    """The same of the man page: from ".It Cm name" to the next ".It" or the end of the list."""
    found = {}
    for match in re.finditer(r"^\.It Cm (\w+)(.*)\n((?:(?!\.It |\.El).*\n)*)", MAN.read_text(), re.MULTILINE):
        name, synopsis, body = match.groups()
        assert body.strip(), f"{name} has no text in the man page"
        defaults = re.findall(r"^Default: (.*)\.$", body, re.MULTILINE)
        assert len(defaults) <= 1, f"{name} has more than one default"
        assert name not in found, f"{name} stands twice in the man page"
        found[name] = ("=" in synopsis, defaults[0] if defaults else None)
    return found


def man_ignored():
    part = MAN.read_text().split(".Ss Accepted without an effect\n", 1)[1].split(".Sh ENVIRONMENT", 1)[0]
    return set(re.findall(r"^\.Cm ([\w-]+)", part, re.MULTILINE))


def test_every_option_is_in_both(help_text):
    of_help, of_man = help_options(help_text), man_options()
    assert len(of_help) > 100
    assert set(of_help) - set(of_man) == set(), "in --help, not in the man page"
    assert set(of_man) - set(of_help) == set(), "in the man page, not in --help"


def test_values_and_defaults_agree(help_text):
    of_help, of_man = help_options(help_text), man_options()
    assert {name: of_man.get(name) for name in of_help} == of_help


def test_ignored_options_agree(help_text):
    assert help_ignored(help_text) == man_ignored()


def test_options_of_the_design_are_there(help_text):
    wanted = """mode passive active epsv eprt pasv_address active_address active_ports port bind ipv4 ipv6 connections
        keepalive proxy tcp_nodelay connect_timeout timeout retry tls tls_data tls_verify tls_pin tls_max
        cacert capath cert key ciphers user credentials netrc password_stdin uid gid umask fmask dmask
        charset listing list_command timezone symlinks hidden cache_ttl negative_ttl cache read_ahead
        streams prefetch write upload spool spool_max ro""".split()
    assert set(wanted) - set(help_options(help_text)) == set()


def test_options_of_curlftpfs_are_there(help_text):
    wanted = """ftpfs_debug transform_symlinks disable_epsv enable_epsv skip_pasv_ip ftp_port disable_eprt ftp_method
        custom_list tcp_nodelay connect_timeout ssl ssl_control ssl_try no_verify_hostname no_verify_peer
        cert cert_type key key_type pass engine cacert capath ciphers interface krb4 proxy proxytunnel
        proxy_anyauth proxy_basic proxy_digest proxy_ntlm httpproxy socks4 socks5 user proxy_user tlsv1
        sslv3 ipv4 ipv6 utf8 codepage iocharset cache cache_timeout cache_stat_timeout cache_dir_timeout
        cache_link_timeout""".split()
    assert set(wanted) - set(help_options(help_text)) == set()


def test_flags_agree(help_text):
    of_help = set(re.findall(r"^    (-[a-zA-Z])\b", help_text, re.MULTILINE)) - {"-o"}
    of_man = set()
    for line in re.findall(r"^\.It (Fl .*)$", MAN.read_text(), re.MULTILINE):
        of_man |= {"-" + letter for letter in re.findall(r"Fl ([a-zA-Z])\b", line)}
    assert of_help == of_man - {"-o"}


@pytest.mark.parametrize("page", ["ftpfs.1", "mount.ftpfs.8"])
def test_man_page_is_clean(page):
    assert shutil.which("mandoc"), "mandoc is not installed; tests/deps installs it"
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(CHECKOUT / "man" / page)],
                          capture_output=True, text=True, timeout=60)
    assert (done.stdout + done.stderr).strip() == ""
    assert done.returncode == 0
