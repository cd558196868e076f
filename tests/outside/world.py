"""The scripted world: who fails, how the issuer answers, what customers and staff do, and how webhooks travel."""

import hashlib
import hmac
import itertools
import json
import random

import stripe_wire as wire
from stripe_book import DAY, HOUR

MINUTE = 60
NSF, OK = "insufficient_funds", "ok"
CURRENCIES = ("eur", "usd", "gbp", "jpy")

# name: (weight of sixty, what the issuer says to this card, faults on the n-th key of Recoup)
FATES = {
    "nsf_heals_on_2": (3, [NSF, OK], {}),
    "nsf_heals_on_3": (3, [NSF, NSF, OK], {}),
    "nsf_heals_on_4": (2, [NSF, NSF, NSF, OK], {}),
    "nsf_never": (3, [NSF], {}),
    "odd_code": (4, [], {}),      # one of ODD
    "lost": (1, ["lost_card"], {}),
    "stolen": (1, ["stolen_card"], {}),
    "fraudulent": (1, ["fraudulent"], {}),
    "revoked": (1, ["revocation_of_authorization"], {}),
    "nsf_then_lost": (1, [NSF, "lost_card"], {}),
    "lost_new_card": (2, ["lost_card"], {}),
    "expired_new_card": (3, ["expired_card"], {}),
    "nsf_new_card": (1, [NSF], {}),
    "expired_never": (1, ["expired_card"], {}),
    "sca_by_mail": (3, ["authentication_required"], {}),
    "sca_never": (1, ["authentication_required"], {}),
    "hosted_between": (3, [NSF], {}),
    "customer_cancels": (3, [NSF], {}),
    "voided": (2, [NSF], {}),
    "uncollectible": (2, [NSF], {}),
    "disputed": (1, [NSF], {}),
    "paid_then_disputed": (1, [NSF, OK], {}),
    "out_of_band": (2, [NSF], {}),
    "issuer_down": (2, ["issuer_not_available", OK], {}),
    "processing_error": (1, ["processing_error", OK], {}),
    "reset_charged": (1, [NSF, OK], {1: ["reset_done"]}),
    "reset_lost": (1, [NSF, OK], {1: ["reset_lost", "reset_lost"]}),
    "timeout_charged": (1, [NSF, OK], {1: ["hang_done"]}),
    "timeout_lost": (1, [NSF, OK], {1: ["hang_lost"]}),
    "cut_charged": (1, [NSF, OK], {1: ["cut_done"]}),
    "late_charged": (1, [NSF, OK], {1: ["late"]}),
    "500_charged": (1, [NSF, OK], {1: ["500_done"]}),
    "500_lost": (1, [NSF, OK], {1: ["500_lost"]}),
    "throttled": (1, [NSF, OK], {1: ["429", "429"]}),
    "unknown_then_pays": (1, [NSF], {1: ["reset_lost"] * 400}),
    "unknown_26_hours": (1, [NSF, OK], {1: ["deaf"] * 400}),
    "event_lost": (1, [NSF, OK], {}),
}
ODD = ("generic_decline", "card_velocity_exceeded", "pickup_card", "do_not_honor", "invalid_account", "merchant_blacklist",
       "transaction_not_allowed", "stop_payment_order", "call_issuer", "security_violation", "restricted_card", "incorrect_number",
       "revocation_of_all_authorizations", "withdrawal_count_limit_exceeded", "new_account_information_available", "incorrect_cvc",
       "service_not_allowed", "testmode_decline", "currency_not_supported", "duplicate_transaction", "card_not_supported",
       "no_action_taken", "incorrect_pin", "invalid_amount")

# Shapes of fate where somebody outside acts, and how many hours after the failure: from, to.
DEEDS = {
    "lost_new_card": (30, 60), "expired_new_card": (30, 80), "nsf_new_card": (30, 60), "hosted_between": (30, 130),
    "customer_cancels": (30, 130), "voided": (30, 130), "uncollectible": (30, 130), "disputed": (30, 70),
    "out_of_band": (30, 130),
}


