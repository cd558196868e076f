"""The judge judged: a small client plays a clean story against the fake, then once more with each sin in turn.

The clean story must pass every check; each sin must fail the check that is meant for it.
"""

import email.utils
import http.client
import smtplib
import urllib.parse

import stripe_wire as wire
from driver import API_KEY, START
from judge import PARTS, Evidence, expected, judge
from smtp_sink import Sink
from stripe_book import DAY, HOUR, Book
from stripe_fake import Fake

# sin: the check that must catch it
SINS = {
    "charge twice": "one_success", "pay a paid invoice": "no_charge_after_end", "charge after cancellation": "no_charge_after_end",
    "charge after void": "no_charge_after_end", "charge after own final action": "no_charge_after_end",
    "charge after dispute": "dispute_before", "mail after dispute": "dispute_before",
    "charge the lost card": "no_terminal_card", "charge off-session again": "no_blind_authentication",
    "new key after a timeout": "unknown_keeps_key", "new key after a read that says open": "unknown_keeps_key",
    "no key": "keys_in_order", "one key for two invoices": "keys_in_order", "key after its life": "keys_in_order",
    "on-session": "keys_in_order", "old card after the new": "new_card_used", "forget the new card": "new_card_used",
    "reminder after payment": "no_mail_after_payment", "reminder after payment, said to be a receipt": "no_mail_after_payment",
    "two receipts": "no_mail_after_payment", "mail after cancellation": "no_mail_after_stop", "mail after void": "no_mail_after_stop",
    "mail to a stranger": "mails_are_theirs", "mail to a paying customer": "mails_are_theirs", "the same mail twice": "mails_are_theirs",
    "mail dated by the real clock": "mail_dates", "mail without a record": "mails_recorded", "record without a mail": "mails_recorded",
    "link to nowhere": "links_lead", "no case": "one_case_each", "two cases": "one_case_each", "case for a paid renewal": "one_case_each",
    "case left open": "all_closed", "wrong mechanism": "outcomes", "exhausted though paid": "outcomes", "wrong final action": "outcomes",
    "wrong reason": "reasons", "wrong amount": "facts_of_cases", "wrong currency": "facts_of_cases", "wrong decline": "facts_of_cases",
    "report one cent short": "report_sums", "report counts a loss": "report_sums", "webhook refused": "webhooks_taken",
    "event dead": "webhooks_taken", "work left undone": "advance_drains", "work resting after a kill": "advance_after_kill",
    "unknown route": "clock_and_calls", "exit with 1": "clock_and_calls",
}


