# SPDX-License-Identifier: MIT
"""Tab completion, in a real bash and a real zsh on a terminal of their own."""

import os
import pty
import re
import select
import shutil
import signal
import time

import pytest

from lib import CHECKOUT, FTPFS
from test_docs import help_options, help_text  # noqa: F401

COMPLETIONS = CHECKOUT / "src" / "completions"
PATIENCE = 90


class Shell:
    """A shell in which ftpfs is a function that prints its arguments, once the completion is there. `typed` presses
    Tab and Enter, and returns these arguments."""

    def __init__(self, command, directory, setup):
        self.text = ""
        self.count = 0
        pid, self.terminal = pty.fork()
        if pid == 0:
            os.chdir(directory)
            environment = {"PATH": f"{FTPFS.parent}:/usr/bin:/bin:/usr/sbin", "TERM": "dumb", "HOME": str(directory),
                           "LC_ALL": "C.UTF-8", "COLUMNS": "400", "LINES": "200"}
            environment.update({name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")})
            os.execvpe(command[0], command, environment)
        self.pid = pid
        for line in setup:
            self.send(line + "\r")
        self.send("printf 'rea%s\\n' dy\r")
        self.read_until(r"\nready\r?\n")

    def send(self, text):
        os.write(self.terminal, text.encode())

    def read_until(self, pattern):
        limit = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text):
            if not select.select([self.terminal], [], [], max(0, limit - time.monotonic()))[0]:
                raise AssertionError(f"{pattern} does not come: {self.text!r}")
            self.text += os.read(self.terminal, 65536).decode(errors="replace")
        found = re.search(pattern, self.text)
        self.text = self.text[found.end():]
        return found

    def typed(self, line):
        self.count += 1
        self.send(f"ftpfs {line}\t\r")
        words = self.read_until(rf"\n<{self.count}((?:\[[^\]]*\])*)>").group(1)
        return re.findall(r"\[([^\]]*)\]", words)

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


SHOW = ("n=0; ftpfs() { [ \"$*\" != --help ] || { command ftpfs --help; return; }; "
        "n=$((n + 1)); printf '\\n<%s' $n; printf '[%s]' \"$@\"; printf '>\\n'; }")


def bash(directory):
    return Shell(["bash", "--norc", "--noprofile", "-i"], directory, [
        "PS1='$ '; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; bind 'set page-completions off'",
        ". /usr/share/bash-completion/bash_completion", f". {COMPLETIONS}/ftpfs", SHOW])


def zsh(directory):
    return Shell(["zsh", "-f", "-i"], directory, [
        "PS1='$ '; unsetopt beep zle_bracketed_paste prompt_cr prompt_sp; setopt no_always_last_prompt",
        f"fpath=({COMPLETIONS} $fpath); autoload -Uz compinit; compinit -u -d {directory}/dump", SHOW])


@pytest.fixture(params=["bash", "zsh"])
def shell(request, tmp_path):
    assert shutil.which(request.param), f"{request.param} is not installed (tests/deps test installs it)"
    (tmp_path / "a directory").mkdir()
    (tmp_path / "credentials").write_text("")
    made = {"bash": bash, "zsh": zsh}[request.param](tmp_path)
    yield made
    made.close()


LINES = {
    "-o tls=im": ["-o", "tls=implicit"],
    "-o credent": ["-o", "credentials="],
    "-o credentials=cred": ["-o", "credentials=credentials"],
    "-o mode=act": ["-o", "mode=active"],
    "-o mode=active,epsv=of": ["-o", "mode=active,epsv=off"],
    "-o ro,pasv_addr": ["-o", "ro,pasv_address="],
    "-o tls=on,active_por": ["-o", "tls=on,active_ports="],
    "--sta": ["--status"],
    "--status a": ["--status", "a directory"],
    "ftp://host/ a": ["ftp://host/", "a directory"],
    "ftp://host/ -o ssl_c": ["ftp://host/", "-o", "ssl_control"],
}


def test_completion(shell):
    found = {line: [word.rstrip(" /") if word.startswith("a ") else word.rstrip(" ") for word in shell.typed(line)]
             for line in LINES}
    assert found == LINES


def test_bash_knows_every_option(help_text, tmp_path):  # noqa: F811
    shell = bash(tmp_path)
    try:
        shell.send("printf '<<%s>>' \"$(_ftpfs_options ftpfs | tr '\\n' ' ')\"\r")
        found = shell.read_until(r"<<([^%>]*)>>").group(1).split()
    finally:
        shell.close()
    assert {word.split("=")[0] for word in found} == set(help_options(help_text))
    assert "tls=off|try|on|implicit" in found and "netrc=FILE" in found
