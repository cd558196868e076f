"""What the processes die of: named failpoints, or SIGKILL at a random moment of their work."""

import collections
import os
import pathlib
import random
import re
import signal
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent


def points():
    """Every failpoint that the sources name, so that none is forgotten."""
    found = []
    for path in sorted((HERE.parent.parent / "src").rglob("*.rs")):
        if path.name != "failpoint.rs":
            found += re.findall(r'failpoint!\("(\w+)"', path.read_text())
    return sorted(set(found))


class Points:
    """Each point so many times. A process is armed at a few points, and dies at the one that it reaches first."""

    AT_ONCE = 3
    # What is only done after a death while a mail was under way, and the point where such a death is had.
    AFTERMATH, BAIT = ("mail_before_lost", "mail_lost"), "mail_started"

    def __init__(self, each, seed, names=None):
        self.left = collections.Counter({name: each for name in names or points()})
        self.landed, self.dice, self.last = collections.Counter(), random.Random(seed), None

    def arm(self):
        late = [name for name in self.AFTERMATH if self.left[name] > 0]
        if late and self.last == self.BAIT:
            return self.dice.choice(late) + ":kill@1"
        if late and self.dice.random() < 0.3:
            return self.BAIT + ":kill@1"
        wanted = sorted(name for name, left in self.left.items() if left > 0)
        chosen = self.dice.sample(wanted, min(self.AT_ONCE, len(wanted)))
        # The last ones are rare: whoever reaches one at all dies there.
        deep = len(wanted) > self.AT_ONCE and self.dice.random() < 0.5
        return ",".join("%s:kill@%d" % (name, self.dice.randrange(2, 8) if deep else 1) for name in chosen)

    def born(self, process):
        pass

    def died(self, point):
        self.last = point
        if point != "rest":
            self.landed[point] += 1
            self.left[point] -= 1

    def done(self):
        return all(left <= 0 for left in self.left.values())

    def missing(self):
        wanted = sorted(name for name, left in self.left.items() if left > 0)
        return ", not yet %s" % ", ".join(wanted) if wanted else ""

    def sign(self):
        """Something happened outside; a random killer strikes by this."""


class AtRandom:
    """SIGKILL after so many signs of work (a request at the provider, a mail, a webhook) and a moment more; one process in ten
    dies while it starts."""

    def __init__(self, seed, signs_between):
        self.dice, self.landed, self.signs_between = random.Random(seed), collections.Counter(), signs_between
        self.signs, self.all_signs, self.victim, self.lock = 0, 0, None, threading.Lock()

    def arm(self):
        return ""

    def born(self, process):
        with self.lock:
            self.victim = process
            self.signs = 1 + int(self.dice.expovariate(1 / max(1, self.signs_between)))
            if self.dice.random() < 0.1:
                self.signs = 0
                threading.Thread(target=self.strike, args=(process, self.dice.random() * 0.2), daemon=True).start()

    def sign(self):
        with self.lock:
            self.all_signs += 1
            if self.victim is None or self.signs == 0:
                return
            self.signs -= 1
            if self.signs:
                return
            process, wait = self.victim, self.dice.choice((0, 0, self.dice.random() * 0.003, self.dice.random() * 0.03))
        if wait:
            threading.Thread(target=self.strike, args=(process, wait), daemon=True).start()
        else:
            self.strike(process, 0)

    def strike(self, process, wait):
        time.sleep(wait)
        with self.lock:
            if self.victim is process and process.returncode is None:
                os.kill(process.pid, signal.SIGKILL)
                self.victim = None

    def died(self, point):
        with self.lock:
            self.victim = None
        if point != "rest":
            self.landed[point] += 1

    def missing(self):
        return ""
