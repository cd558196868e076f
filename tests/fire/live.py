"""A world in which time passes: invoices fail, customers pay, staff presses the button, all while the replicas work."""

import heapq
import itertools
import json
import random
import threading
import time
import types

import stripe_wire as wire
from driver import SECRETS
from stripe_book import HOUR, Book
from world import NSF, OK, sign

# A provider that answers 500 repeats it to the same key for a day, and a day is too long here: the outside judge plays that.
# name: (weight, what the issuer says, faults on the n-th key of Recoup, what the customer does meanwhile)
FATES = {
    "heals_on_2": (4, [NSF, OK], {}, None), "heals_on_3": (3, [NSF, NSF, OK], {}, None), "never": (2, [NSF], {}, None),
    "reset_charged": (4, [NSF, OK], {1: ["reset_done"]}, None), "cut_charged": (2, [NSF, OK], {1: ["cut_done"]}, None),
    "reset_lost": (2, [NSF, OK], {1: ["reset_lost"]}, None),
    "declined_unheard": (2, [NSF, NSF, OK], {1: ["reset_done"], 2: ["reset_done"]}, None), "lost": (1, ["lost_card"], {}, None),
    "throttled": (1, [NSF, OK], {1: ["429"]}, None), "hosted_between": (2, [NSF], {}, "pays"), "out_of_band": (1, [NSF], {}, "out_of_band"),
    "voided": (1, [NSF], {}, "void"), "expired_new_card": (2, ["expired_card"], {}, "card"),
}


class LiveBook(Book):
    """A book whose time is the world's clock, whoever else tries to set it."""

    def __init__(self, version, clock, seed):
        self.clock = clock
        super().__init__(version, 0, seed)

    @property
    def now(self):
        return int(self.clock.now())

    @now.setter
    def now(self, _):
        pass


