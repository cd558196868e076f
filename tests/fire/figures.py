"""What is printed: counts with their N, recovery times, and what a check found."""

import collections

import run as outside


def quantile(rows, part):
    rows = sorted(rows)
    return rows[min(len(rows) - 1, int(part * len(rows)))]


def times(rows):
    return "p50 %.2f s, p99 %.2f s, max %.2f s of %d" % (quantile(rows, .5), quantile(rows, .99), max(rows), len(rows)) if rows else "none"


def bound(n):
    """The rule of three: what a rate can still be at 95 % when n tries showed nothing."""
    return "rate below %.2g at 95 %%" % (3 / n) if n else "no bound"


class Figures:
    """Sums over the worlds of a round."""

    def __init__(self):
        self.failed = 0

    def judge(self, title, evidence, checks):
        """Prints only what is wrong."""
        bad = [check for check in checks if check[3]]
        self.failed += len(bad)
        if bad:
            outside.table(title, bad)
            outside.stories(evidence, bad)

    def fault(self, text):
        self.failed += 1
        print("  FAIL %s" % text, flush=True)


class Sum:
    """One round on one database."""

    def __init__(self):
        self.checks, self.landed, self.ready, self.caught_up = collections.Counter(), collections.Counter(), [], []
        self.cases, self.calls, self.again, self.mails, self.webhooks, self.unknown, self.worlds = 0, 0, 0, 0, 0, 0, 0

    def add(self, played):
        ev = played.evidence
        self.worlds += 1
        self.cases += len(ev.cases)
        calls = [e for e in ev.book.entries if e["kind"] == "call"]
        self.calls += len(calls)
        self.again += sum(e["replayed"] for e in calls)
        self.mails += len(ev.mails)
        self.webhooks += len(played.service.acked)
        self.ready += played.service.ready_secs
        self.caught_up += played.service.caught_up_secs
        self.unknown += sum(note["status"] == "unknown" for rows in ev.notes.values() for note in rows)
        for name, _, n, _ in played.checks:
            self.checks[name] += n

    def show(self, title, secs):
        kills = sum(self.landed.values())
        print("\n%s: %d kills over %d cases in %d worlds, %d s" % (title, kills, self.cases, self.worlds, secs))
        print("  charge calls %d, of them answered from the key's memory %d (the process died before it knew); mails %d, unknown %d;"
              " webhooks answered 200: %d" % (self.calls, self.again, self.mails, self.unknown, self.webhooks))
        print("  ready again: %s; all work due done again: %s" % (times(self.ready), times(self.caught_up)))
        print("  no double charge, lost event or double mail in %d kills: %s" % (kills, bound(kills)), flush=True)
