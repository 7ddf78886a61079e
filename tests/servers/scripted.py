# SPDX-License-Identifier: MIT
"""An FTP server that misbehaves as it is told to. It runs in threads of the test process, over a tree in memory.

    with ScriptedServer() as server:
        server.tree.put("/dir/file", b"content")
        rule = server.on("RETR", cut(10, end="226 done"), nth=2)
        ... mount, read ...
        assert rule.reached.wait(60)
        assert server.count("RETR") == 3

What a server is like all the time (no MLSD, LIST -a taken for a name, at most two sessions) is an attribute of
ScriptedServer, to be set before or during the test. What happens at one command is a rule: on(VERB, ACTION). An action
is a function that gets a Moment: what came, with the means to answer. The functions at the end of this file make the
usual ones. GREETING is the verb of the moment before the greeting.

Nothing here depends on the time: what stalls does so until its rule is released, the client hangs up, or the server
stops. A test waits for rule.holding and calls rule.release().

The threads need the interpreter's lock: a test must not look into a mount by a call that keeps it (a page of an mmap).
"""

import calendar
import re
import socket
import struct
import threading
import time
import urllib.parse

from .base import free_port

BLOCK = 16384
PATIENCE = 60  # seconds; for the client to make its data connection


class Hangup(Exception):
    """The session is over."""


# The tree.

class Node:
    """A file (data is a bytearray) or a directory (children is a dict of bytes to Node)."""

    def __init__(self, data=None, mtime=1600000000, mode=None):
        self.data = None if data is None else bytearray(data)
        self.children = {} if data is None else None
        self.mtime = mtime
        self.mode = mode if mode is not None else (0o755 if data is None else 0o644)

    @property
    def is_dir(self):
        return self.children is not None


def split(path):
    return [part for part in path.split(b"/") if part not in (b"", b".")]


def as_bytes(text):
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else bytes(text)


class Tree:
    """Thread-safe. Paths are absolute, str or bytes."""

    def __init__(self):
        self.root = Node()
        self.lock = threading.RLock()

    def get(self, path):
        with self.lock:
            node = self.root
            for part in split(as_bytes(path)):
                if not node.is_dir or part not in node.children:
                    return None
                node = node.children[part]
            return node

    def parent(self, path):
        """(the directory, the last part of the name); (None, name) when there is no such directory."""
        parts = split(as_bytes(path))
        if not parts:
            return None, b""
        directory = self.get(b"/" + b"/".join(parts[:-1]))
        return (directory if directory is not None and directory.is_dir else None), parts[-1]

    def put(self, path, data, **attributes):
        """Makes or replaces a file, and the directories above it."""
        with self.lock:
            parts = split(as_bytes(path))
            self.mkdir(b"/" + b"/".join(parts[:-1]))
            node = self.get(b"/" + b"/".join(parts[:-1])).children[parts[-1]] = Node(data, **attributes)
            return node

    def mkdir(self, path):
        """Makes a directory, and those above it."""
        with self.lock:
            node = self.root
            for part in split(as_bytes(path)):
                node = node.children.setdefault(part, Node())
            return node

    def remove(self, path):
        with self.lock:
            directory, name = self.parent(path)
            del directory.children[name]

    def content(self, path):
        """The bytes of a file, or None."""
        with self.lock:
            node = self.get(path)
            return None if node is None or node.is_dir else bytes(node.data)

    def names(self, path="/"):
        with self.lock:
            node = self.get(path)
            return sorted(node.children) if node is not None and node.is_dir else None


# What a transfer is like.

class Shape:
    """How a data connection misbehaves. None: as it should.

    cut: the data connection ends after so many bytes. extra: bytes that follow the last one. source: an iterable of
    bytes instead of the file. preliminary: the 150 reply; "" for none. end: the last reply; "" for none.
    end_first: the last reply goes before the data. discard: what is uploaded is thrown away. keep: so many bytes of an
    upload are stored, the rest is read and thrown away. hold_at: (rule, n): waits for the rule after n bytes.
    hold_end: a rule: waits for it between the data and the last reply. after: called between them.
    abort: the data connection is reset and not closed.
    """

    def __init__(self, **changes):
        self.cut = self.extra = self.source = self.preliminary = self.end = None
        self.keep = self.hold_at = self.hold_end = self.after = None
        self.end_first = self.discard = self.abort = False
        for name, value in changes.items():
            if not hasattr(self, name):
                raise TypeError(name)
            setattr(self, name, value)


