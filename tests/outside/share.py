"""How much of what can be recovered is: worlds with paydays, outages and networks of their own, through the real service.

    python3 tests/outside/share.py --binary PATH [--seed N] [--failures 300] [--world NAME]

Each world deals out cards whose money comes and goes by a calendar of its own, and fails as many renewals over two months. The
bound is the share of invoices that some hour of the two weeks after the failure would have recovered. The built-in campaign is
played against a campaign of eight days at 09:00 over the same two weeks, with the same luck. Prints a table; exits with 1 where
the built-in one is below 0.90 of the bound on average, charges more than 3.0 times, or falls behind with more charges.
"""

import argparse
import datetime
import os
import random
import sys
import tempfile

sys.dont_write_bytecode = True    # leave no traces beside the sources

import stripe_wire as wire
from driver import API_KEY, START, Database, Drive, Recoup, rfc3339
from smtp_sink import Sink
from stripe_book import DAY, HOUR, Book
from stripe_fake import Fake
from world import Postman

WINDOW = 14 * DAY
SPAN_DAYS = 60
EVEN_8_AT_9 = """name = "default"
version = 9

[[ladder]]
kinds = ["insufficient_funds", "limit", "do_not_honor", "issuer_down"]
days = [1, 3, 5, 7, 8, 10, 12, 14]
at = "09:00"

[final]
after_days = 21
at = "10:00"
action = "cancel"
"""


# -- the money behind a card: whether a charge at a time goes through, and what is said where it does not ------------------

def local_day(t):
    return datetime.datetime.fromtimestamp(t + HOUR, datetime.timezone.utc)


class Paydays:
    """Money comes on days of the month, in the small hours, and is gone some days later; a card may stay poor for good."""

    def __init__(self, dice, days):
        self.day, self.hour = dice.choice(days), dice.randrange(3, 8)
        self.stays = dice.randrange(3, 9) * DAY
        self.hopeless = dice.random() < 0.25

    def says(self, t):
        if self.hopeless:
            return "insufficient_funds"
        at = local_day(t)
        for back in range(0, 12):
            day = at - datetime.timedelta(days=back)
            last = (day.replace(day=28) + datetime.timedelta(days=4)).replace(day=1) - datetime.timedelta(days=1)
            if day.day == min(self.day, last.day):
                paid = int(day.replace(hour=self.hour, minute=0, second=0).timestamp()) - HOUR
                if paid <= t < paid + self.stays:
                    return "ok"
        return "insufficient_funds"


class Fridays:
    """Money comes every second Friday."""

    def __init__(self, dice):
        self.phase, self.stays = dice.randrange(2), dice.randrange(2, 6) * DAY
        self.hopeless = dice.random() < 0.2

    def says(self, t):
        friday = (t + HOUR + 3 * DAY + 18 * HOUR) // DAY       # days since a Friday, whose money is there at six in the morning
        since = (friday - 7 * self.phase) % 14 * DAY
        return "insufficient_funds" if self.hopeless or since >= self.stays else "ok"


class Mood:
    """The issuer says no without a reason for some days, and more readily at night."""

    def __init__(self, dice, t):
        self.until = t + int(dice.expovariate(1 / (60 * HOUR)))
        self.never, self.night = dice.random() < 0.3, dice.random() < 0.5

    def says(self, t):
        asleep = self.night and local_day(t).hour < 7
        return "do_not_honor" if self.never or t < self.until or asleep else "ok"


class Down:
    """The bank's systems are away for some hours."""

    def __init__(self, dice, t):
        self.until = t + int(dice.expovariate(1 / (5 * HOUR))) + HOUR

    def says(self, t):
        return "issuer_not_available" if t < self.until else "ok"


class Limit:
    """The card's limit of the day, or of the month, is used up."""

    def __init__(self, dice, t):
        at = local_day(t)
        whole = at.replace(hour=0, minute=0, second=0)
        month = (whole.replace(day=28) + datetime.timedelta(days=4)).replace(day=1)
        until = month if dice.random() < 0.3 else whole + datetime.timedelta(days=1)
        self.until = int(until.timestamp()) - HOUR

    def says(self, t):
        return "card_velocity_exceeded" if t < self.until else "ok"


def month_end(dice, t):
    return Paydays(dice, (25, 28, 31, 31, 1)) if dice.random() < 0.75 else Mood(dice, t)


def fridays(dice, t):
    return Fridays(dice) if dice.random() < 0.7 else Mood(dice, t)


def moods(dice, t):
    return Mood(dice, t) if dice.random() < 0.7 else Paydays(dice, tuple(range(1, 29)))


def troubles(dice, t):
    draw = dice.random()
    return Down(dice, t) if draw < 0.4 else Limit(dice, t) if draw < 0.6 else Mood(dice, t) if draw < 0.8 else Paydays(dice, (1, 15))