class Client:
    """Does by hand what a dunning service does, and the sin it was told to commit."""

    def __init__(self, sin, version):
        self.sin, self.book = sin, Book(version, START, 5)
        self.fake, self.sink = Fake(self.book, API_KEY), Sink(self.book.tick)
        self.notes, self.keys, self.followed, self.number = [], 0, [], 0

    def close(self):
        self.fake.close()
        self.sink.close()

    def call(self, method, path, form=None, key=None):
        link = http.client.HTTPConnection(self.fake.base.removeprefix("http://"), timeout=20)
        headers = {"Authorization": "Bearer " + API_KEY, "Content-Type": "application/x-www-form-urlencoded"}
        if key:
            headers["Idempotency-Key"] = key
        try:
            link.request(method, path, urllib.parse.urlencode(form or {}), headers)
            answer = link.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            link.close()

    def key(self):
        self.keys += 1
        return "k%d" % self.keys

    def pay(self, inv, key=None, **form):
        form.setdefault("off_session", "true")
        return self.call("POST", "/v1/invoices/%s/pay" % inv["id"], form, key or self.key())

    def later(self, secs=DAY):
        self.book.set_now(self.book.now + secs)

    def mail(self, to, template, subject, text="Please look here: https://invoice.example", record=True, date=None):
        self.number += 1
        ident = "ntf%05d" % self.number
        body = "From: b@outside.example\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@outside.example>\r\n\r\n%s %s\r\n" % (
            to, subject, email.utils.formatdate(self.book.now if date is None else date), ident, text, ident)
        with smtplib.SMTP("127.0.0.1", self.sink.port) as smtp:
            smtp.sendmail("b@outside.example", [to], body)
        if record:
            self.notes.append({"id": ident, "recipient": to, "template": template, "subject": subject, "status": "sent"})

    def failing(self, fate, script, faults=None):
        sub = self.book.add_customer("eur", script, 1000 + len(self.book.invoices))
        past = self.book.add_invoice(sub) if fate == "disputed" else None
        if past:
            self.book.charge(past, "customer", willing=True)
        inv = self.book.add_invoice(sub)
        inv["fate"], inv["faults"] = fate, faults or {}
        self.book.log("failed", inv["id"])
        self.book.bill(inv)
        self.later(HOUR)
        return inv

    # -- the story, invoice by invoice -------------------------------------------------------------------------------

    def heals(self):
        inv = self.failing("heals", ["insufficient_funds", "insufficient_funds", "ok"])
        self.pay(inv)
        self.mail(inv["email"], "payment_failed", "Still open: 10.00")
        if self.sin == "the same mail twice":
            self.mail(inv["email"], "payment_failed", "Still open: 10.00")
            self.sink.mails[-1].update(text=self.sink.mails[-2]["text"])
        self.later()
        shared = self.pay(inv, "" if self.sin != "one key for two invoices" else "shared", off_session="false" if self.sin == "on-session" else "true")
        assert shared == 200, shared
        self.mail(inv["email"], "payment_received", "Thank you for 10.00")
        if self.sin == "two receipts":
            self.mail(inv["email"], "payment_received", "Thanks for 10.00")
        if self.sin == "charge twice":
            self.book.charge(inv, "recoup", willing=True)
        self.later()
        if self.sin == "pay a paid invoice":
            assert self.pay(inv) == 400
        if self.sin.startswith("reminder after payment"):
            self.mail(inv["email"], "payment_received" if "said" in self.sin else "reminder", "Still open: 10.00", "again")
        return inv

    def stops(self, how):
        inv = self.failing(how, ["insufficient_funds"])
        self.pay(inv, "shared" if self.sin == "one key for two invoices" else None)
        if self.sin == "no key" and how == "void":
            self.call("POST", "/v1/invoices/%s/pay" % inv["id"], {"off_session": "true"})
        if how == "cancellation":
            self.book.end_subscription(self.book.subscriptions[inv["subscription"]], "customer")
        elif how == "void":
            self.book.void(inv)
        else:
            past = next(ch for ch in self.book.charges.values() if ch["customer"] == inv["customer"] and ch["invoice"] != inv["id"])
            self.book.dispute(inv, past)
        word = "dispute" if how == "disputed" else how
        self.later()
        if self.sin == "charge after " + word:
            self.pay(inv)
        if self.sin == "mail after " + word:
            self.mail(inv["email"], "reminder", "Still open: 11.00")
        return inv

    def terminal(self):
        inv = self.failing("lost", ["lost_card"])
        self.later()
        if self.sin == "charge the lost card":
            self.pay(inv)
        self.call("DELETE", "/v1/subscriptions/" + inv["subscription"])
        self.mail(inv["email"], "subscription_ended", "It ended")
        if self.sin == "charge after own final action":
            self.pay(inv)
        return inv

    def unknown(self):
        inv = self.failing("unknown", ["insufficient_funds", "ok"], {1: ["reset_lost", "reset_done"]})
        key = self.key()
        assert self.pay(inv, key) is None
        if self.sin == "new key after a read that says open":
            assert self.call("GET", "/v1/invoices/" + inv["id"]) == 200
        if self.sin.startswith("new key"):
            self.pay(inv)
        if self.sin == "key after its life":
            self.later(23 * HOUR)
        assert self.pay(inv, key) is None or self.sin.startswith("new key")
        assert self.sin.startswith("new key") or self.pay(inv, key) == 200
        return inv

    def new_card(self):
        inv = self.failing("new_card", ["expired_card"])
        old = self.book.default_card(inv)
        self.book.attach_card(inv, ["ok"], "customer")
        if self.sin == "old card after the new":
            self.pay(inv, payment_method=old["id"])
        if self.sin != "forget the new card":
            assert self.pay(inv) == 200
        return inv

    def authentication(self):
        inv = self.failing("sca_by_mail", ["authentication_required"])
        self.mail(inv["email"], "confirm_payment", "Your bank asks: 12.00", inv["url"])
        if self.sin == "charge off-session again":
            assert self.pay(inv) == 402
        self.followed.append((inv["id"], "Your bank asks", self.sin != "link to nowhere", [inv["url"]]))
        self.book.customer_pays(inv)
        return inv

    def others(self):
        """A renewal that succeeds, and mails that should not be."""
        sub = self.book.add_customer("usd", ["ok"], 500)
        inv = self.book.add_invoice(sub)
        self.book.bill(inv)
        if self.sin == "mail to a stranger":
            self.mail("nobody@elsewhere.example", "reminder", "Still open")
        if self.sin == "mail to a paying customer":
            self.mail(inv["email"], "reminder", "Still open")
        return inv

    def story(self):
        failed = [self.heals(), self.stops("cancellation"), self.stops("void"), self.stops("disputed"), self.terminal(),
                  self.unknown(), self.new_card(), self.authentication()]
        if self.sin == "mail dated by the real clock":
            self.mail(failed[4]["email"], "reminder", "Last word", date=START + 4000 * DAY)
        if self.sin == "mail without a record":
            self.mail(failed[4]["email"], "reminder", "Last word", record=False)
        if self.sin == "record without a mail":
            self.notes.append({**self.notes[0], "id": "ntf99999"})
        return failed, self.others()

    # -- what it says of itself --------------------------------------------------------------------------------------

    def evidence(self):
        failed, paid = self.story()
        ev = Evidence(book=self.book, mails=self.sink.mails, cases=[], notes={"all": self.notes}, followed=self.followed, sent=10)
        ev.cases = [self.case(ev, inv) for inv in failed]
        self.lie_about_cases(ev, failed, paid)
        rows = [{"currency": "EUR", "cohort": "2026-03", **{part: {"cases": 0, "amount_minor": 0} for part in PARTS}}]
        for inv in failed:
            status = "stopped" if inv["fate"] == "disputed" else next(iter(expected(ev, inv)))[0]
            for part in ("all", status):
                rows[0][part]["cases"] += 1
                rows[0][part]["amount_minor"] += inv["amount"]
        rows[0]["recovered"]["amount_minor"] -= self.sin == "report one cent short"
        rows[0]["recovered"]["cases"] += self.sin == "report counts a loss"
        ev.reports = {"rows": rows}
        ev.refused = [("invoice.paid", "evt_1", 500, b"")] if self.sin == "webhook refused" else []
        ev.undone = [(failed[0]["id"], "charge")] if self.sin == "work left undone" else []
        ev.after_kill = [(failed[0]["id"], "charge")] if self.sin == "work resting after a kill" else []
        ev.dead = ["evt_2"] if self.sin == "event dead" else []
        if self.sin == "unknown route":
            self.call("GET", "/v1/balance")
        ev.strange, ev.exit_code = self.fake.strange, 1 if self.sin == "exit with 1" else 0
        return ev

    def case(self, ev, inv):
        status, detail = ("stopped", "disputed") if inv["fate"] == "disputed" else sorted(expected(ev, inv))[0]
        said = [e["said"] for e in self.book.of(inv["id"], "charge") if not e["ok"]][-1]
        kinds = {"insufficient_funds": "insufficient_funds", "lost_card": "lost_stolen", "expired_card": "expired",
                 "authentication_required": "authentication_required"}
        outcome = {"kind": status, {"recovered": "by", "exhausted": "then", "stopped": "why"}[status]: detail, "at": "x"}
        if status == "exhausted":
            outcome["reason"] = "terminal_decline"
        return {"id": "case_" + inv["id"], "connection": "stripe", "invoice_id": inv["id"], "customer_id": inv["customer"],
                "subscription_id": inv["subscription"], "status": status, "state": "closed", "outcome": outcome,
                "amount_due": {"amount_minor": inv["amount"], "currency": "EUR"}, "decline": {"kind": kinds[said]},
                "opened_at": "2026-03-02T00:00:00Z", "closed_at": "2026-03-09T00:00:00Z", "next_action": None}

    def lie_about_cases(self, ev, failed, paid):
        heals, lost = ev.cases[0], ev.cases[4]
        if self.sin == "no case":
            ev.cases.pop(0)
        elif self.sin == "two cases":
            ev.cases.append({**heals, "id": "case_again"})
        elif self.sin == "case for a paid renewal":
            ev.cases.append({**heals, "id": "case_more", "invoice_id": paid["id"]})
        elif self.sin == "case left open":
            heals.update(status="open", outcome=None, closed_at=None)
        elif self.sin == "wrong mechanism":
            heals["outcome"]["by"] = "customer"
        elif self.sin == "exhausted though paid":
            heals.update(status="exhausted", outcome={"kind": "exhausted", "reason": "attempts_spent", "then": "left_open"})
        elif self.sin == "wrong final action":
            lost["outcome"]["then"] = "left_open"
        elif self.sin == "wrong reason":
            lost["outcome"]["reason"] = "attempts_spent"
        elif self.sin == "wrong amount":
            heals["amount_due"]["amount_minor"] += 1
        elif self.sin == "wrong currency":
            heals["amount_due"]["currency"] = "USD"
        elif self.sin == "wrong decline":
            heals["decline"]["kind"] = "fraud"


def failing_checks(sin, version):
    client = Client(sin, version)
    try:
        return {name: faults for name, _, _, faults in judge(client.evidence()) if faults}
    finally:
        client.close()


def run():
    wrong = 0
    for version in (wire.OLD, wire.NEW):
        clean = failing_checks("", version)
        wrong += bool(clean)
        print("  %-4s API %s: the clean story passes every check %s" % ("ok" if not clean else "FAIL", version, clean or ""))
    for sin, check in SINS.items():
        caught = failing_checks(sin, wire.NEW)
        wrong += check not in caught
        print("  %-4s %-46s %s%s" % ("ok" if check in caught else "FAIL", sin, check, "" if check in caught else ": " + str(caught)))
    print("\n%d sins, %s" % (len(SINS), "each caught" if not wrong else "%d faults in the judge" % wrong))
    return 1 if wrong else 0