class Rule:
    """What happens at the nth command that fits, `times` times (None: from then on always).

    reached: an Event, set when it has happened for the first time. holding: set when somebody stalls by it. hits: how
    often it has happened.
    """

    def __init__(self, verb, action, nth, times, match):
        self.verb = verb.upper()
        self.action = action
        self.nth = nth
        self.times = times
        self.match = match
        self.seen = 0
        self.hits = 0
        self.reached = threading.Event()
        self.holding = threading.Event()
        self.released = threading.Event()

    def fits(self, verb, argument):
        """Called with the server's lock held."""
        if self.verb != verb or (self.match is not None and not re.search(self.match, argument)):
            return False
        self.seen += 1
        if self.seen < self.nth or (self.times is not None and self.seen >= self.nth + self.times):
            return False
        self.hits += 1
        return True

    def release(self):
        """Whoever stalls by this rule goes on, now and later."""
        self.released.set()


class Moment:
    """A command that has come, in the hands of an action."""

    def __init__(self, session, rule, verb, argument):
        self.session = session
        self.server = session.server
        self.tree = session.server.tree
        self.rule = rule
        self.verb = verb
        self.argument = argument

    def proceed(self, **changes):
        """Does what the command says, and answers; `changes` shape its transfer."""
        self.session.execute(self.verb, self.argument, Shape(**changes))

    def work(self, **changes):
        """Does what the command says, without the last reply."""
        self.session.muted = True
        try:
            self.proceed(**changes)
        finally:
            self.session.muted = False

    def reply(self, text):
        self.session.reply(text)

    def raw(self, data):
        """Bytes as they are on the control connection."""
        self.session.send(as_bytes(data))

    def stall(self):
        """Waits until the rule is released."""
        self.session.hold(self.rule)

    def close(self):
        raise Hangup

    def reset(self):
        reset_socket(self.session.socket)
        raise Hangup


