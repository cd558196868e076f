"""Rounds on the running clock: three replicas while they and their PostgreSQL are killed, and processes that sleep past their lease."""

import collections
import random
import signal
import time

import run as outside
import stripe_wire as wire
from armory import points
from books import fire_checks, read_tables
from crew import Balancer, Crew
from driver import API_KEY, Database, unix
from faketime import Clock
from figures import times
from judge import (all_closed, keys_in_order, mails_are_theirs, mails_recorded, no_terminal_card, one_case_each,
                   one_success, outcomes, report_sums, unknown_keeps_key, DUNNING)
from live import LiveBook, LiveWorld
from postgres import server
from smtp_sink import Sink
from stripe_book import DAY, HOUR
from stripe_fake import Fake

CHECKS = [one_success, unknown_keeps_key, keys_in_order, no_terminal_card, mails_are_theirs, mails_recorded, one_case_each, all_closed,
          outcomes, report_sums]
LEASE_SECS = 120
# A worker that has taken a mail may take so long to hand it over; who was faster closes the case meanwhile.
SEND_SECS_MAX = 20
QUIET_SECS_MAX = 400
JUMPS = {"+3 h": 3 * HOUR, "-3 h": -3 * HOUR, "+1 year": 365 * DAY, "back to 1970": -56 * 365 * DAY}
JUMP_SECS = 6
# The clocks of two replicas may be so far apart, since each begins to run faster at its own start. The order of the lines in a
# timeline, which `timelines_legal` looks at, knows no clock.
APART_SECS = 10
# Nothing tests these on the running clock: the first needs the test clock, the others a start.
NOT_LIVE = {"clock_before_keep", "clock_kept", "leases_ended", "schema_ready"}


class Stage:
    """The crew, its world and its database, put up together and taken down again."""

    def __init__(self, options, count, clock, postgres, seed):
        self.options, self.clock, self.postgres = options, clock, postgres
        self.book = LiveBook(wire.NEW if seed % 2 else wire.OLD, clock, seed)
        self.fake, self.sink = Fake(self.book, API_KEY), Sink(self.book.tick)
        self.database = Database("postgres")
        self.naps = []            # (point, when) for each process that fell asleep
        self.away = []            # (from, to) when PostgreSQL was down, to None while it is
        self.crew = Crew(options.binary, self.database.url, self.fake.base, self.sink.port, clock, count, self.was_away)
        self.balancer = Balancer(self.crew.hosts(), seed)
        self.ready()
        self.world = LiveWorld(self.book, Balancer(self.crew.hosts(), seed + 1), clock, seed, options.per_sec)

    def was_away(self, since):
        return any(end is None or end >= since for _, end in self.away)

    def ready(self):
        """Seconds until some replica says it is."""
        began = time.monotonic()
        while not self.balancer.once("GET", "/readyz"):
            if time.monotonic() - began > 60:
                raise SystemExit("no replica is ready after a minute: %s" % self.crew.troubles)
            time.sleep(0.02)
        return time.monotonic() - began

    def quiet(self):
        """No faults any more: seconds until nothing is open, or None."""
        began = time.monotonic()
        self.world.settle()
        while time.monotonic() - began < QUIET_SECS_MAX:
            if self.world.idle() and self.at_rest():
                return time.monotonic() - began
            time.sleep(1)
        return None

    def at_rest(self):
        tables = read_tables(self.database)
        return not (any(row["status"] == "open" for row in tables["cases"] + tables["attempts"])
                    or any(row["status"] == "pending" for row in tables["inbox"])
                    or any(row["status"] in ("pending", "sending") for row in tables["notifications"]))

    def judge(self, figures, title):
        """Ends the world, judges it, and returns what it was judged by."""
        settled = self.quiet()
        if settled is None:
            figures.fault("%s: not at rest %d s after the faults ended" % (title, QUIET_SECS_MAX))
        ev = outside.gather(self.balancer, self.book, self.sink, self.world.as_drive(self.fake.strange))
        tables = read_tables(self.database)
        stated = needless(ev, tables)
        self.world.end()
        codes = self.crew.end()
        if any(codes):
            figures.fault("%s: exit codes %s after SIGTERM" % (title, codes))
        if self.crew.starved:
            print("  %d processes gave up in their first seconds, for PostgreSQL was too slow; each was started again" % self.crew.starved)
        for trouble in (self.crew.troubles + self.world.troubles + ev.troubles)[:10]:
            figures.fault("%s: %s" % (title, trouble))
        self.acked, self.deaths = self.world.acked, self.crew.deaths + self.naps
        checks = [(check.__name__, check.__doc__, *check(ev)) for check in CHECKS] + fire_checks(ev, tables, self)
        checks.append(("needless", "an invoice without a case was settled before, and its event says why it was ignored", *stated))
        checks.append(("no_attempt_after_close", "no attempt is begun after its case was closed", *attempts_after_close(ev, tables)))
        figures.judge(title, ev, checks)
        return ev, tables, settled

    def remove(self):
        self.world.running = self.crew.running = False
        for replica in self.crew.replicas:
            if replica.process.poll() is None:
                replica.process.kill()
                replica.process.wait()
        self.fake.close()
        self.sink.close()
        self.database.drop()