class LiveWorld:
    """Threads: one makes what happens outside, one presses buttons, three carry webhooks."""

    CARRIERS = 3
    excused = (408,)

    def __init__(self, book, balancer, clock, seed, per_sec):
        self.book, self.balancer, self.clock, self.per_sec = book, balancer, clock, per_sec
        self.dice, self.count, self.jobs, self.made = random.Random(seed), itertools.count(), [], []
        self.names = [name for name, row in FATES.items() for _ in range(row[0])]
        self.acked, self.posts, self.waiting, self.taken, self.on_the_way = {}, [], [], 0, 0
        self.lock, self.running, self.failing, self.pressed, self.followed, self.troubles = threading.Lock(), True, True, 0, [], []
        self.threads = [threading.Thread(target=self.guard, args=(work,), daemon=True)
                        for work in (self.outside, self.staff, *[self.carry] * self.CARRIERS)]
        self.began = time.monotonic()
        for thread in self.threads:
            thread.start()

    def guard(self, work):
        try:
            work()
        except BaseException as trouble:    # a thread of the world that ends would make the run a lie
            self.troubles.append("a thread of the world ended: %r" % trouble)
            raise

    def end(self):
        self.running = False
        for thread in self.threads:
            thread.join(30)

    # -- what happens outside ----------------------------------------------------------------------------------------

    def outside(self):
        while self.running:
            with self.book.lock:
                self.book.run_late()
                if self.failing and len(self.made) < (time.monotonic() - self.began) * self.per_sec:
                    self.fail(self.dice.choice(self.names))
                while self.jobs and self.jobs[0][0] <= self.book.now:
                    heapq.heappop(self.jobs)[2]()
                self.collect()
            time.sleep(0.02)

    def fail(self, fate):
        book, number = self.book, len(self.made)
        _, script, faults, deed = FATES[fate]
        sub = book.add_customer(("eur", "usd", "gbp", "jpy")[number % 4], script, 1200 + 13 * number)
        inv = book.add_invoice(sub)
        inv["fate"], inv["faults"] = fate, {k: list(v) for k, v in faults.items()}
        book.log("failed", inv["id"], fate=fate)
        book.bill(inv)
        self.made.append(inv)
        if deed:
            act = {"pays": lambda: book.customer_pays(inv), "out_of_band": lambda: book.pay_out_of_band(inv),
                   "void": lambda: book.void(inv), "card": lambda: book.attach_card(inv, [OK], "customer")}[deed]
            heapq.heappush(self.jobs, (book.now + self.dice.randrange(5, 400), next(self.count), act))

    def settle(self):
        """The end: no faults any more, and who still owes pays by himself."""
        with self.book.lock:
            self.failing, self.jobs = False, []
            for inv in self.made:
                inv["faults"] = {}
                self.book.customer_pays(inv)

    # -- staff -------------------------------------------------------------------------------------------------------

    def staff(self):
        """Presses "charge now" on open cases."""
        while self.running:
            time.sleep(0.5 / self.per_sec)
            open_ones = [inv for inv in self.made[-int(60 * self.per_sec):] if inv["status"] == "open"]
            if not open_ones or not self.failing:
                continue
            inv = self.dice.choice(open_ones)
            answer = self.balancer.once("GET", "/v1/cases?invoice_id=" + inv["id"], None, self.headers())
            rows = json.loads(answer[2]).get("data", []) if answer and answer[0] == 200 else []
            if rows and rows[0]["status"] == "open":
                answer = self.balancer.once("POST", "/v1/cases/%s/retry" % rows[0]["id"], b'{"comment": "now"}', self.headers())
                self.pressed += bool(answer and answer[0] == 200)

    @staticmethod
    def headers():
        from driver import ADMIN_KEY
        return {"Authorization": "Bearer " + ADMIN_KEY, "Content-Type": "application/json"}

    # -- webhooks ----------------------------------------------------------------------------------------------------

    def collect(self):
        """New events go on their way: one in ten twice, some a little late, in no order."""
        with self.lock:
            while self.taken < len(self.book.events):
                event = self.book.events[self.taken]
                self.taken += 1
                for _ in range(2 if self.dice.random() < 0.1 else 1):
                    late = self.dice.random() * 2 if self.dice.random() < 0.3 else 0
                    heapq.heappush(self.waiting, (time.monotonic() + late, next(self.count), event))

    def carry(self):
        while self.running:
            event = None
            with self.lock:
                if self.waiting and self.waiting[0][0] <= time.monotonic():
                    event = heapq.heappop(self.waiting)[2]
                    self.on_the_way += 1
            if event is None:
                time.sleep(0.01)
                continue
            self.post(event)
            with self.lock:
                self.on_the_way -= 1

    def post(self, event):
        raw, began = json.dumps(wire.event(event)).encode(), time.monotonic()
        headers = {"Content-Type": "application/json", "Stripe-Signature": sign(SECRETS[0], raw, self.book.now)}
        answer = self.balancer.once("POST", "/webhooks/stripe", raw, headers)
        good = bool(answer) and answer[0] == 200
        self.posts.append((began, time.monotonic(), good))
        if good:
            self.acked[event["id"]] = answer[2]
        else:
            # 408: the replica slept, or starved, while it read.
            if answer and answer[0] not in self.excused:
                self.troubles.append("webhook %s answered %s %r" % (event["id"], answer[0], answer[2][:200]))
            with self.lock:
                heapq.heappush(self.waiting, (time.monotonic() + 0.5, next(self.count), event))

    def idle(self):
        with self.lock:
            return not self.waiting and not self.on_the_way and self.taken == len(self.book.events)

    def as_drive(self, strange):
        """What the outside judge's `gather` wants to know of whoever drove."""
        return types.SimpleNamespace(
            troubles=list(self.troubles), ended=self.book.now, postman=types.SimpleNamespace(refused=[], sent=len(self.posts)),
            strange=strange, world=types.SimpleNamespace(followed=[]), drained=0, undone=[], killed=0, after_kill=[])
