"""The outside judge of Recoup: drives the real binary by its contract alone and prints a table of checks.

    python3 tests/outside/run.py --binary PATH [--database sqlite|postgres|both] [--shape old|new|both]
                                 [--seed N] [--failures 60] [--days 45] [--kills 1] [--skip-intake]
    python3 tests/outside/run.py --self-test

Needs Python 3.11 with the package duckdb and, for PostgreSQL, psql; RECOUP_TEST_POSTGRES names the server.
"""

import argparse
import os
import random
import shutil
import sys
import time

sys.dont_write_bytecode = True    # leave no traces beside the sources

import stripe_wire as wire
from driver import ADMIN_KEY, API_KEY, START, Database, Drive, Recoup, rfc3339
from intake import Intake
from judge import Evidence, judge
from schema import check_answers
from smtp_sink import Sink
from stripe_book import DAY, Book
from stripe_fake import Fake
from world import Postman, World

STORIES_MAX = 12


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary")
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="sqlite")
    parser.add_argument("--shape", choices=("old", "new", "both"), default="both")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--failures", type=int, default=60)
    parser.add_argument("--days", type=int, default=45)
    parser.add_argument("--kills", type=int, default=1, help="how often the process is killed in the middle of its charges")
    parser.add_argument("--skip-intake", action="store_true")
    parser.add_argument("--keep-log", metavar="FILE", help="copy the service's log there")
    parser.add_argument("--self-test", action="store_true", help="try the judge on clients that commit each sin")
    return parser.parse_args()


def setting(version, seed):
    book = Book(version, START, seed)
    return book, Fake(book, API_KEY), Sink(book.tick)


def play(binary, kind, version, options, title):
    """The long story. Returns (evidence, checks)."""
    book, fake, sink = setting(version, options.seed)
    world, postman = World(book, options.failures, options.days, options.seed), Postman(book, options.seed)
    database = Database(kind)
    recoup = Recoup(binary, database.url, fake.base, sink.port)
    drive = Drive(recoup, book, sink, world, postman, title)
    drive.strange = fake.strange
    try:
        drive.plan_breaks(options.kills, random.Random(options.seed))
        drive.run()
        evidence = gather(recoup, book, sink, drive)
        evidence.exit_code = recoup.stop()
        count = lambda kind: sum(e["kind"] == kind for e in book.entries)  # noqa: E731
        print("  %s: %s to %s, %d invoices, %d charge calls, %d event lists read, %d mails, %d webhooks (%d twice, %d late, %d lost),\n"
              "  %d deeds a minute before an action, %d kills (work rested %.0f s at most), API version asked for: %s, slowest step %.1f s at %s" % (
                  title, rfc3339(world.start)[:10], rfc3339(drive.ended)[:10], len(book.invoices), count("call"), count("sweep"),
                  len(sink.mails), postman.sent, postman.twice, postman.delayed, postman.lost, world.sneaked, drive.killed, drive.rested,
                  fake.pinned, *drive.slowest))
        return evidence, judge(evidence)
    finally:
        recoup.stop()
        if options.keep_log:
            shutil.copyfile(recoup.log.name, options.keep_log)
        recoup.remove()
        fake.close()
        sink.close()
        database.drop()


def gather(recoup, book, sink, drive):
    troubles = list(drive.troubles)

    def rows(path):
        found, trouble = recoup.all(path)
        if trouble:
            troubles.append(trouble)
        return found

    cases = rows("/v1/cases")
    notes = {case["id"]: rows("/v1/notifications?case_id=" + case["id"]) for case in cases}
    timelines = {case["id"]: rows("/v1/cases/%s/timeline" % case["id"]) for case in cases}
    reports = {}
    span = "from=%s&to=%s" % (rfc3339(START - DAY)[:10], rfc3339(drive.ended + DAY)[:10])
    for cohort in ("month", "week", "day"):
        status, _, shown = recoup.api("GET", "/v1/reports/recovery?%s&cohort=%s" % (span, cohort))
        ok = status == 200 and isinstance(shown, dict)
        reports["rows by " + cohort] = shown.get("rows") if ok else "%s %r" % (status, shown)
        if cohort == "month" and ok:
            reports["totals"] = shown.get("totals")
    return Evidence(book=book, mails=sink.mails, cases=cases, notes=notes, timelines=timelines, reports=reports,
                    refused=drive.postman.refused, sent=drive.postman.sent, troubles=troubles + sink.strange,
                    strange=list(drive.strange), followed=drive.world.followed, dead=rows("/v1/inbox?status=dead"),
                    documented=check_answers(recoup, cases), paged=check_pages(recoup, cases), recomputed=recompute(recoup),
                    drained=drive.drained, undone=drive.undone, killed=drive.killed, after_kill=drive.after_kill)


def recompute(recoup):
    """The reports of the whole story against the exported files. Returns (figures, faults)."""
    import recompute as independent  # DuckDB is needed for this alone
    _, figures, faults = independent.compare("http://" + recoup.host, ADMIN_KEY)
    return figures, [(None, fault) for fault in faults]