def needless(ev, tables):
    """Invoices that were settled before anybody looked need no case: their failure is ignored, for a reason. They are taken
    out of what the other checks look at."""
    said = {row["event_id"]: row for row in tables["inbox"]}
    with_case = {case["invoice_id"] for case in ev.cases}
    n, faults = 0, []
    for inv in ev.failed():
        if inv["id"] in with_case:
            continue
        ends = [said.get(e["id"]) for e in ev.book.events if e["type"] == "invoice.payment_failed" and e["object"]["id"] == inv["id"]]
        if inv["status"] == "open" or not ends or not all(row and row["status"] == "ignored" and row["reason"] for row in ends):
            faults.append((inv["id"], "it is %s and has no case; its events: %s" % (inv["status"], ends)))
        n, inv["fate"] = n + 1, None
    return n, faults


def attempts_after_close(ev, tables):
    """Attempts of ours with the instant of their case's end."""
    closed = {case["id"]: unix(case["closed_at"]) * 1000 for case in ev.cases if case.get("closed_at")}
    ours = [row for row in tables["attempts"] if row["origin"] in ("us", "staff") and row["case_id"] in closed]
    return len(ours), [(None, "attempt %s began %s, its case was closed %s" % (row["id"], row["started_at"], closed[row["case_id"]]))
                       for row in ours if int(row["started_at"]) > closed[row["case_id"]] + APART_SECS * 1000]


def late_mails(ev):
    """Dunning mails that arrived after their case was closed: (within the longest send, later)."""
    soon = later = 0
    for inv in ev.failed():
        for case in ev.cases_of(inv["id"])[:1]:
            for mail in ev.mails_of(inv):
                late = mail["t"] - unix(case["closed_at"]) if case.get("closed_at") else 0
                if late > 1 and ev.template(mail) in DUNNING:
                    soon, later = (soon + 1, later) if late <= SEND_SECS_MAX else (soon, later + 1)
    return soon, later


def late_calls(ev):
    """Charge calls that were begun after the end and refused by the provider, for it knows that nothing is owed."""
    return sum(e["answer"] == 400 for e in ev.book.entries if e["kind"] == "call")


def play(options, figures, clock, count, round_):
    """A round over so many replicas on a PostgreSQL of their own."""
    with server("postgres", clock.env) as postgres:
        stage = Stage(options, count, clock, postgres, options.seed)
        try:
            round_(options, stage, random.Random(options.seed), figures)
        finally:
            stage.remove()


def play_replicas(options, _kinds, figures):
    play(options, figures, Clock(options.speed), 3, storm)


