"""What must hold besides the outside judge's checks, from the books, the webhooks that were acknowledged, and the tables."""

import collections
import csv
import io
import sqlite3
import subprocess

TABLES = {
    "inbox": "SELECT event_id, status, reason FROM inbox",
    "attempts": "SELECT id, case_id, origin, status, charge_id, started_at FROM attempts",
    "notifications": "SELECT id, case_id, step, message, status FROM notifications",
    "timeline": "SELECT case_id, seq, kind FROM timeline ORDER BY case_id, seq",
    "cases": "SELECT id, invoice_id, status, state FROM cases",
}
# Lines that may follow the end of a case.
AFTER_THE_END = {"notice_ended", "notice_queued", "late_recovery", "reversal", "attempt_seen", "attempt_answered", "staff", "warned",
                 "closed"}
# At most so many connections to the relay are in use, so so many mails can be lost sight of in one kill.
MAILS_AT_ONCE = 4


def read_tables(database):
    """The rows of the tables as dictionaries, read past the service."""
    if database.kind == "sqlite":
        link = sqlite3.connect(database.url.removeprefix("sqlite://"))
        link.row_factory = sqlite3.Row
        try:
            return {name: [dict(row) for row in link.execute(sql)] for name, sql in TABLES.items()}
        finally:
            link.close()
    tables = {}
    for name, sql in TABLES.items():
        done = subprocess.run(["psql", database.url, "-qX", "--csv", "-v", "ON_ERROR_STOP=1", "-c", sql], check=True,
                              stdout=subprocess.PIPE)
        tables[name] = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    return tables


def acked_events_are_kept(ev, tables, service):
    """each event that was answered 200 is in the inbox once, and ended"""
    found = collections.Counter(row["event_id"] for row in tables["inbox"])
    faults = [(None, "%s was answered 200 and is %d times in the inbox" % (event, found[event]))
              for event in service.acked if found[event] != 1]
    faults += [(None, "%s ends %s (%s)" % (row["event_id"], row["status"], row["reason"]))
               for row in tables["inbox"] if row["status"] not in ("processed", "ignored")]
    return len(service.acked), faults


def attempts_end(ev, tables, service):
    """each attempt ended, and each key that the provider saw is one of them"""
    ours = {row["id"]: row for row in tables["attempts"] if row["origin"] in ("us", "staff")}
    faults = [(None, "attempt %s is still open" % ident) for ident, row in ours.items() if row["status"] == "open"]
    faults += [(e["invoice"], "key %s is no attempt on record" % e["key"])
               for e in ev.book.entries if e["kind"] == "call" and e["key"] not in ours]
    good = {e["key"] for e in ev.book.entries if e["kind"] == "charge" and e["ok"] and e["key"]}
    said = {ident for ident, row in ours.items() if row["status"] == "succeeded"}
    faults += [(None, "attempt %s is %s, the provider charged it" % (key, ours[key]["status"])) for key in good - said if key in ours]
    faults += [(None, "attempt %s succeeded, the provider did not charge it" % key) for key in said - good]
    return len(ours), faults


def one_mail_a_step(ev, tables, service):
    """a mail for each message said to be sent, one at most for an unknown one, none for any other"""
    arrived = collections.Counter()
    known = {row["id"]: row for row in tables["notifications"]}
    faults = []
    for mail in ev.mails:
        ident = mail["message_id"].strip("<>").split("@")[0]
        arrived[ident] += 1
        if ident not in known:
            faults.append((None, "mail %r is on no record" % mail["message_id"]))
    fits = {"sent": (1,), "unknown": (0, 1)}
    faults += [(None, "message %s (%s) is %s, and %d mails arrived" % (ident, row["step"], row["status"], arrived[ident]))
               for ident, row in known.items() if arrived[ident] not in fits.get(row["status"], (0,))]
    faults += [(None, "message %s is still %s" % (ident, row["status"])) for ident, row in known.items()
               if row["status"] in ("pending", "sending")]
    return len(known), faults


def unknown_mails_bounded(ev, tables, service):
    """no more unknown mails than were on their way when the process died"""
    unknown = sum(row["status"] == "unknown" for row in tables["notifications"])
    bound = MAILS_AT_ONCE * len(service.deaths)
    return unknown, [(None, "%d unknown mails after %d deaths" % (unknown, len(service.deaths)))] if unknown > bound else []


def timelines_legal(ev, tables, service):
    """each case tells one beginning, one end, no gap, and nothing after the end but mails and late money"""
    invoice = {row["id"]: row["invoice_id"] for row in tables["cases"]}
    lines = collections.defaultdict(list)
    for row in tables["timeline"]:
        lines[row["case_id"]].append(row)
    faults = [(invoice[case], "case %s has no timeline" % case) for case in invoice if case not in lines]
    for case, rows in lines.items():
        kinds = [row["kind"] for row in rows]
        if [int(row["seq"]) for row in rows] != list(range(1, len(rows) + 1)):
            faults.append((invoice[case], "its timeline has gaps"))
        if kinds[0] != "opened" or kinds.count("opened") != 1 or kinds.count("closed") > 1:
            faults.append((invoice[case], "its timeline is %s" % kinds))
        if "closed" in kinds and set(kinds[kinds.index("closed"):]) - AFTER_THE_END:
            faults.append((invoice[case], "after its end: %s" % kinds[kinds.index("closed"):]))
    return len(lines), faults


CHECKS = [acked_events_are_kept, attempts_end, one_mail_a_step, unknown_mails_bounded, timelines_legal]


def fire_checks(ev, tables, service):
    return [(check.__name__, check.__doc__, *check(ev, tables, service)) for check in CHECKS]
