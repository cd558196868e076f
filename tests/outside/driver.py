"""Starts the real binary, drives its test clock from event to event, and gathers what its API says at the end."""

import datetime
import http.client
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from stripe_book import DAY, HOUR

API_KEY, ADMIN_KEY = "sk_test_outside", "admin-key-of-the-outside-judge"
SECRETS = ("whsec_outside_newest", "whsec_outside_older")
PUBLIC = "http://pay.outside.example"
START = 1772409600            # 2026-03-02T00:00:00Z; Europe changes its clocks on the way
GRACE_DAYS = 45
ADVANCE_SECS_MAX = 900
LEASE_SECS_MAX = 240


def rfc3339(t):
    return datetime.datetime.fromtimestamp(t, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Recoup:
    """One running service in an empty folder of its own."""

    def __init__(self, binary, database, api_base, smtp_port, settings=None):
        self.binary, self.folder = binary, tempfile.mkdtemp(prefix="outside-")
        self.log = open(os.path.join(self.folder, "stderr.log"), "a+b")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("RECOUP") and k != "RUST_LOG"}
        self.env.update({
            "RECOUP__DATABASE__URL": database, "RECOUP__HTTP__LISTEN": "127.0.0.1:0", "RECOUP__HTTP__PUBLIC_URL": PUBLIC,
            "RECOUP__CLOCK__MODE": "test", "RECOUP__STRIPE__API_BASE": api_base, "RECOUP__STRIPE__API_KEY": API_KEY,
            "RECOUP__STRIPE__WEBHOOK_SECRETS": ",".join(SECRETS), "RECOUP__MAIL__SMTP_URL": "smtp://127.0.0.1:%d" % smtp_port,
            "RECOUP__MAIL__FROM": "Billing <billing@outside.example>", "RECOUP__ADMIN__BOOTSTRAP_KEY": ADMIN_KEY,
        })
        self.env.update(settings or {})
        os.mkdir(os.path.join(self.folder, "empty"))
        self.start(START)

    def start(self, now):
        self.process = subprocess.Popen([self.binary, "serve"], cwd=os.path.join(self.folder, "empty"), stdout=subprocess.PIPE,
                                        env={**self.env, "RECOUP__CLOCK__START": rfc3339(now)}, stderr=self.log)
        line = self.first_line(120)
        if not line.startswith("listening on http://"):
            self.process.kill()
            raise SystemExit("the first line on stdout is %r; stderr ends:\n%s" % (line, self.tail()))
        self.host = line.strip()[len("listening on http://"):]

    def first_line(self, secs_max):
        ready, _, _ = select.select([self.process.stdout], [], [], secs_max)
        return self.process.stdout.readline().decode() if ready else ""

    def tail(self, size=3000):
        self.log.seek(0, 2)
        self.log.seek(max(0, self.log.tell() - size))
        return self.log.read().decode(errors="replace")

    def call(self, method, path, body=None, headers=None, secs_max=60):
        """(status, headers, bytes)"""
        link = http.client.HTTPConnection(self.host, timeout=secs_max)
        try:
            link.request(method, path, body=body, headers=headers or {})
            answer = link.getresponse()
            return answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), answer.read()
        finally:
            link.close()

    def api(self, method, path, body=None, key=ADMIN_KEY, secs_max=60):
        headers = {"Authorization": "Bearer " + key} if key else {}
        raw = None
        if body is not None:
            raw, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        status, got, raw = self.call(method, path, raw, headers, secs_max)
        try:
            return status, got, json.loads(raw) if raw else None
        except ValueError:
            return status, got, raw

    def reconciles(self):
        """Whether it says that it reads what it may have missed first, and neither charges nor writes until then."""
        status, _, body = self.call("GET", "/readyz")
        return status == 200 and json.loads(body)["status"] == "reconciling"

    def all(self, path):
        rows, cursor = [], None
        while True:
            more = ("&" if "?" in path else "?") + "limit=200" + ("&cursor=" + urllib.parse.quote(cursor) if cursor else "")
            status, _, shown = self.api("GET", path + more)
            if status != 200 or not isinstance(shown, dict) or "data" not in shown:
                return rows, "GET %s answered %s %r" % (path, status, shown)
            rows += shown["data"]
            cursor = shown.get("next_cursor")
            if not cursor:
                return rows, None

    def webhook(self, raw, signature, connection="stripe"):
        status, _, body = self.call("POST", "/webhooks/" + connection, raw,
                                    {"Content-Type": "application/json", "Stripe-Signature": signature})
        return status, body

    def advance(self, t):
        began = time.monotonic()
        status, _, shown = self.api("POST", "/v1/test-clock/advance", {"to": rfc3339(t)}, secs_max=ADVANCE_SECS_MAX)
        return status, shown, time.monotonic() - began

    def now(self):
        return int(unix(self.api("GET", "/v1/test-clock")[2]["now"]))

    def stop(self):
        """SIGTERM; the exit code, or None when it does not end within a minute."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = None
        self.process.stdout.close()
        return code

    def remove(self):
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def follow(self, link):
        """Where a link of a mail leads: itself, and through Recoup's own pages one step further."""
        found = [link]
        if not link.startswith(PUBLIC):
            return found
        method, path = "GET", link[len(PUBLIC):]
        for _ in range(3):
            status, headers, raw = self.call(method, path)
            if "location" in headers:
                found.append(headers["location"])
                if not headers["location"].startswith((PUBLIC, "/")):
                    return found
                method, path = "GET", headers["location"].removeprefix(PUBLIC)
                continue
            text = raw.decode(errors="replace").replace("&amp;", "&")
            found += re.findall(r'href="([^"]+)"', text)
            form = re.search(r'<form[^>]*action="([^"]+)"', text)
            if status != 200 or not form:
                return found
            method, path = "POST", form.group(1).removeprefix(PUBLIC)
        return found