def storm(options, stage, dice, figures):
    began, end = time.monotonic(), time.monotonic() + options.minutes * 60
    next_shot, next_outage, outages, ready = began + 2, began + 5, [], []
    names = [name for name in points() if name not in NOT_LIVE]
    while time.monotonic() < end:
        now = time.monotonic()
        if now >= next_shot:
            next_shot = now + dice.uniform(1, 4)
            replica = dice.choice(stage.crew.replicas)
            # The next life of half of them ends at a named point.
            replica.armed = "%s:kill@%d" % (dice.choice(names), dice.randrange(1, 20)) if dice.random() < 0.5 else ""
            if replica.process.poll() is None:
                replica.kill()
        if now >= next_outage:
            next_outage = now + dice.uniform(0.5, 1.5) * options.outage_secs
            outages.append(outage(stage, dice))
            ready.append(stage.ready())
        time.sleep(0.02)
    took = time.monotonic() - began
    ev, tables, settled = stage.judge(figures, "replicas")
    report(stage, ev, tables, settled, took, outages, ready, figures)


def outage(stage, dice):
    """One way for PostgreSQL to go away and come back. Its name."""
    how = dice.choice(("kill", "kill", "kill backend", "restart"))
    window = [time.monotonic(), None]
    stage.away.append(window)
    if how == "kill":
        stage.postgres.kill()
    elif how == "restart":
        stage.postgres.restart()
    else:
        stage.postgres.kill_backend(dice)
        time.sleep(0.2)           # until the server has noticed and thrown the others out
    stage.postgres.start()
    window[1] = time.monotonic()
    return how


def report(stage, ev, tables, settled, took, outages, ready, figures):
    world = stage.world
    calls = [e for e in ev.book.entries if e["kind"] == "call"]
    unknown = sum(row["status"] == "unknown" for row in tables["notifications"])
    soon, later = late_mails(ev)
    print("\nThree replicas on PostgreSQL, %d s at %g times the speed: %d SIGKILLs of replicas, PostgreSQL away %d times (%s)" % (
        took, stage.clock.speed, len(stage.deaths), len(outages),
        ", ".join("%s %d" % (how, outages.count(how)) for how in sorted(set(outages)))))
    print("  %d cases; charge calls %d, their answers dropped %d, answered from the key's memory %d; staff pressed %d times; mails %d,"
          " unknown %d" % (len(ev.cases), len(calls), sum(e["unknown"] for e in calls), sum(e["replayed"] for e in calls), world.pressed,
                           len(ev.mails), unknown))
    up = [good for begin, done, good in world.posts
          if not any(begin <= (to or done) + 1 and done >= start for start, to in stage.away)]
    print("  webhooks answered 200: %d; of the tries outside PostgreSQL's absence %.2f %% of %d" % (
        len(world.acked), 100 * sum(up) / max(1, len(up)), len(up)))
    print("  ready after PostgreSQL answers: %s; at rest %s after the faults ended" % (
        times(ready), "%.0f s" % settled if settled is not None else "never"))
    print("  dunning mails that arrived after the close, within the longest send: %d, later: %d; calls that the provider refused because"
          " nothing was owed any more: %d" % (soon, later, late_calls(ev)), flush=True)
    if later:
        figures.fault("%d dunning mails arrived more than %d s after their case was closed" % (later, SEND_SECS_MAX))


def play_stop(options, _kinds, figures):
    play(options, figures, Clock(options.speed), 4, sleepers)