class World:
    def __init__(self, book, failures, days, seed, fates=FATES):
        self.book, self.random, self.odd = book, random.Random(seed * 7919 + 1), seed * 4
        self.peek = lambda invoice: None     # what Recoup plans next for an invoice: (kind, time)
        self.start = book.now
        self.days = days
        self.count = itertools.count()
        self.jobs = []            # (time, number, function)
        self.clicks = set()
        self.followed = []        # (invoice, mail subject, whether the link led to the page)
        self.made = []
        span = max(1, min(days - 30, 15)) * DAY
        self.set_outage(span)
        for number, fate in enumerate(deal(failures, self.random, fates)):
            self.add(self.start + HOUR + self.random.randrange(span // MINUTE) * MINUTE, fate, number)
        for number in range(max(1, failures // 5)):
            self.at(self.start + HOUR + self.random.randrange(span // MINUTE) * MINUTE, self.healthy(number))

    def set_outage(self, span):
        begin = self.start + span // 2 // DAY * DAY + 8 * HOUR
        self.book.down = [(begin, begin + 3 * HOUR, "503"), (begin + 3 * HOUR, begin + 6 * HOUR, "drop")]
        self.away = (begin, begin + 6 * HOUR)

    def clear(self, t):
        """A time outside the provider's outage."""
        begin, end = self.away
        return t if not begin - MINUTE <= t <= end else end + HOUR + (t - begin)

    def at(self, t, function):
        self.jobs.append((self.clear(t), next(self.count), function))
        self.jobs.sort()

    def next_time(self):
        return self.jobs[0][0] if self.jobs else None

    def run_due(self, now):
        while self.jobs and self.jobs[0][0] <= now:
            self.jobs.pop(0)[2]()

    # -- failing and healthy renewals --------------------------------------------------------------------------------

    def add(self, t, fate, number):
        _, script, faults = FATES[fate]
        if fate == "odd_code":
            script = [ODD[self.odd % len(ODD)]]
            self.odd += 1
        currency = CURRENCIES[number % len(CURRENCIES)]

        def fail():
            sub = self.book.add_customer(currency, script, 1200 + 13 * number, ("de",) if number % 5 == 0 else ("en",),
                                         "mastercard" if number % 3 == 0 else "visa")
            inv = self.book.add_invoice(sub)
            inv["fate"], inv["faults"] = fate, {k: list(v) for k, v in faults.items()}
            before = len(self.book.events)
            if fate == "disputed":
                self.past_charge(sub)
            self.book.log("failed", inv["id"], fate=fate)
            self.book.bill(inv)
            if fate == "event_lost":
                for event in self.book.events[before:]:
                    event["lost"] = True
            self.made.append(inv)
        self.at(t, fail)
        if fate in DEEDS:
            low, high = DEEDS[fate]
            deed_at = self.clear(t) + self.random.randrange(low * 60, high * 60) * MINUTE
            self.at(deed_at, lambda: self.choose_moment(self.invoice_of(fail_number=number), number))
        self.numbers = getattr(self, "numbers", {})
        self.numbers[number] = 1200 + 13 * number

    def invoice_of(self, fail_number):
        return next(inv for inv in self.made if inv["amount"] == self.numbers[fail_number])

    def healthy(self, number):
        def bill():
            sub = self.book.add_customer(CURRENCIES[number % 3], [OK], 501 + number)
            self.book.bill(self.book.add_invoice(sub))
        return bill

    def past_charge(self, sub):
        """Last month's renewal: paid, and the one that the customer will dispute."""
        inv = self.book.add_invoice(sub, self.book.now - 30 * DAY)
        before = len(self.book.events)
        self.book.charge(inv, "customer", willing=True)
        for event in self.book.events[before:]:
            event["created"] -= 30 * DAY
            event["lost"] = True

    def choose_moment(self, inv, number, tries=0):
        """Half of the deeds happen at any time; the others a minute before Recoup's next charge, or mail, with their webhooks
        four hours late, so that only reading again can tell."""
        if number % 2 or inv["fate"] == "disputed" or tries > 300:
            return self.deed(inv, number)
        planned = self.peek(inv["id"])
        if planned and planned[0] == ("charge" if number % 4 else "notify") and planned[1] - MINUTE > self.book.now:
            def sneak():
                before = len(self.book.events)
                self.deed(inv, number)
                self.sneaked += 1
                for event in self.book.events[before:]:
                    event["late"] = 4 * HOUR
            return self.at(planned[1] - MINUTE, sneak)
        self.at((self.book.now // HOUR + 1) * HOUR, lambda: self.choose_moment(inv, number, tries + 1))

    sneaked = 0

    def deed(self, inv, number):
        book, fate = self.book, inv["fate"]
        if fate.endswith("_new_card"):
            book.attach_card(inv, [OK], "subscription" if number % 2 else "customer")
        elif fate == "hosted_between":
            book.customer_pays(inv)
        elif fate == "customer_cancels":
            sub = book.subscriptions[inv["subscription"]]
            if sub["status"] != "canceled":
                book.end_subscription(sub, "customer")
        elif fate == "voided":
            book.void(inv)
        elif fate == "uncollectible":
            book.uncollectible(inv, "staff")
        elif fate == "out_of_band":
            book.pay_out_of_band(inv)
        elif fate == "disputed":
            past = next(ch for ch in book.charges.values() if ch["customer"] == inv["customer"] and ch["invoice"] != inv["id"])
            book.dispute(inv, past)

    # -- customers who read their mail -------------------------------------------------------------------------------

    def react(self, mails, follow):
        """`follow(link)` gives the addresses that a link leads to. Six hours after the mail the customer pays."""
        for mail in mails:
            inv = next((i for i in self.made if i["email"] == mail["to"]), None)
            if inv is None or inv["fate"] != "sca_by_mail" or inv["id"] in self.clicks:
                continue
            self.clicks.add(inv["id"])

            def click(inv=inv, mail=mail):
                if inv["status"] != "open":
                    return
                led = any(inv["url"] in follow(link) for link in mail["links"])
                self.followed.append((inv["id"], mail["subject"], led, mail["links"]))
                if led:
                    self.book.customer_pays(inv)
            self.at(self.book.now + 6 * HOUR, click)

    def watch(self):
        """A customer disputes a payment two days after it went through; another pays while a charge is unresolved."""
        for inv in self.made:
            if inv["fate"] == "unknown_then_pays" and inv["keys"] and not inv.get("watched"):
                inv["watched"] = True
                self.at(self.book.now + 3 * HOUR, lambda inv=inv: self.book.customer_pays(inv))
            if inv["fate"] == "paid_then_disputed" and inv["status"] == "paid" and not inv.get("watched"):
                inv["watched"] = True
                self.at(self.book.now + 2 * DAY,
                        lambda inv=inv: self.book.dispute(inv, self.book.charges[inv["charge"]]))


def deal(failures, dice, fates):
    """The fates of so many invoices, in the proportion of the table, each at least once if there is room."""
    names = [name for name, (weight, _, _) in fates.items() for _ in range(weight)]
    rare = list(fates)
    out = rare[:failures]
    rest = list(names)
    for name in rare:
        rest.remove(name)
    while len(out) < failures:
        out.append(rest.pop(0) if rest else dice.choice(names))
    dice.shuffle(out)
    return out


def sign(secret, body, t):
    mac = hmac.new(secret.encode(), b"%d." % t + body, hashlib.sha256).hexdigest()
    return "t=%d,v1=%s" % (t, mac)


class Postman:
    """Carries events: some twice, some late by hours, none in order, a few never."""

    def __init__(self, book, seed):
        self.book, self.random = book, random.Random(seed * 104729 + 3)
        self.taken = 0
        self.bag = []             # (due, event)
        self.sent, self.twice, self.delayed, self.lost = 0, 0, 0, 0
        self.refused = []

    def collect(self):
        for event in self.book.events[self.taken:]:
            self.taken += 1
            if event["lost"]:
                self.lost += 1
                continue
            prompt = event["type"].startswith("charge.dispute")
            draw = 0 if prompt else self.random.random()
            delay = event["late"] if "late" in event else 0 if draw < 0.7 else self.random.randrange(60) * MINUTE if draw < 0.9 else self.random.randrange(1, 10) * HOUR
            self.delayed += delay >= HOUR
            self.bag.append((self.book.now + delay, event))
            if self.random.random() < 0.1:
                self.twice += 1
                self.bag.append((self.book.now + delay + self.random.choice((0, 0, 3 * HOUR)), event))

    def deliver(self, post, secret):
        """Send what is due, shuffled. Returns how many were sent."""
        now = self.book.now
        due = [row for row in self.bag if row[0] <= now]
        self.bag = [row for row in self.bag if row[0] > now]
        self.random.shuffle(due)
        for _, event in due:
            raw = json.dumps(wire.event(event)).encode()
            status, body = post(raw, sign(secret, raw, now))
            self.sent += 1
            if status != 200:
                self.refused.append((event["type"], event["id"], status, body))
                self.bag.append((now + HOUR, event))
        return len(due)

    def idle(self):
        return not self.bag and self.taken == len(self.book.events)