class Drive:
    """The loop: advance, let the world act, deliver webhooks, drain."""

    def __init__(self, recoup, book, sink, world, postman, title):
        self.recoup, self.book, self.sink, self.world, self.postman, self.title = recoup, book, sink, world, postman, title
        self.troubles, self.strange, self.slowest, self.seen = [], [], (0, ""), 0
        self.dice, self.kills, self.polite, self.killed, self.rested = random.Random(7), [], None, 0, 0
        self.drained, self.undone, self.after_kill = 0, [], []
        world.peek = self.peek

    def plan_breaks(self, kills, dice):
        """When the process is killed in the middle of its charges, and when it is restarted politely."""
        first = self.world.start + 3 * DAY
        self.kills = sorted(first + dice.randrange(9 * DAY) for _ in range(kills))
        self.polite = first + 5 * DAY

    def peek(self, invoice):
        rows, _ = self.recoup.all("/v1/cases?invoice_id=" + invoice)
        planned = rows[0].get("next_action") if rows else None
        return (planned["kind"], int(unix(planned["at"]))) if planned else None

    def charges_due(self, t):
        rows, _ = self.recoup.all("/v1/cases?status=open")
        planned = [row["next_action"] for row in rows if row.get("next_action")]
        return any(p["kind"] == "charge" and unix(p["at"]) <= t for p in planned)

    def kill_in(self, t, before):
        """SIGKILL soon after a charge call reached the provider; then a new process with the clock where it was."""
        calls = lambda: sum(e["kind"] == "call" for e in list(self.book.entries))  # noqa: E731
        known, end = calls(), time.monotonic() + 10
        thread = threading.Thread(target=self.advance_blindly, args=(t,))
        thread.start()
        while calls() == known and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(self.dice.random() * 0.03)
        self.recoup.process.kill()
        self.recoup.process.wait()
        thread.join()
        self.recoup.process.stdout.close()
        self.recoup.start(before)
        self.killed += 1
        self.wait_for_leases(t)

    def overdue(self, t):
        rows, _ = self.recoup.all("/v1/cases?status=open")
        return [row for row in rows if row.get("next_action") and unix(row["next_action"]["at"]) <= t]

    def wait_for_leases(self, t):
        """What the dead process had taken may rest until its lease ends, and leases run by the real clock."""
        began = time.monotonic()
        self.advance(t)
        if not self.recoup.reconciles():
            self.after_kill += [(row["invoice_id"], "the first advance after SIGKILL answered, still due: %s" % row["next_action"])
                                for row in self.overdue(t)]
        while self.overdue(t) and time.monotonic() - began < LEASE_SECS_MAX:
            time.sleep(3)
            self.advance(t)
        self.rested = max(self.rested, time.monotonic() - began)

    def advance_blindly(self, t):
        try:
            self.recoup.advance(t)
        except (OSError, http.client.HTTPException):
            pass

    def restart(self, now):
        code = self.recoup.stop()
        if code != 0:
            self.troubles.append("exit code %s after SIGTERM at %s" % (code, rfc3339(now)))
        self.recoup.start(now)

    def step(self, t):
        before = self.book.now
        if self.polite and t >= self.polite:
            self.polite = None
            self.restart(before)
        self.book.set_now(t)
        if self.kills and t >= self.kills[0] and self.charges_due(t):
            self.kills.pop(0)
            self.kill_in(t, before)
        self.advance(t)
        self.world.run_due(t)
        self.world.watch()
        self.postman.collect()
        if self.postman.deliver(self.recoup.webhook, SECRETS[0]):
            self.advance(t)
            self.postman.collect()
        # Whoever starts while the provider cannot be read does nothing yet, and says so.
        if t % DAY == 11 * HOUR and not self.recoup.reconciles():
            self.drained += 1
            self.undone += [(row["invoice_id"], "after the advance to %s still due: %s" % (rfc3339(t), row["next_action"]))
                            for row in self.overdue(t)]
        fresh = self.sink.mails[self.seen:]
        self.seen += len(fresh)
        for mail in fresh:
            mail["earliest"] = before
        self.world.react(fresh, self.recoup.follow)

    def advance(self, t):
        status, shown, took = self.recoup.advance(t)
        self.slowest = max(self.slowest, (took, rfc3339(t)))
        if status != 200 or unix(shown["now"]) != t or not isinstance(shown.get("ticks"), int):
            self.troubles.append("advance to %s answered %s %r" % (rfc3339(t), status, shown))
            if len(self.troubles) > 20:
                raise SystemExit("\n".join(self.troubles) + "\n" + self.recoup.tail())

    def run(self):
        end = self.world.start + self.world.days * DAY
        last = end + GRACE_DAYS * DAY
        t = self.world.start
        while t < last:
            planned = self.world.next_time()
            t = min((t // HOUR + 1) * HOUR, max(planned or last, t + 1))
            self.step(t)
            self.progress(t, end)
            if t >= end and (t - end) % DAY == 0 and planned is None and self.postman.idle() and not self.open_cases():
                break
        self.ended = t
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")

    def open_cases(self):
        rows, _ = self.recoup.all("/v1/cases?status=open")
        return len(rows)

    def progress(self, t, end):
        if not sys.stderr.isatty():
            return
        part = min(1.0, (t - self.world.start) / (end - self.world.start))
        sys.stderr.write("\r\x1b[K%s [%s%s] %s  %d mails, %d webhooks" % (
            self.title, "#" * int(part * 30), "." * (30 - int(part * 30)), rfc3339(t)[:16], len(self.sink.mails), self.postman.sent))
        sys.stderr.flush()


class Database:
    """A database of our own: a new SQLite file, or one made in PostgreSQL and dropped again."""

    def __init__(self, kind):
        self.kind = kind
        self.folder = tempfile.mkdtemp(prefix="outside-db-")
        self.url = "sqlite://" + os.path.join(self.folder, "judge.db")
        if kind == "postgres":
            self.server = os.environ.get("RECOUP_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/test")
            self.name = "outside_%d_%d" % (os.getpid(), time.monotonic_ns() % 1000000)
            self.sql("CREATE DATABASE " + self.name)
            self.url = urllib.parse.urlsplit(self.server)._replace(path="/" + self.name).geturl()

    def sql(self, text):
        subprocess.run(["psql", self.server, "-qX", "-v", "ON_ERROR_STOP=1", "-c", text], check=True, stdout=subprocess.DEVNULL)

    def drop(self):
        if self.kind == "postgres":
            self.sql("DROP DATABASE IF EXISTS %s WITH (FORCE)" % self.name)
        shutil.rmtree(self.folder, ignore_errors=True)
