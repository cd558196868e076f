"""The judge judged: a clean story must pass every check, and each sin in its books must fail the check that is meant for it."""

import types

import stripe_wire as wire
from books import fire_checks
from judge import judge
from replicas import attempts_after_close, late_mails, needless
from selftest import Client
from stripe_book import DAY


def acked(ev, tables, service):
    service.acked["evt_lost"] = b"accepted"


def double(name):
    return lambda ev, tables, service: tables[name].append(dict(tables[name][0]))


def change(name, **values):
    return lambda ev, tables, service: tables[name][0].update(values)


def without(name):
    return lambda ev, tables, service: tables[name].pop(0)


def double_charge(ev, tables, service):
    paid = next(inv for inv in ev.book.invoices.values() if inv["paid_how"] == "recoup")
    ev.book.charge(paid, "recoup", willing=True)


def no_case(ev, tables, service):
    ev.cases.pop(0)


def mail_again(ev, tables, service):
    ev.mails.append(dict(ev.mails[0]))


def too_many_unknown(ev, tables, service):
    tables["notifications"] += [{"id": "ntf9%04d" % n, "case_id": "x", "step": "s", "message": "reminder", "status": "unknown"}
                                for n in range(1000)]


def after_the_end(kind):
    def sin(ev, tables, service):
        rows = tables["timeline"]
        rows.append({"case_id": rows[0]["case_id"], "seq": 1 + sum(row["case_id"] == rows[0]["case_id"] for row in rows), "kind": kind})
    return sin


def late_attempt(ev, tables, service):
    tables["attempts"][0]["started_at"] = 10 ** 15


def late_mail(ev, tables, service):
    mail = next(mail for mail in ev.mails if ev.template(mail) == "payment_failed")
    ev.mails.append({**mail, "t": mail["t"] + 400 * DAY, "message_id": "<x@y>"})


def forgotten_open(ev, tables, service):
    """No case, and the failure was not even ignored."""
    inv = ev.failed()[0]
    ev.cases = [case for case in ev.cases if case["invoice_id"] != inv["id"]]


# sin: (how, the check that must catch it)
SINS = {
    "a double charge": (double_charge, "one_success"), "an invoice without a case": (no_case, "one_case_each"),
    "an event lost after its 200": (acked, "acked_events_are_kept"), "an event twice": (double("inbox"), "acked_events_are_kept"),
    "an event never worked on": (change("inbox", status="pending"), "acked_events_are_kept"),
    "an event dead": (change("inbox", status="dead"), "acked_events_are_kept"),
    "an attempt left open": (change("attempts", status="open"), "attempts_end"),
    "a charge without an attempt": (without("attempts"), "attempts_end"),
    "a success that is not recorded": (change("attempts", status="declined"), "attempts_end"),
    "a success that never was": (lambda ev, tables, service: tables["attempts"].append(
        {**tables["attempts"][0], "id": "k999", "status": "succeeded"}), "attempts_end"),
    "the same mail twice": (mail_again, "one_mail_a_step"), "a mail on no record": (without("notifications"), "one_mail_a_step"),
    "a mail said to be held back": (change("notifications", status="superseded"), "one_mail_a_step"),
    "a mail never sent": (lambda ev, tables, service: ev.mails.pop(), "one_mail_a_step"),
    "a mail still on its way": (change("notifications", status="sending"), "one_mail_a_step"),
    "a thousand unknown mails": (too_many_unknown, "unknown_mails_bounded"),
    "a gap in a timeline": (change("timeline", seq=5), "timelines_legal"),
    "a second end": (after_the_end("closed"), "timelines_legal"), "a plan after the end": (after_the_end("planned"), "timelines_legal"),
    "an attempt after the end": (late_attempt, "attempts_after_close"), "a mail long after the end": (late_mail, "late_mails"),
    "a failure nobody looked at": (forgotten_open, "needless"),
}


def story():
    """A clean story with the tables that a service would have left: (client, evidence, tables, service)."""
    client = Client("", wire.NEW)
    ev = client.evidence()
    good = {e["key"] for e in ev.book.entries if e["kind"] == "charge" and e["ok"] and e["key"]}
    case = {inv["id"]: "case_" + inv["id"] for inv in ev.failed()}
    keys = {e["key"]: e["invoice"] for e in ev.book.entries if e["kind"] == "call"}
    events = [e["id"] for e in ev.book.events]
    sent = lambda note: {"id": note["id"], "case_id": "x", "step": note["id"], "message": note["template"], "status": "sent"}  # noqa: E731
    tables = {
        "inbox": [{"event_id": event, "status": "processed", "reason": None} for event in events],
        "attempts": [{"id": key, "case_id": case[inv], "origin": "us", "status": "succeeded" if key in good else "declined",
                      "charge_id": None, "started_at": 0} for key, inv in keys.items()],
        "notifications": [sent(note) for note in client.notes],
        "timeline": [{"case_id": ident, "seq": seq + 1, "kind": kind} for ident in case.values()
                     for seq, kind in enumerate(("opened", "planned", "closed"))],
        "cases": [{"id": ident, "invoice_id": inv, "status": "recovered", "state": "closed"} for inv, ident in case.items()],
    }
    # The first attempt on record is one that brought money, so that a sin against it shows.
    tables["attempts"].sort(key=lambda row: row["status"] != "succeeded")
    service = types.SimpleNamespace(acked={event: b"accepted" for event in events}, deaths=[("random", 0)])
    return client, ev, tables, service


def failing(sin):
    client, ev, tables, service = story()
    try:
        sin(ev, tables, service)
        found = {name for name, _, _, faults in judge(ev) + fire_checks(ev, tables, service) if faults}
        found |= {"attempts_after_close"} if attempts_after_close(ev, tables)[1] else set()
        found |= {"late_mails"} if late_mails(ev)[1] else set()
        found |= {"needless"} if needless(ev, tables)[1] else set()
        return found
    finally:
        client.close()


def run():
    clean = failing(lambda *_: None)
    print("  %-4s the clean story passes every check %s" % ("ok" if not clean else "FAIL", clean or ""))
    wrong = bool(clean)
    for name, (sin, check) in SINS.items():
        caught = failing(sin)
        wrong += check not in caught
        print("  %-4s %-34s %s%s" % ("ok" if check in caught else "FAIL", name, check, "" if check in caught else ": %s" % caught))
    print("\n%d sins, %s" % (len(SINS), "each caught" if not wrong else "%d faults in the judge" % wrong))
    return 1 if wrong else 0
