"""Several replicas on one database, each started again when it dies, and whoever asks them."""

import http.client
import os
import random
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

from driver import ADMIN_KEY, API_KEY, PUBLIC, SECRETS, Recoup

CAMPAIGN = """name = "default"
version = 1
[[ladder]]
kinds = ["insufficient_funds", "limit", "do_not_honor", "issuer_down"]
hours = [1, 2, 3, 5, 8]
[[message]]
key = "payment_failed"
message = "payment_failed"
dispositions = ["retry"]
when = { after_hours = 0 }
[[message]]
key = "update_payment_method"
message = "update_payment_method"
dispositions = ["fix_data", "never"]
when = { after_hours = 0 }
[[message]]
key = "reminder"
message = "reminder"
dispositions = ["retry", "fix_data", "never"]
when = { after_hours = 1 }
[final]
after_days = 2
at = "10:00"
action = "cancel"
"""
AGAIN_SECS = 0.1
ASKING_SECS_MAX = 120


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Replica:
    def __init__(self, number, crew):
        self.number, self.crew, self.host = number, crew, "127.0.0.1:%d" % free_port()
        self.log = open(os.path.join(crew.folder, "replica%d.log" % number), "a+b")
        self.process, self.armed, self.jump, self.dead_since, self.shot = None, "", 0, 0, False
        self.woken = 0            # when a sleeper was woken, else 0

    def start(self):
        env = {**self.crew.env, **self.crew.clock.env(self.jump), "RECOUP__HTTP__LISTEN": self.host, "RECOUP_FAILPOINT": self.armed}
        self.born, self.started, self.shot = os.fstat(self.log.fileno()).st_size, time.monotonic(), False
        self.process = subprocess.Popen([self.crew.binary, "serve"], cwd=self.crew.empty, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log, env=env)

    def words(self):
        with open(self.log.name, "rb") as log:
            log.seek(self.born)
            return log.read()

    def point(self):
        """The failpoint that it told of last."""
        told = re.findall(rb"^failpoint (\w+)$", self.words(), re.MULTILINE)
        return told[-1].decode() if told else None

    def state(self):
        """R, S, T and so on, as the kernel says."""
        try:
            with open("/proc/%d/stat" % self.process.pid) as stat:
                return stat.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            return "X"

    def kill(self):
        self.shot = True
        self.process.kill()


class Crew:
    """`excused(since)` says whether the database was away since then, which is a reason not to start."""

    def __init__(self, binary, database, api_base, smtp_port, clock, count, excused=lambda since: False):
        self.binary, self.clock, self.excused = binary, clock, excused
        self.folder = tempfile.mkdtemp(prefix="fire-crew-")
        self.empty, campaigns = os.path.join(self.folder, "empty"), os.path.join(self.folder, "campaigns")
        os.mkdir(self.empty)
        os.mkdir(campaigns)
        with open(os.path.join(campaigns, "default.toml"), "w") as file:
            file.write(CAMPAIGN)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("RECOUP") and k != "RUST_LOG"}
        self.env.update({
            "RECOUP__DATABASE__URL": database, "RECOUP__HTTP__PUBLIC_URL": PUBLIC, "RECOUP__STRIPE__API_BASE": api_base,
            "RECOUP__STRIPE__API_KEY": API_KEY, "RECOUP__STRIPE__WEBHOOK_SECRETS": ",".join(SECRETS),
            "RECOUP__MAIL__SMTP_URL": "smtp://127.0.0.1:%d" % smtp_port, "RECOUP__MAIL__FROM": "Billing <billing@outside.example>",
            "RECOUP__ADMIN__BOOTSTRAP_KEY": ADMIN_KEY, "RECOUP__CAMPAIGNS__DIR": campaigns,
        })
        self.deaths, self.troubles, self.panics, self.starved, self.running = [], [], 0, 0, True
        self.replicas = [Replica(number, self) for number in range(count)]
        for replica in self.replicas:
            replica.start()
        self.keeper = threading.Thread(target=self.keep, daemon=True)
        self.keeper.start()

    def keep(self):
        """Starts again what died, a moment later."""
        while self.running:
            for replica in self.replicas:
                code = replica.process.poll()
                if code is None:
                    continue
                if not replica.dead_since:
                    replica.dead_since = time.monotonic()
                    self.bury(replica, code)
                elif time.monotonic() - replica.dead_since >= AGAIN_SECS:
                    replica.dead_since = 0
                    replica.start()
            time.sleep(0.01)

    def bury(self, replica, code):
        point = replica.point()
        if code == -signal.SIGKILL and (replica.shot or point):
            self.deaths.append((point or "random", time.monotonic()))
            if point:
                replica.armed = ""    # each point kills one process
        elif b"pool timed out" in replica.words():
            self.starved += 1     # it gave up in its first seconds, as on a starved machine; whoever keeps it starts it again
        elif not self.excused(replica.started):
            self.troubles.append("replica %d ended by itself with %s: %s" % (
                replica.number, code, replica.words()[-600:].decode(errors="replace")))
        if b"panicked at" in replica.words():
            self.panics += 1

    def hosts(self):
        return [replica.host for replica in self.replicas]

    def end(self):
        """SIGTERM to all. The exit codes."""
        self.running = False
        self.keeper.join()
        for replica in self.replicas:
            replica.process.send_signal(signal.SIGCONT)
            replica.process.send_signal(signal.SIGTERM)
        codes = []
        for replica in self.replicas:
            try:
                codes.append(replica.process.wait(60))
            except subprocess.TimeoutExpired:
                replica.process.kill()
                codes.append(replica.process.wait())
            replica.log.close()
        return codes


class Balancer(Recoup):
    """What stands before the replicas: asks any of them, and another one where that does not answer."""

    def __init__(self, hosts, seed):
        self.hosts, self.dice = hosts, random.Random(seed)

    def once(self, method, path, body=None, headers=None, secs_max=5):
        """From the first replica that answers other than 503, else None."""
        for host in self.dice.sample(self.hosts, len(self.hosts)):
            link = http.client.HTTPConnection(host, timeout=secs_max)
            try:
                link.request(method, path, body=body, headers=headers or {})
                answer = link.getresponse()
                raw = answer.read()
                if answer.status != 503:
                    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, raw
            except (OSError, http.client.HTTPException):
                continue
            finally:
                link.close()
        return None

    def call(self, method, path, body=None, headers=None, secs_max=60):
        end = time.monotonic() + ASKING_SECS_MAX
        while time.monotonic() < end:
            answer = self.once(method, path, body, headers, secs_max)
            if answer:
                return answer
            time.sleep(0.1)
        raise SystemExit("%s %s: nobody answered in %d s" % (method, path, ASKING_SECS_MAX))
