"""A private PostgreSQL server, which may be killed: its own folder, a free loopback port, gone at the end."""

import contextlib
import glob
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

READY_SECS_MAX = 60
# Killing processes loses nothing that reached the kernel, so fsync may stay off; but each commit must reach the kernel.
SETTINGS = {"listen_addresses": "127.0.0.1", "max_connections": "200", "fsync": "off", "synchronous_commit": "on",
            "full_page_writes": "off"}


def programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: [int(n) for n in re.findall(r"\d+", path)])
    if found:
        return found[-1]
    initdb = shutil.which("initdb")
    if not initdb:
        raise SystemExit("PostgreSQL's server is missing (Debian: postgresql)")
    return os.path.dirname(os.path.realpath(initdb))


class Postgres:
    """`folder` takes the data; `env()` gives what comes on top of the environment at each start."""

    def __init__(self, folder=None, env=dict):
        self.bin, self.env = programs(), env
        self.folder = folder or tempfile.mkdtemp(prefix="fire-pg-")
        os.makedirs(self.folder, exist_ok=True)
        self.data, self.log = os.path.join(self.folder, "data"), os.path.join(self.folder, "server.log")
        self.who = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        done = subprocess.run([self.bin + "/initdb", "--pgdata", self.data, "--username", "postgres", "--auth", "trust", "--encoding",
                               "UTF8", "--locale", "C", "--no-sync"], cwd=self.folder, capture_output=True, text=True, **self.who)
        if done.returncode:
            raise SystemExit("initdb failed:\n" + done.stderr)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = "postgres://postgres@127.0.0.1:%d/postgres" % self.port
        self.process = None
        self.start()

    def start(self, secs_max=READY_SECS_MAX):
        """Until it answers; a start that fails because the dead one's memory is not yet free is tried again."""
        end = time.monotonic() + secs_max
        while time.monotonic() < end:
            if self.process is None or self.process.poll() is not None:
                settings = {**SETTINGS, "port": str(self.port), "unix_socket_directories": self.folder}
                words = [word for name, value in settings.items() for word in ("-c", "%s=%s" % (name, value))]
                with open(self.log, "ab") as log:
                    self.process = subprocess.Popen([self.bin + "/postgres", "-D", self.data, *words], cwd=self.folder,
                                                    env={**os.environ, **self.env()}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.who)
            if self.answers():
                return
            time.sleep(0.05)
        raise SystemExit("PostgreSQL does not start:\n" + pathlib.Path(self.log).read_text()[-2000:])

    def answers(self):
        done = subprocess.run([self.bin + "/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False)
        return done.returncode == 0

    def children(self):
        found = []
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                words = pathlib.Path(path).read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(words[1]) == self.process.pid:
                found.append(int(path.split("/")[2]))
        return found

    def kill(self):
        """SIGKILL to the server and all its backends."""
        victims = self.children()
        self.process.kill()
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def kill_backend(self, dice):
        """SIGKILL to one backend: the server throws all others out and recovers."""
        victims = self.children()
        with contextlib.suppress(ProcessLookupError):
            os.kill(dice.choice(victims), signal.SIGKILL)

    def restart(self):
        """A restart in the way of an operator who does not wait: SIGINT ends all sessions."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def remove(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def server(kind, env=dict):
    """For PostgreSQL a server of our own, named to whoever makes a database; for SQLite nothing."""
    if kind != "postgres":
        yield None
        return
    own = Postgres(env=env)
    before = os.environ.get("RECOUP_TEST_POSTGRES")
    os.environ["RECOUP_TEST_POSTGRES"] = own.url
    try:
        yield own
    finally:
        own.remove()
        os.environ.pop("RECOUP_TEST_POSTGRES")
        if before is not None:
            os.environ["RECOUP_TEST_POSTGRES"] = before
