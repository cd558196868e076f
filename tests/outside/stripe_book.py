"""The fake provider's own books: customers, cards, invoices, charges, events, and a log of all that happened, in one order."""

import collections
import itertools
import random
import threading

import stripe_wire as wire

DAY, HOUR = 86400, 3600


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status, body):
        super().__init__(status)
        self.status, self.body = status, body


class Book:
    def __init__(self, version, start, seed):
        self.version, self.now, self.lock = version, start, threading.RLock()
        self.random = random.Random(seed)
        self.entries, self.events, self.by_invoice = [], [], collections.defaultdict(list)
        self.customers, self.cards, self.subscriptions, self.invoices = {}, {}, {}, {}
        self.intents, self.charges, self.payments, self.disputes = {}, {}, {}, {}
        self.late = []            # charges that run later: (due, function)
        self.down = []            # (from, to, how): the provider is away
        self.count = itertools.count(1)
        self.order = itertools.count(1)

    # -- time and log ------------------------------------------------------------------------------------------------

    def tick(self):
        with self.lock:
            return next(self.order), self.now

    def set_now(self, now):
        with self.lock:
            self.now = now
            self.run_late()

    def run_late(self):
        due = [job for job in self.late if job[0] <= self.now]
        self.late = [job for job in self.late if job[0] > self.now]
        for _, job in due:
            job()

    def log(self, kind, invoice=None, **more):
        seq, t = self.tick()
        entry = {"seq": seq, "t": t, "kind": kind, "invoice": invoice, **more}
        self.entries.append(entry)
        self.by_invoice[invoice].append(entry)
        return entry

    def of(self, invoice, *kinds):
        return [e for e in list(self.by_invoice.get(invoice, ())) if not kinds or e["kind"] in kinds]

    def outage(self):
        return next((how for begin, end, how in self.down if begin <= self.now < end), None)

    def new_id(self, prefix):
        return "%s_1Out%06d" % (prefix, next(self.count))

    # -- making a world ----------------------------------------------------------------------------------------------

    def add_card(self, customer, script, brand="visa"):
        """`script` is what the issuer says to the first, second, ... charge; the last word is repeated."""
        pm = {"id": self.new_id("pm"), "customer": customer, "brand": brand, "country": "DE", "created": self.now,
              "exp_month": 11, "exp_year": 2030, "last4": "%04d" % self.random.randrange(10000), "script": list(script),
              "charged": 0, "fingerprint": "fp%08x" % self.random.getrandbits(32)}
        self.cards[pm["id"]] = pm
        return pm

    def add_customer(self, currency, script, amount, locales=("en",), brand="visa"):
        number = next(self.count)
        cus = {"id": "cus_Out%06d" % number, "created": self.now - 200 * DAY, "currency": currency, "country": "DE",
               "delinquent": False, "email": "c%d@customers.example" % number, "name": "Customer %d" % number,
               "prefix": "OUT%05d" % number, "locales": list(locales), "default_pm": None}
        pm = self.add_card(cus["id"], script, brand)
        sub = {"id": self.new_id("sub"), "customer": cus["id"], "created": self.now - 90 * DAY, "currency": currency,
               "amount": amount, "default_pm": pm["id"], "status": "active", "ended_at": None, "cancel_reason": None,
               "pause": None, "latest_invoice": None, "period_start": self.now}
        cus["default_pm"] = pm["id"]
        self.customers[cus["id"]], self.subscriptions[sub["id"]] = cus, sub
        return sub

    def add_invoice(self, sub, created=None):
        cus = self.customers[sub["customer"]]
        number = next(self.count)
        inv = {"id": "in_1Out%06d" % number, "customer": cus["id"], "subscription": sub["id"], "amount": sub["amount"],
               "currency": sub["currency"], "status": "open", "attempts": 0, "created": created or self.now, "intent": None,
               "charge": None, "paid_at": None, "paid_how": None, "voided_at": None, "uncollectible_at": None,
               "auto_advance": True, "email": cus["email"], "name": cus["name"], "number": "%s-%04d" % (cus["prefix"], number),
               "url": "https://invoice.stripe.com/i/acct_out/test_%06d" % number, "fate": None, "faults": {}, "keys": []}
        pi = {"id": self.new_id("pi"), "invoice": inv["id"], "amount": inv["amount"], "currency": inv["currency"],
              "customer": cus["id"], "created": inv["created"], "status": "requires_payment_method", "error": None,
              "charge": None, "pm": None}
        row = {"id": self.new_id("inpay"), "invoice": inv["id"], "intent": pi["id"], "amount": inv["amount"],
               "currency": inv["currency"], "created": inv["created"], "status": "open", "paid_at": None}
        inv["intent"] = pi["id"]
        self.invoices[inv["id"]], self.intents[pi["id"]], self.payments[row["id"]] = inv, pi, row
        sub["latest_invoice"] = inv["id"]
        return inv

    # -- charging ----------------------------------------------------------------------------------------------------

    def default_card(self, inv):
        sub, cus = self.subscriptions[inv["subscription"]], self.customers[inv["customer"]]
        return self.cards[sub["default_pm"] or cus["default_pm"]]

    def charge(self, inv, by, pm=None, key=None, willing=False):
        """One charge against the issuer. Returns None when it went through, else the refusal."""
        pm = pm or self.default_card(inv)
        said = "ok" if willing else pm["script"][min(pm["charged"], len(pm["script"]) - 1)]
        pm["charged"] += 0 if willing else 1
        refusal = None if said == "ok" else wire.refusal(said)
        pi = self.intents[inv["intent"]]
        ch = {"id": self.new_id("ch"), "invoice": inv["id"], "intent": pi["id"], "amount": inv["amount"], "disputed": False,
              "currency": inv["currency"], "customer": inv["customer"], "created": self.now, "pm": pm, "refusal": refusal}
        self.charges[ch["id"]] = ch
        inv["attempts"] += 1
        inv["charge"] = pi["charge"] = ch["id"]
        pi["pm"] = pm["id"]
        self.log("charge", inv["id"], by=by, ok=not refusal, pm=pm["id"], said=said, amount=inv["amount"], key=key,
                 status=inv["status"])
        if refusal:
            self.refuse(inv, pi, ch, refusal, key)
        else:
            self.settle(inv, by, key)
        return refusal

    def refuse(self, inv, pi, ch, refusal, key):
        ask = refusal["said"] == "authentication_required"
        pi["status"] = "requires_action" if ask else "requires_payment_method"
        pi["error"] = wire.last_payment_error(refusal, ch, ch["pm"])
        sub, cus = self.subscriptions[inv["subscription"]], self.customers[inv["customer"]]
        self.emit("charge.failed", wire.charge(ch, self.version), key)
        self.emit("payment_intent.payment_failed", wire.intent(pi, self.version), key)
        self.emit("invoice.payment_failed", wire.invoice(inv, self.version), key)
        if ask:
            self.emit("invoice.payment_action_required", wire.invoice(inv, self.version), key)
        if sub["status"] == "active":
            sub["status"], cus["delinquent"] = "past_due", True
            self.emit("customer.subscription.updated", wire.subscription(sub, self.version), key, {"status": "active"})

    def settle(self, inv, how, key=None):
        """The invoice is paid: `how` is recoup, customer, first or out_of_band."""
        pi, sub = self.intents[inv["intent"]], self.subscriptions[inv["subscription"]]
        again = inv["status"] == "paid"
        inv.update(status="paid", paid_at=inv["paid_at"] or self.now, paid_how=inv["paid_how"] or how, auto_advance=False)
        self.log("paid", inv["id"], how=how, again=again)
        if how == "out_of_band":
            pi["status"] = "canceled"
        else:
            pi.update(status="succeeded", error=None)
            for row in self.payments.values():
                if row["invoice"] == inv["id"]:
                    row.update(status="paid", paid_at=self.now)
                    if wire.is_new(self.version):
                        self.emit("invoice_payment.paid", wire.invoice_payment(row), key)
            self.emit("charge.succeeded", wire.charge(self.charges[pi["charge"]], self.version), key)
            self.emit("payment_intent.succeeded", wire.intent(pi, self.version), key)
        for kind in ("invoice.updated", "invoice.paid", "invoice.payment_succeeded"):
            self.emit(kind, wire.invoice(inv, self.version), key)
        if sub["status"] == "past_due":
            sub["status"] = "active"
            self.customers[inv["customer"]]["delinquent"] = False
            self.emit("customer.subscription.updated", wire.subscription(sub, self.version), key, {"status": "past_due"})

    def bill(self, inv):
        """The provider's own first charge of a renewal."""
        self.emit("invoice.created", wire.invoice(inv, self.version))
        self.emit("invoice.finalized", wire.invoice(inv, self.version))
        self.emit("payment_intent.created", wire.intent(self.intents[inv["intent"]], self.version))
        self.charge(inv, "first")

    # -- what customers, staff and Recoup do besides charging ----------------------------------------------------------

    def customer_pays(self, inv):
        if inv["status"] != "open":
            return False
        self.charge(inv, "customer", willing=True)
        return True

    def pay_out_of_band(self, inv):
        if inv["status"] != "open":
            return False
        self.settle(inv, "out_of_band")
        return True

    def attach_card(self, inv, script, where):
        """The customer enters a new card; `where` says whose default it becomes: subscription or customer."""
        sub, cus = self.subscriptions[inv["subscription"]], self.customers[inv["customer"]]
        pm = self.add_card(cus["id"], script)
        self.log("card", inv["id"], pm=pm["id"], old=sub["default_pm"] or cus["default_pm"])
        old, cus["default_pm"] = cus["default_pm"], pm["id"]
        self.emit("payment_method.attached", wire.card(pm))
        self.emit("customer.updated", wire.customer(cus), None, {"invoice_settings": {"default_payment_method": old}})
        before, sub["default_pm"] = sub["default_pm"], pm["id"] if where == "subscription" else None
        self.emit("customer.subscription.updated", wire.subscription(sub, self.version), None,
                  {"default_payment_method": before})
        return pm

    def end_subscription(self, sub, by):
        sub.update(status="canceled", ended_at=self.now,
                   cancel_reason="cancellation_requested" if by == "customer" else "payment_failed")
        for inv in self.invoices.values():
            if inv["subscription"] == sub["id"]:
                inv["auto_advance"] = False
                if inv["fate"]:
                    self.log("cancelled" if by == "customer" else "final", inv["id"], by=by, then="cancelled")
        self.emit("customer.subscription.deleted", wire.subscription(sub, self.version))

    def void(self, inv):
        if inv["status"] != "open":
            return False
        inv.update(status="void", voided_at=self.now, auto_advance=False)
        self.intents[inv["intent"]]["status"] = "canceled"
        self.log("voided", inv["id"])
        self.emit("invoice.voided", wire.invoice(inv, self.version))
        return True

    def uncollectible(self, inv, by):
        if inv["status"] != "open":
            return False
        inv.update(status="uncollectible", uncollectible_at=self.now, auto_advance=False)
        self.log("uncollectible" if by == "staff" else "final", inv["id"], by=by, then="uncollectible")
        self.emit("invoice.marked_uncollectible", wire.invoice(inv, self.version))
        return True

    def dispute(self, inv, ch):
        ch["disputed"] = True
        row = {"id": self.new_id("dp"), "amount": ch["amount"], "charge": ch["id"], "created": self.now,
               "currency": ch["currency"], "intent": ch["intent"]}
        self.disputes[row["id"]] = row
        self.log("disputed", inv["id"], charge=ch["id"], own=ch["invoice"] == inv["id"])
        self.emit("charge.dispute.created", wire.dispute(row))

    # -- events ------------------------------------------------------------------------------------------------------

    def emit(self, kind, shown, key=None, previous=None):
        row = {"id": self.new_id("evt"), "type": kind, "created": self.now, "object": shown, "previous": previous,
               "api_version": self.version, "request": self.new_id("req") if key else None, "key": key, "lost": False}
        self.events.append(row)
        return row