def reset_socket(sock):
    """Its end will be a RST."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass


# The server.

class ScriptedServer:
    """Attributes that may be set at any time:

    greeting: its text. features: the lines of FEAT; None: FEAT is refused. unknown: verbs that are answered 502
    ("SITE CHMOD" is a verb, too). missing: the reply for a name that is not there; by verb in missing_by.
    mlsd_line, list_line: functions (name, node) -> bytes, without the end of the line. list_raw, mlsd_raw: {path:
    bytes, or a function that returns an iterable of bytes}: listings as they are sent. list_a: "option", "name" (`-a`
    is taken for a name), "refuse". hide_dots: LIST without -a leaves dot files out. list_self: `-a` lists "." and
    "..". list_missing_empty: LIST of a name that is not there is an empty listing. list_empty: the reply to a listing
    of nothing, instead of 150 and 226.
    transfer_done: the last reply of transfers. mkd_done, mkd_exists: replies of MKD.
    rename_replaces: RNTO may replace a file. pwd: the reply to PWD. pasv_address: the four numbers of a PASV reply.
    pasv_host: where data connections are really accepted. active_source: where active ones come from.
    size_in_ascii: SIZE works in TYPE A.
    max_sessions, too_many: sessions above it get the reply, at the greeting, or as PASS's with too_many_at="PASS".
    stor_refuse: a regular expression; such names get 553.
    """

    def __init__(self, **attributes):
        self.host = "127.0.0.1"
        self.port = 0
        self.user = "tester"
        self.password = "secret"
        self.options = []
        self.tree = Tree()
        self.greeting = "220 ready"
        self.features = ["UTF8", "MLST type*;size*;modify*;UNIX.mode*;", "SIZE", "MDTM", "REST STREAM", "EPSV", "EPRT",
                         "MFMT", "TVFS"]
        self.unknown = set()
        self.missing = "550 no such thing"
        self.missing_by = {}
        self.mlsd_line = mlsd_line
        self.list_line = list_line
        self.list_raw = {}
        self.mlsd_raw = {}
        self.list_a = "option"
        self.hide_dots = True
        self.list_self = False
        self.list_missing_empty = False
        self.list_empty = None
        self.transfer_done = "226 done"
        self.mkd_done = None
        self.mkd_exists = "550 it exists"
        self.rename_replaces = True
        self.pwd = '257 "/" is the current directory'
        self.opts_utf8 = "200 on"
        self.pasv_address = None
        self.pasv_host = self.host
        self.active_source = None
        self.size_in_ascii = True
        self.max_sessions = None
        self.too_many = "421 too many connections"
        self.too_many_at = "GREETING"
        self.stor_refuse = None
        for name, value in attributes.items():
            if not hasattr(self, name):
                raise TypeError(name)
            setattr(self, name, value)
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.rules = []
        self.log = []  # (number of the session, "VERB argument")
        self.sessions = []
        self.session_count = 0  # since the start of the server, those that were turned away included
        self.most_sessions = 0  # logged in at one time
        self.listener = None
        self.stopping = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_exception):
        self.stop()

    def url(self, path=""):
        return f"ftp://{self.user}:{self.password}@{self.host}:{self.port}/" + urllib.parse.quote(path, safe="/")

    def give(self, _path):
        """As base.Server.give(): there is nobody to give anything to."""

    # Life.

    def start(self):
        """Listens: on a free port the first time, then on the same again."""
        limit = time.monotonic() + PATIENCE
        while True:
            port = self.port or free_port()
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((self.host, port))
                listener.listen(64)
                break
            except OSError:
                listener.close()
                if time.monotonic() > limit:
                    raise
                time.sleep(0.05)
        self.port = port
        self.listener = listener
        self.stopping = threading.Event()
        threading.Thread(target=self._accept, args=(listener, self.stopping), daemon=True).start()

    def stop(self):
        """Ends all sessions as the death of a server does, and waits for their threads."""
        self.stopping.set()
        listener, self.listener = self.listener, None
        if listener is not None:
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        for session in self.live():
            session.kill()
        for session in self.live():
            if session.thread is not threading.current_thread():
                session.thread.join(PATIENCE)

    def restart(self):
        self.stop()
        self.start()

    def kill_sessions(self, goodbye=None):
        """Ends the sessions that there are, as a server does with idle ones: with a last reply or without."""
        for session in self.live():
            session.kill(goodbye)

    def live(self):
        with self.lock:
            return list(self.sessions)

    def wait_for_sessions(self, n, timeout=PATIENCE):
        """Waits until n sessions are there, at most."""
        with self.changed:
            return self.changed.wait_for(lambda: len(self.sessions) <= n, timeout)

    def _accept(self, listener, stopping):
        while not stopping.is_set():
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            session = Session(self, connection, stopping)
            with self.changed:
                self.session_count += 1
                session.number = self.session_count
                self.sessions.append(session)
            session.thread.start()
            if stopping.is_set():
                session.kill()

    # Rules and what came.

    def on(self, verb, action, nth=1, times=1, match=None):
        """At the nth `verb` from now on (whose argument, as bytes, fits the regular expression `match`)."""
        rule = Rule(verb, action, nth, times, match)
        with self.lock:
            self.rules.append(rule)
        return rule

    def find_rule(self, verb, argument):
        with self.lock:
            found = [rule for rule in self.rules if rule.fits(verb, argument)]
        return found[0] if found else None

    def clear_rules(self):
        """Forgets all rules; whoever stalls by one goes on."""
        with self.lock:
            rules, self.rules = self.rules, []
        for rule in rules:
            rule.release()

    def note(self, session, line):
        with self.changed:
            self.log.append((session.number, line.decode("utf-8", "surrogateescape")))
            self.changed.notify_all()

    def commands(self, verb=None):
        """The command lines that have come (passwords hidden), of one verb or all."""
        with self.lock:
            lines = [line for _number, line in self.log]
        return [line for line in lines if verb is None or line.split(" ")[0].upper() == verb]

    def count(self, verb):
        return len(self.commands(verb))

    def clear_log(self):
        with self.lock:
            self.log.clear()


def mlsd_line(name, node):
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(node.mtime)).encode()
    kind = b"type=dir;" if node.is_dir else b"type=file;size=%d;" % len(node.data)
    return kind + b"modify=%s;UNIX.mode=0%o; %s" % (stamp, node.mode, name)


def list_line(name, node):
    kind = "d" if node.is_dir else "-"
    bits = "".join(letter if node.mode >> (8 - i) & 1 else "-" for i, letter in enumerate("rwxrwxrwx"))
    size = 4096 if node.is_dir else len(node.data)
    day = time.strftime("%b %d  %Y", time.gmtime(node.mtime))
    return f"{kind}{bits}   1 ftp      ftp      {size:10d} {day} ".encode() + name


# A session.

class Session:
    def __init__(self, server, connection, stopping):
        self.server = server
        self.socket = connection
        self.stopping = stopping
        self.number = 0
        self.buffer = b""
        self.directory = b"/"
        self.type = "A"
        self.rest = 0
        self.rename_from = None
        self.muted = False
        self.user = None
        self.logged_in = False
        self.listener = None
        self.active_address = None
        self.dead = threading.Event()
        self.data_socket = None
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.thread = threading.Thread(target=self.run, daemon=True)

    # The control connection.

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            raise Hangup from None

    def reply(self, text):
        if text and not self.muted:
            self.send(as_bytes(text) + b"\r\n")

    def read_line(self):
        while b"\n" not in self.buffer:
            try:
                data = self.socket.recv(65536)
            except OSError:
                raise Hangup from None
            if not data:
                raise Hangup
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    def wait(self, event):
        """Until the event, the end of the server, or that of the client."""
        while not event.wait(0.02):
            if self.stopping.is_set() or self.dead.is_set():
                raise Hangup
            try:
                if self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"":
                    raise Hangup
            except BlockingIOError:
                pass
            except OSError:
                raise Hangup from None

    def hold(self, rule):
        rule.holding.set()
        self.wait(rule.released)

    def kill(self, goodbye=None):
        """From another thread."""
        if goodbye:
            try:
                self.socket.sendall(as_bytes(goodbye) + b"\r\n")
            except OSError:
                pass
        self.dead.set()
        for sock in (self.socket, self.data_socket, self.listener):
            if sock is not None:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def run(self):
        try:
            if self.greet():
                while True:
                    line = self.read_line()
                    verb, _, argument = line.partition(b" ")
                    verb = verb.decode("ascii", "replace").upper()
                    self.server.note(self, b"PASS ***" if verb == "PASS" else line)
                    self.handle(verb, argument)
        except Hangup:
            pass
        finally:
            self.close_listener()
            self.socket.close()
            with self.server.changed:
                self.server.sessions.remove(self)
                self.server.changed.notify_all()

    def handle(self, verb, argument):
        rule = self.server.find_rule(verb, argument)
        if rule is None:
            self.execute(verb, argument, Shape())
            return
        rule.reached.set()
        rule.action(Moment(self, rule, verb, argument))

    def is_one_too_many(self):
        """A session that was turned away does not count."""
        server = self.server
        with server.lock:
            if server.max_sessions is not None and \
                    sum(session.logged_in for session in server.sessions if session is not self) >= server.max_sessions:
                return True
            self.logged_in = True
            server.most_sessions = max(server.most_sessions, sum(session.logged_in for session in server.sessions))
            return False

    def greet(self):
        server = self.server
        if server.too_many_at == "GREETING" and self.is_one_too_many():
            self.reply(server.too_many)
            return False
        rule = server.find_rule("GREETING", b"")
        if rule is None:
            self.reply(server.greeting)
        else:
            rule.reached.set()
            rule.action(Moment(self, rule, "GREETING", b""))
        return True

    def path_of(self, argument):
        parts = [] if argument.startswith(b"/") else split(self.directory)
        for part in split(argument):
            if part == b"..":
                parts = parts[:-1]
            else:
                parts.append(part)
        return b"/" + b"/".join(parts)

    def say_missing(self, verb):
        self.reply(self.server.missing_by.get(verb, self.server.missing))

    # Commands.

    def execute(self, verb, argument, shape):
        words = argument.split(b" ")
        if verb == "GREETING":
            self.reply(self.server.greeting)
        elif verb in self.server.unknown or \
                (verb == "SITE" and f"SITE {words[0].decode('ascii', 'replace').upper()}" in self.server.unknown):
            self.reply("502 not implemented")
        else:
            function = getattr(self, f"do_{verb.lower()}", None)
            if function is None or not re.fullmatch("[A-Z]{3,4}", verb):
                self.reply("500 what?")
            else:
                function(argument, shape)

    def do_user(self, argument, _shape):
        self.user = argument.decode("utf-8", "replace")
        self.reply("331 and the password?")

    def do_pass(self, argument, _shape):
        if self.user != self.server.user or argument.decode("utf-8", "replace") != self.server.password:
            self.reply("530 login incorrect")
        elif self.server.too_many_at == "PASS" and self.is_one_too_many():
            self.reply(self.server.too_many)
        else:
            self.reply("230 welcome")

    def do_quit(self, _argument, _shape):
        self.reply("221 bye")
        raise Hangup

    def do_noop(self, _argument, _shape):
        self.reply("200 ok")

    def do_syst(self, _argument, _shape):
        self.reply("215 UNIX Type: L8")

    def do_feat(self, _argument, _shape):
        if self.server.features is None:
            self.reply("500 FEAT is unknown")
            return
        self.reply("211-features\r\n" + "".join(f" {line}\r\n" for line in self.server.features) + "211 end")

    def do_opts(self, argument, _shape):
        self.reply(self.server.opts_utf8 if argument.upper().startswith(b"UTF8") else "200 ok")

    def do_pwd(self, _argument, _shape):
        self.reply(self.server.pwd)

    def do_cwd(self, argument, _shape):
        path = self.path_of(argument)
        node = self.server.tree.get(path)
        if node is None or not node.is_dir:
            self.say_missing("CWD")
            return
        self.directory = path
        self.reply("250 ok")

    def do_type(self, argument, _shape):
        self.type = argument[:1].decode("ascii", "replace").upper()
        self.reply("200 ok")

    def do_rest(self, argument, _shape):
        self.rest = int(argument)
        self.reply("350 go on")

    # The data connection.

    def close_listener(self):
        if self.listener is not None:
            self.listener.close()
            self.listener = None

    def listen(self):
        self.close_listener()
        self.active_address = None
        self.listener = socket.socket()
        self.listener.bind((self.server.pasv_host, 0))
        self.listener.listen(1)
        return self.listener.getsockname()[1]

    def do_epsv(self, _argument, _shape):
        self.reply(f"229 entering extended passive mode (|||{self.listen()}|)")

    def do_pasv(self, _argument, _shape):
        port = self.listen()
        address = self.server.pasv_address or self.server.pasv_host.replace(".", ",")
        self.reply(f"227 entering passive mode ({address},{port >> 8},{port & 255})")

    def do_port(self, argument, _shape):
        numbers = argument.decode("ascii").split(",")
        self.close_listener()
        self.active_address = (".".join(numbers[:4]), int(numbers[4]) * 256 + int(numbers[5]))
        self.reply("200 ok")

    def do_eprt(self, argument, _shape):
        words = argument.decode("ascii").split(argument[:1].decode("ascii"))
        self.close_listener()
        self.active_address = (words[2], int(words[3]))
        self.reply("200 ok")

    def connect_data(self):
        """The data socket, or None after the 425."""
        try:
            if self.active_address is not None:
                source = (self.server.active_source, 0) if self.server.active_source else None
                data = socket.create_connection(self.active_address, timeout=PATIENCE, source_address=source)
            elif self.listener is not None:
                self.listener.settimeout(PATIENCE)
                data, _address = self.listener.accept()
            else:
                self.reply("425 no data connection was agreed on")
                return None
        except OSError:
            if self.dead.is_set() or self.stopping.is_set():
                raise Hangup from None
            self.reply("425 can't open the data connection")
            return None
        data.settimeout(None)
        self.close_listener()
        self.active_address = None
        self.data_socket = data
        return data

    def begin(self, shape, text):
        """The 150, before the client has connected, as with real servers; also of a command that is done in silence."""
        muted, self.muted = self.muted, False
        self.reply(text if shape.preliminary is None else shape.preliminary)
        self.muted = muted

    def finish(self, data, shape, text=None):
        """Ends the data connection and says so."""
        if shape.abort:
            reset_socket(data)
        self.data_socket = None
        data.close()
        if shape.hold_end is not None:
            self.hold(shape.hold_end)
        if shape.after is not None:
            shape.after()
        if text is None:
            text = self.server.transfer_done
        if not shape.end_first:
            self.reply(text if shape.end is None else shape.end)

    def send_data(self, blocks, shape, text):
        self.begin(shape, text)
        data = self.connect_data()
        if data is None:
            return
        if shape.end_first:
            self.reply(self.server.transfer_done if shape.end is None else shape.end)
        sent = 0
        broken = False
        try:
            for block in blocks if shape.source is None else shape.source:
                if shape.hold_at is not None and sent + len(block) > shape.hold_at[1] >= sent:
                    before = shape.hold_at[1] - sent
                    data.sendall(block[:before])
                    sent += before
                    block = block[before:]
                    self.hold(shape.hold_at[0])
                if shape.cut is not None and sent + len(block) >= shape.cut:
                    data.sendall(block[:shape.cut - sent])
                    break
                data.sendall(block)
                sent += len(block)
            else:
                if shape.extra:
                    data.sendall(shape.extra)
        except Hangup:
            data.close()
            raise
        except OSError:
            broken = True
        self.finish(data, shape, "426 the data connection was closed" if broken else None)

    def do_retr(self, argument, shape):
        offset, self.rest = self.rest, 0
        content = self.server.tree.content(self.path_of(argument))
        if content is None:
            self.say_missing("RETR")
            return
        if self.type == "A":
            content = content.replace(b"\n", b"\r\n")
        rest = memoryview(content)[offset:]
        blocks = (bytes(rest[i:i + BLOCK]) for i in range(0, len(rest), BLOCK))
        self.send_data(blocks, shape, f"150 here it comes ({len(content)} bytes)")

    def receive(self, argument, shape, start):
        """start: where the bytes go, given the node; what lies behind is kept when it is not None."""
        path = self.path_of(argument)
        tree = self.server.tree
        directory, name = tree.parent(path)
        if directory is None or (self.server.stor_refuse and re.search(self.server.stor_refuse, name)):
            self.reply("553 not here")
            return
        self.begin(shape, "150 send it")
        data = self.connect_data()
        if data is None:
            return
        with tree.lock:
            node = directory.children.get(name)
            if not shape.discard:
                if node is None or start is None:
                    node = tree.put(path, b"", mtime=int(time.time()))
            position = 0 if start is None else min(start(node), len(node.data)) if node is not None else 0
        got = 0
        broken = False
        try:
            while True:
                if shape.hold_at is not None and got >= shape.hold_at[1]:
                    self.hold(shape.hold_at[0])
                room = BLOCK if shape.cut is None else min(BLOCK, shape.cut - got)
                block = data.recv(room) if room > 0 else b""
                if not block:
                    break
                kept = block if shape.keep is None else block[:max(0, shape.keep - got)]
                got += len(block)
                if not shape.discard:
                    with tree.lock:
                        node.data[position:position + len(kept)] = kept
                        node.mtime = int(time.time())
                    position += len(kept)
        except Hangup:
            data.close()
            raise
        except OSError:
            broken = True
        if self.dead.is_set() or self.stopping.is_set():
            data.close()
            raise Hangup
        self.finish(data, shape, "426 the data connection was closed" if broken else None)

    def do_stor(self, argument, shape):
        offset, self.rest = self.rest, 0
        self.receive(argument, shape, (lambda node: offset) if offset else None)

    def do_appe(self, argument, shape):
        self.receive(argument, shape, lambda node: len(node.data))

    # Listings.

    def send_lines(self, lines, shape):
        if self.server.list_empty is not None and not lines:
            self.reply(self.server.list_empty)
            return
        self.send_data([line + b"\r\n" for line in lines], shape, "150 the listing")

    def send_raw(self, raw, shape):
        blocks = raw() if callable(raw) else [raw]
        self.send_data(blocks, shape, "150 the listing")

    def do_mlsd(self, argument, shape):
        path = self.path_of(argument)
        if path in self.server.mlsd_raw:
            self.send_raw(self.server.mlsd_raw[path], shape)
            return
        node = self.server.tree.get(path)
        if node is None or not node.is_dir:
            self.say_missing("MLSD")
            return
        with self.server.tree.lock:
            lines = [self.server.mlsd_line(name, child) for name, child in node.children.items()]
        self.send_lines(lines, shape)

    def do_mlst(self, argument, _shape):
        path = self.path_of(argument)
        node = self.server.tree.get(path)
        if node is None:
            self.say_missing("MLST")
            return
        self.reply(b"250-here\r\n " + self.server.mlsd_line(path, node) + b"\r\n250 end")

    def list_lines(self, argument):
        """The lines, bytes for a raw listing, or None for a name that is not there."""
        server = self.server
        hide = server.hide_dots
        own = []
        if argument == b"-a" or argument.startswith(b"-a "):
            if server.list_a == "refuse":
                return None
            if server.list_a == "option":
                hide = False
                argument = argument[3:]
                if server.list_self:
                    own = [server.list_line(name, Node()) for name in (b".", b"..")]
        path = self.path_of(argument)
        if path in server.list_raw:
            return server.list_raw[path]
        node = server.tree.get(path)
        if node is None:
            return [] if server.list_missing_empty else None
        with server.tree.lock:
            if not node.is_dir:
                return [server.list_line(argument, node)]
            return own + [server.list_line(name, child) for name, child in node.children.items()
                          if not (hide and name.startswith(b"."))]

    def do_list(self, argument, shape):
        lines = self.list_lines(argument)
        if lines is None:
            self.say_missing("LIST")
        elif isinstance(lines, list):
            self.send_lines(lines, shape)
        else:
            self.send_raw(lines, shape)

    def do_stat(self, argument, _shape):
        lines = self.list_lines(argument)
        if lines is None:
            self.say_missing("STAT")
            return
        if callable(lines):
            self.send(b"213-status\r\n")
            for block in lines():
                self.send(block)
            self.reply("213 end")
            return
        text = b"\r\n".join(lines) if isinstance(lines, list) else lines.removesuffix(b"\r\n")
        self.reply(b"213-status\r\n" + text + (b"\r\n" if text else b"") + b"213 end")

    # Names and attributes.

    def do_size(self, argument, _shape):
        content = self.server.tree.content(self.path_of(argument))
        if content is None:
            self.say_missing("SIZE")
        elif self.type == "A" and not self.server.size_in_ascii:
            self.reply("550 SIZE not allowed in ASCII mode")
        else:
            self.reply(f"213 {len(content)}")

    def do_mdtm(self, argument, _shape):
        node = self.server.tree.get(self.path_of(argument))
        if node is None or node.is_dir:
            self.say_missing("MDTM")
        else:
            self.reply("213 " + time.strftime("%Y%m%d%H%M%S", time.gmtime(node.mtime)))

    def do_mfmt(self, argument, _shape):
        stamp, _, name = argument.partition(b" ")
        node = self.server.tree.get(self.path_of(name))
        if node is None:
            self.say_missing("MFMT")
            return
        node.mtime = calendar.timegm(time.strptime(stamp.decode("ascii"), "%Y%m%d%H%M%S"))
        self.reply(b"213 Modify=" + stamp + b"; " + name)

    def do_site(self, argument, _shape):
        words = argument.split(b" ", 2)
        if words[0].upper() != b"CHMOD" or len(words) < 3:
            self.reply("500 unknown SITE command")
            return
        node = self.server.tree.get(self.path_of(words[2]))
        if node is None:
            self.say_missing("SITE CHMOD")
            return
        node.mode = int(words[1], 8)
        self.reply("200 ok")

    def do_mkd(self, argument, _shape):
        tree, path = self.server.tree, self.path_of(argument)
        with tree.lock:
            directory, name = tree.parent(path)
            if directory is None:
                answer = self.server.missing
            elif name in directory.children:
                answer = self.server.mkd_exists
            else:
                directory.children[name] = Node(mtime=int(time.time()))
                answer = self.server.mkd_done or b'257 "' + path.replace(b'"', b'""') + b'" created'
        self.reply(answer)

    def do_rmd(self, argument, _shape):
        tree, path = self.server.tree, self.path_of(argument)
        with tree.lock:
            node = tree.get(path)
            good = node is not None and node.is_dir and not node.children and node is not tree.root
            if good:
                tree.remove(path)
        if node is None:
            self.say_missing("RMD")
        else:
            self.reply("250 gone" if good else "550 not possible")

    def do_dele(self, argument, _shape):
        tree, path = self.server.tree, self.path_of(argument)
        with tree.lock:
            node = tree.get(path)
            good = node is not None and not node.is_dir
            if good:
                tree.remove(path)
        if node is None:
            self.say_missing("DELE")
        else:
            self.reply("250 gone" if good else "550 it is a directory")

    def do_rnfr(self, argument, _shape):
        path = self.path_of(argument)
        if self.server.tree.get(path) is None:
            self.say_missing("RNFR")
            return
        self.rename_from = path
        self.reply("350 and to?")

    def do_rnto(self, argument, _shape):
        tree, path = self.server.tree, self.path_of(argument)
        source, self.rename_from = self.rename_from, None
        if source is None:
            self.reply("503 RNFR first")
            return
        with tree.lock:
            node = tree.get(source)
            directory, name = tree.parent(path)
            answer = "250 renamed"
            if node is None or directory is None:
                answer = self.server.missing
            elif name in directory.children and (directory.children[name].is_dir or not self.server.rename_replaces):
                answer = "553 the target exists"
            else:
                tree.remove(source)
                directory.children[name] = node
        self.reply(answer)


# Actions.

def reply(text):
    """This reply, and nothing is done."""
    return lambda moment: moment.reply(text)


def raw(data):
    """These bytes, and nothing is done."""
    return lambda moment: moment.raw(data)


def shaped(**changes):
    """The transfer goes as Shape says."""
    return lambda moment: moment.proceed(**changes)


def cut(size, end=None, **changes):
    """The data connection ends after `size` bytes; the reply is as if nothing had happened, or `end`."""
    return shaped(cut=size, end=end, **changes)


def stall():
    """Nothing is answered until the rule is released; then the command is done."""
    def action(moment):
        moment.stall()
        moment.proceed()
    return action


def stall_after():
    """The command is done, and the reply does not come until the rule is released: then the session ends."""
    def action(moment):
        moment.work()
        moment.stall()
        moment.close()
    return action


def stall_in_data(size):
    """A transfer stops after `size` bytes, until the rule is released."""
    return lambda moment: moment.proceed(hold_at=(moment.rule, size))


def stall_at_end():
    """All data is through, and the last reply waits for the rule."""
    return lambda moment: moment.proceed(hold_end=moment.rule)


def close():
    """The session ends, and nothing is done."""
    return lambda moment: moment.close()


def reset():
    """The session ends by a RST, and nothing is done."""
    return lambda moment: moment.reset()


def close_after():
    """The command is done, and the session ends before the reply."""
    def action(moment):
        moment.work()
        moment.close()
    return action


def half_reply(text, end="close"):
    """A piece of a reply; then the session ends, or ("stall") nothing more comes."""
    def action(moment):
        moment.raw(text)
        if end == "stall":
            moment.stall()
        moment.close()
    return action


def break_data(size, reset_it=True):
    """After `size` bytes the data connection breaks, and the control connection with it."""
    def action(moment):
        moment.work(cut=size, abort=reset_it)
        if reset_it:
            moment.reset()
        moment.close()
    return action


def extra_reply(text):
    """The command is done; a second reply follows the right one, in the same segment."""
    def action(moment):
        session = moment.session
        held = []
        session.send, original = held.append, session.send
        try:
            moment.proceed()
        finally:
            del session.send
        original(b"".join(held) + as_bytes(text) + b"\r\n")
    return action


def bare_newlines():
    """Replies end with LF alone."""
    def action(moment):
        session = moment.session
        original = session.send
        session.send = lambda data: original(data.replace(b"\r\n", b"\n"))
        try:
            moment.proceed()
        finally:
            del session.send
    return action


def endless(first=b"", block=b"x" * 8192):
    """Bytes without end on the control connection."""
    def action(moment):
        moment.raw(first)
        while not moment.rule.released.is_set():
            moment.raw(block)
        moment.close()
    return action