def sleepers(options, stage, dice, figures):
    """Three of four replicas fall asleep at a named point and wake when their lease is long over; the fourth goes on."""
    began, end = time.monotonic(), time.monotonic() + options.minutes * 60
    names = [name for name in points() if name not in NOT_LIVE and not name.startswith(("webhook", "mail_before_lost", "mail_lost"))]
    asleep, nap = {}, stage.clock.real(LEASE_SECS * 1.3)
    for replica in stage.crew.replicas[1:]:
        rearm(replica, names, dice)
    while time.monotonic() < end or asleep:
        for replica in stage.crew.replicas[1:]:
            since = asleep.get(replica.number)
            if since is None and replica.state() == "T" and time.monotonic() < end:
                asleep[replica.number] = time.monotonic()
                stage.naps.append((replica.point(), time.monotonic()))
            elif since is not None and time.monotonic() - since >= nap:
                del asleep[replica.number]
                replica.process.send_signal(signal.SIGCONT)
                replica.woken = time.monotonic()
            elif since is None and replica.woken and time.monotonic() - replica.woken > 2:
                rearm(replica, names, dice)
        time.sleep(0.02)
    for replica in stage.crew.replicas:
        replica.process.send_signal(signal.SIGCONT)
    ev, tables, settled = stage.judge(figures, "stop")
    show_sleepers(stage, ev, tables, settled, time.monotonic() - began, nap, figures)


def rearm(replica, names, dice):
    """A fresh process that falls asleep at one of a few points."""
    replica.woken = 0
    replica.armed = ",".join("%s:stop@%d" % (name, dice.randrange(1, 4)) for name in dice.sample(names, 8))
    replica.kill()


def show_sleepers(stage, ev, tables, settled, took, nap, figures):
    calls = [e for e in ev.book.entries if e["kind"] == "call"]
    soon, later = late_mails(ev)
    print("\nSIGSTOP past the lease, %d s at %g times the speed: %d processes slept %.0f s (the lease is %.0f s)" % (
        took, stage.clock.speed, len(stage.naps), nap, stage.clock.real(LEASE_SECS)))
    print("  %d cases; charge calls %d, answered from the key's memory %d; mails %d, unknown %d; at rest %s after the last woke" % (
        len(ev.cases), len(calls), sum(e["replayed"] for e in calls), len(ev.mails),
        sum(row["status"] == "unknown" for row in tables["notifications"]), "%.0f s" % settled if settled is not None else "never"))
    print("  dunning mails that a sleeper handed over after the close: %d; calls that the provider refused because nothing was owed any"
          " more: %d" % (soon + later, late_calls(ev)))
    for name, count in sorted(collections.Counter(name for name, _ in stage.naps).items()):
        print("  %-22s %4d" % (name, count))
    if not stage.naps:
        figures.fault("no process fell asleep")


def play_clock(options, _kinds, figures):
    clock = Clock(options.speed)
    if not clock.library:
        print("\nClock jumps: skipped, libfaketime is not installed (Debian: faketime)")
        return
    play(options, figures, clock, 3, jumps)


def jumps(options, stage, dice, figures):
    """One replica after the other runs with a wrong clock for a while; PostgreSQL and the others have the right one."""
    stage.world.excused = (408, 400)    # a replica whose clock is wrong takes every webhook for too old, or too young
    end, made = time.monotonic() + options.minutes * 60, collections.Counter()
    while time.monotonic() < end:
        replica, name = dice.choice(stage.crew.replicas), dice.choice(sorted(JUMPS))
        made[name] += 1
        for replica.jump in (JUMPS[name], 0):
            replica.kill()
            time.sleep(JUMP_SECS if replica.jump else 2)
    ev, tables, settled = stage.judge(figures, "clock")
    early = [e for e in ev.book.entries if e["kind"] == "final" and e["by"] == "recoup" and e["t"] - stage.clock.base < DAY]
    print("\nClock jumps of one of three replicas, %g times the speed: %s; %d cases, charge calls %d, mails %d, webhooks that it"
          " refused %d, at rest %s after the last" % (
              stage.clock.speed, ", ".join("%s %d" % row for row in sorted(made.items())), len(ev.cases),
              sum(e["kind"] == "call" for e in ev.book.entries), len(ev.mails), sum(not good for _, _, good in stage.world.posts),
              "%.0f s" % settled if settled is not None else "never"))
    print("  subscriptions that it ended before their time: %d" % len(early), flush=True)
    if early:
        figures.fault("%d subscriptions were ended by a replica whose clock was ahead" % len(early))
