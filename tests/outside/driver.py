"""Starts the real binary, drives its test clock from event to event, and gathers what its API says at the end."""

import datetime
import http.client
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

from stripe_book import DAY, HOUR

API_KEY, ADMIN_KEY = "sk_test_outside", "admin-key-of-the-outside-judge"
SECRETS = ("whsec_outside_newest", "whsec_outside_older")
PUBLIC = "http://pay.outside.example"
START = 1772409600            # 2026-03-02T00:00:00Z; Europe changes its clocks on the way
GRACE_DAYS = 45
ADVANCE_SECS_MAX = 900


def rfc3339(t):
    return datetime.datetime.fromtimestamp(t, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Recoup:
    """One running service in an empty folder of its own."""

    def __init__(self, binary, database, api_base, smtp_port):
        self.folder = tempfile.mkdtemp(prefix="outside-")
        self.log = open(os.path.join(self.folder, "stderr.log"), "w+b")
        env = {k: v for k, v in os.environ.items() if not k.startswith("RECOUP") and k not in ("RUST_LOG",)}
        env.update({
            "RECOUP__DATABASE__URL": database, "RECOUP__HTTP__LISTEN": "127.0.0.1:0", "RECOUP__HTTP__PUBLIC_URL": PUBLIC,
            "RECOUP__CLOCK__MODE": "test", "RECOUP__CLOCK__START": rfc3339(START), "RECOUP__STRIPE__API_BASE": api_base,
            "RECOUP__STRIPE__API_KEY": API_KEY, "RECOUP__STRIPE__WEBHOOK_SECRETS": ",".join(SECRETS),
            "RECOUP__MAIL__SMTP_URL": "smtp://127.0.0.1:%d" % smtp_port, "RECOUP__MAIL__FROM": "Billing <billing@outside.example>",
            "RECOUP__ADMIN__BOOTSTRAP_KEY": ADMIN_KEY,
        })
        cwd = os.path.join(self.folder, "empty")
        os.mkdir(cwd)
        self.process = subprocess.Popen([binary, "serve"], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=self.log)
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

    def step(self, t):
        before = self.book.now
        self.book.set_now(t)
        self.advance(t)
        self.world.run_due(t)
        self.world.watch()
        self.postman.collect()
        if self.postman.deliver(self.recoup.webhook, SECRETS[0]):
            self.advance(t)
            self.postman.collect()
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