def check_pages(recoup, cases):
    """Small pages and filters show the same cases as one long list. Returns (how many lists, faults)."""
    faults, ids = [], {case["id"] for case in cases}
    rows, cursor, turns = [], "", 0
    while cursor is not None and turns < 200:
        _, _, shown = recoup.api("GET", "/v1/cases?limit=7" + ("&cursor=" + cursor if cursor else ""))
        rows, cursor, turns = rows + [row["id"] for row in shown["data"]], shown["next_cursor"], turns + 1
    if len(rows) != len(ids) or set(rows) != ids:
        faults.append((None, "pages of 7 show %d rows, %d cases, of %d" % (len(rows), len(set(rows)), len(ids))))
    lists = 1
    for name, value in (("status", lambda c: c["status"]), ("customer_id", lambda c: c["customer_id"]),
                        ("invoice_id", lambda c: c["invoice_id"]), ("decline_kind", lambda c: (c["decline"] or {}).get("kind"))):
        for wanted in sorted({value(case) for case in cases if value(case)})[:15]:
            lists += 1
            found, trouble = recoup.all("/v1/cases?%s=%s" % (name, wanted))
            if trouble or {c["id"] for c in found} != {c["id"] for c in cases if value(c) == wanted}:
                faults.append((None, "%s=%s shows %d cases; %s" % (name, wanted, len(found), trouble)))
    return lists, faults


def doors(binary, kind, options):
    book, fake, sink = setting(wire.OLD, options.seed)
    database = Database(kind)
    recoup = Recoup(binary, database.url, fake.base, sink.port)
    try:
        return Intake(recoup, book).run()
    finally:
        recoup.stop()
        recoup.remove()
        fake.close()
        sink.close()
        database.drop()


# -- printing ----------------------------------------------------------------------------------------------------------

def table(title, checks):
    print("\n%s" % title)
    for name, words, n, faults in checks:
        print("  %-4s %6d  %-24s %s" % ("ok" if not faults else "FAIL", n, name, words))
    return sum(bool(faults) for *_, faults in checks)


def stories(evidence, checks):
    """Each fault, and the whole story of its invoice once."""
    told = set()
    for name, _, _, faults in checks:
        for invoice, text in faults[:8]:
            print("\n  %s: %s%s" % (name, text, " [%s]" % invoice if invoice else ""))
            if invoice and evidence and invoice not in told and len(told) < STORIES_MAX:
                told.add(invoice)
                for line in story(evidence, invoice):
                    print("      " + line)
        if len(faults) > 8:
            print("\n  %s: and %d more: %s" % (name, len(faults) - 8, sorted({inv for inv, _ in faults[8:] if inv})[:20]))


def story(ev, invoice):
    """What the books, the mails and Recoup's own timeline tell of one invoice."""
    inv = ev.book.invoices[invoice]
    lines = ["%s, %s, %d %s, now %s" % (invoice, inv["fate"], inv["amount"], inv["currency"], inv["status"])]
    rows = [(e["seq"], e["t"], "books", {k: v for k, v in e.items() if k not in ("seq", "t", "kind", "invoice", "form") and v is not None},
             e["kind"]) for e in ev.book.of(invoice) if e["kind"] != "read"]
    rows += [(m["seq"], m["t"], "mail", {"subject": m["subject"], "is": ev.template(m)}, "mail") for m in ev.mails_of(inv)]
    for _, t, who, what, kind in sorted(rows, key=lambda row: row[0]):
        lines.append("%s %s %s %s" % (rfc3339(t), who, kind, what))
    for case in ev.cases_of(invoice):
        lines.append("case %s: %s, %s, outcome %s, next %s" % (case["id"], case["status"], case.get("state"), case.get("outcome"),
                                                               case.get("next_action")))
        for row in ev.timelines.get(case["id"], []):
            lines.append("  recoup " + " ".join("%s=%s" % (k, v) for k, v in row.items() if k not in ("id", "case_id") and v not in (None, {}))[:260])
    return lines


def main():
    options = arguments()
    if options.self_test:
        import selftest
        return selftest.run()
    if not options.binary:
        raise SystemExit("--binary PATH is missing")
    binary = os.path.abspath(options.binary)
    kinds = ("sqlite", "postgres") if options.database == "both" else (options.database,)
    shapes = {"old": (wire.OLD,), "new": (wire.NEW,), "both": (wire.OLD, wire.NEW)}[options.shape]
    failed, began = 0, time.monotonic()
    for kind in kinds:
        if not options.skip_intake:
            checks = doors(binary, kind, options)
            failed += table("Doors, " + kind, checks)
            stories(None, checks)
        for version in shapes:
            title = "%s, API %s, seed %d" % (kind, version, options.seed)
            evidence, checks = play(binary, kind, version, options, title)
            failed += table(title, checks)
            stories(evidence, checks)
    print("\n%s in %d s" % ("all checks hold" if not failed else "%d checks fail" % failed, time.monotonic() - began))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