WORLDS = {"month_end": month_end, "fridays": fridays, "moods": moods, "troubles": troubles}


class Bank(Book):
    """A book whose issuers answer by the time of the charge. Mastercard advises to wait where money is missing."""

    def charge(self, inv, by, pm=None, key=None, willing=False):
        pm = pm or self.default_card(inv)
        pm["script"], pm["charged"] = [pm["money"].says(self.now) if "money" in pm else "ok"], 0
        return super().charge(inv, by, pm, key, willing)


class Failures:
    """The renewals that fail, as a world of the outside judge: who acts is the calendar alone."""

    def __init__(self, book, name, failures, seed):
        self.book, self.start, self.days = book, book.now, SPAN_DAYS
        self.jobs, self.made, self.clicks, self.followed = [], [], set(), []
        dice = random.Random("%s %d" % (name, seed))
        number = 0
        while len(self.jobs) < failures:
            number += 1
            t = self.start + dice.randrange(SPAN_DAYS * 24 * 4) * 900 + 60
            money = WORLDS[name](dice, t)
            if money.says(t) != "ok":
                brand = dice.choice(("visa", "visa", "mastercard", "amex"))
                self.jobs.append((t, number, money, brand, dice.randrange(900, 9900)))
        self.jobs.sort(key=lambda job: job[:2])

    def next_time(self):
        return self.jobs[0][0] if self.jobs else None

    def run_due(self, now):
        while self.jobs and self.jobs[0][0] <= now:
            t, _, money, brand, amount = self.jobs.pop(0)
            sub = self.book.add_customer("eur", ["ok"], amount, ("en",), brand)
            self.book.cards[sub["default_pm"]]["money"] = money
            inv = self.book.add_invoice(sub)
            inv["fate"], inv["faults"], inv["failed_at"], inv["money"] = "share", {}, self.book.now, money
            self.book.bill(inv)
            self.made.append(inv)

    def react(self, mails, follow):
        pass

    def watch(self):
        pass


def payable(inv):
    return any(inv["money"].says(t) == "ok" for t in range(inv["failed_at"] + HOUR // 2, inv["failed_at"] + WINDOW, HOUR // 2))


def play(binary, name, options, campaign):
    """Returns (bound, recovered, charges) of the invoices that failed."""
    book = Bank(wire.NEW, START, options.seed)
    fake, sink = Fake(book, API_KEY), Sink(book.tick)
    world, postman, database = Failures(book, name, options.failures, options.seed), Postman(book, options.seed), Database("sqlite")
    with tempfile.TemporaryDirectory() as folder:
        if campaign:
            with open(os.path.join(folder, "default.toml"), "w") as file:
                file.write(campaign)
        recoup = Recoup(binary, database.url, fake.base, sink.port, {"RECOUP__CAMPAIGNS__DIR": folder} if campaign else {})
        drive = Drive(recoup, book, sink, world, postman, name)
        try:
            drive.run()
            if drive.troubles:
                raise SystemExit("\n".join(drive.troubles[:5]))
            failed = [inv for inv in world.made if inv["attempts"]]
            charges = sum(e["kind"] == "charge" and e["by"] == "recoup" for e in book.entries)
            return sum(map(payable, failed)), sum(inv["status"] == "paid" for inv in failed), charges / len(failed)
        finally:
            recoup.stop()
            recoup.remove()
            fake.close()
            sink.close()
            database.drop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--failures", type=int, default=300)
    parser.add_argument("--world", choices=sorted(WORLDS), action="append")
    options = parser.parse_args()
    binary, rows = os.path.abspath(options.binary), []
    print("%d failures a world from %s, seed %d" % (options.failures, rfc3339(START)[:10], options.seed))
    print("%-10s %8s | %16s %8s | %16s %8s" % ("world", "payable", "built-in: share", "charges", "8 at 09:00: share", "charges"))
    for name in options.world or WORLDS:
        bound, ours, charges = play(binary, name, options, None)
        _, even, even_charges = play(binary, name, options, EVEN_8_AT_9)
        rows.append((ours / bound, charges, even / bound, even_charges))
        print("%-10s %8d | %16.3f %8.2f | %16.3f %8.2f" % (name, bound, *rows[-1]), flush=True)
    share, charges, even, even_charges = (sum(row[i] for row in rows) / len(rows) for i in range(4))
    print("%-10s %8s | %16.3f %8.2f | %16.3f %8.2f" % ("mean", "", share, charges, even, even_charges))
    behind = share < even and charges > even_charges
    return 1 if share < 0.90 or charges > 3.0 or behind else 0


if __name__ == "__main__":
    sys.exit(main())
