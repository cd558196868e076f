"""What must hold, checked against the fake's books, the mails that arrived, and what Recoup says of itself.

Each check takes the evidence and returns (how many things it looked at, [(invoice or None, what is wrong)]).
"""

import collections
import dataclasses
import re

from stripe_book import DAY, HOUR

DUNNING = {"payment_failed", "update_payment_method", "confirm_payment", "reminder", "final_notice"}
RECEIPT = "payment_received"
TERMINAL = {"lost_card", "stolen_card", "pickup_card", "fraudulent", "merchant_blacklist", "invalid_account",
            "revocation_of_authorization", "revocation_of_all_authorizations", "stop_payment_order"}
KINDS = {code: kind for kind, codes in {
    "insufficient_funds": "insufficient_funds", "limit": "card_velocity_exceeded withdrawal_count_limit_exceeded",
    "do_not_honor": "generic_decline do_not_honor call_issuer no_action_taken", "issuer_down": "issuer_not_available processing_error",
    "expired": "expired_card invalid_expiry_month invalid_expiry_year new_account_information_available",
    "invalid_account": "incorrect_cvc invalid_cvc incorrect_zip incorrect_address incorrect_number invalid_number invalid_account",
    "lost_stolen": "lost_card stolen_card pickup_card", "fraud": "fraudulent merchant_blacklist security_violation",
    "not_permitted": "restricted_card card_not_supported currency_not_supported service_not_allowed transaction_not_allowed not_permitted",
    "authentication_required": "authentication_required incorrect_pin pin_try_exceeded offline_pin_required",
    "revoked": "revocation_of_authorization revocation_of_all_authorizations stop_payment_order",
    "merchant_config": "duplicate_transaction invalid_amount testmode_decline"}.items() for code in codes.split()}
ENDS = ("paid", "cancelled", "voided", "uncollectible", "disputed", "final")
PARTS = ("all", "recovered", "exhausted", "stopped", "open")
RESEND_SECS_MAX = 20 * HOUR


@dataclasses.dataclass
class Evidence:
    book: object
    mails: list
    cases: list
    notes: dict = dataclasses.field(default_factory=dict)      # case id -> notifications
    timelines: dict = dataclasses.field(default_factory=dict)  # case id -> rows
    reports: dict = dataclasses.field(default_factory=dict)    # a name -> the rows of a report
    refused: list = dataclasses.field(default_factory=list)    # webhook deliveries not answered with 200
    sent: int = 0
    troubles: list = dataclasses.field(default_factory=list)
    strange: list = dataclasses.field(default_factory=list)
    followed: list = dataclasses.field(default_factory=list)
    dead: list = dataclasses.field(default_factory=list)
    exit_code: object = 0
    documented: tuple = (0, ())                                # answers held against the OpenAPI document
    paged: tuple = (0, ())                                     # lists in pages and by filter
    recomputed: tuple = (0, ())                                # figures of reports computed again from the exported files
    drained: int = 0                                           # how often we looked whether an advance left something undone
    killed: int = 0
    after_kill: list = dataclasses.field(default_factory=list)
    undone: list = dataclasses.field(default_factory=list)

    def failed(self):
        return [inv for inv in self.book.invoices.values() if inv["fate"]]

    def cases_of(self, invoice):
        return sorted((case for case in self.cases if case["invoice_id"] == invoice), key=lambda case: case["opened_at"])

    def ends(self, inv):
        """The decisive facts. A dispute of last month's payment is not one of this invoice's: `dispute_before` judges it."""
        return [e for e in self.book.of(inv["id"], *ENDS) if e["kind"] != "disputed" or e["own"]]

    def mails_of(self, inv):
        return [mail for mail in self.mails if mail["to"] == inv["email"]]

    def template(self, mail):
        """The message a mail belongs to, as Recoup's own record of notifications names it."""
        for rows in self.notes.values():
            for note in rows:
                if str(note.get("id")) in mail["message_id"] or (
                        note.get("recipient") == mail["to"] and subject_of(note) == mail["subject"]):
                    return note.get("template")
        return None


def subject_of(note):
    inner = [v for v in note.values() if isinstance(v, dict)]
    return note.get("subject") or next((v["subject"] for v in inner if v.get("subject")), None)


def first(rows):
    return rows[0] if rows else None


# -- money -------------------------------------------------------------------------------------------------------------

def one_success(ev):
    """no invoice is charged successfully twice"""
    faults = []
    for ident in ev.book.invoices:
        good = [e for e in ev.book.of(ident, "charge") if e["ok"]] + [e for e in ev.book.of(ident, "paid") if e["how"] == "out_of_band"]
        if len(good) > 1:
            faults.append((ident, "paid %d times" % len(good)))
    return len(ev.book.invoices), faults


def no_charge_after_end(ev):
    """no charge call after payment, cancellation, void, write-off, dispute of the payment, or our own final action"""
    n, faults = 0, []
    for inv in ev.failed():
        end = first(ev.ends(inv))
        begun = {}
        for e in ev.book.of(inv["id"], "call", "charge"):
            n += e["kind"] == "call"
            if e["kind"] == "call":
                begun.setdefault(e["key"], e["seq"])
            if not end or e["seq"] < end["seq"]:
                continue
            if e["kind"] == "call" and begun[e["key"]] > end["seq"]:
                faults.append((inv["id"], "a new charge call %s after it was %s" % (e["key"], end["kind"])))
            if e["kind"] == "charge" and e["by"] == "recoup":
                faults.append((inv["id"], "the card was charged after it was %s" % end["kind"]))
    return n, faults


def dispute_before(ev):
    """no charge call and no dunning mail once the customer disputes last month's payment of the subscription"""
    n, faults = 0, []
    for inv in ev.failed():
        told = first([e for e in ev.book.of(inv["id"], "disputed") if not e["own"]])
        if not told:
            continue
        n += 1
        calls = [e for e in ev.book.of(inv["id"], "call") if e["seq"] > told["seq"]]
        mails = [m for m in ev.mails_of(inv) if m["seq"] > told["seq"] and ev.template(m) in DUNNING]
        if calls or mails:
            faults.append((inv["id"], "%d charge calls and %d dunning mails after the dispute" % (len(calls), len(mails))))
        for case in ev.cases_of(inv["id"]):
            if (case.get("outcome") or {}).get("why") != "disputed":
                faults.append((inv["id"], "outcome %s, not stopped by the dispute" % case.get("outcome")))
    return n, faults


def no_terminal_card(ev):
    """no charge of a card after its terminal decline"""
    n, faults = 0, []
    for inv in ev.failed():
        dead = set()
        for e in ev.book.of(inv["id"], "charge"):
            n += 1
            if e["pm"] in dead and e["by"] == "recoup":
                faults.append((inv["id"], "charged %s again, which was declined for good" % e["pm"]))
            if e["said"] in TERMINAL:
                dead.add(e["pm"])
    return n, faults


def no_blind_authentication(ev):
    """no off-session charge of a card whose bank asked for the customer"""
    n, faults = 0, []
    for inv in ev.failed():
        asked = set()
        for e in ev.book.of(inv["id"], "charge"):
            n += e["said"] == "authentication_required"
            if e["pm"] in asked and e["by"] == "recoup":
                faults.append((inv["id"], "charged %s off-session again" % e["pm"]))
            if e["said"] == "authentication_required":
                asked.add(e["pm"])
    return n, faults


def unknown_keeps_key(ev):
    """after an unknown answer the same key, and no second key while it is unresolved"""
    n, faults = 0, []
    for inv in ev.failed():
        open_key, born = None, {}
        for e in ev.book.of(inv["id"], "call", "read", "paid"):
            if e["kind"] == "call":
                born.setdefault(e["key"], e["t"])
                if open_key and e["key"] != open_key["key"]:
                    faults.append((inv["id"], "key %s while %s (%s) is unresolved" % (e["key"], open_key["key"], open_key["answer"])))
                n += e["unknown"]
                if e["unknown"]:
                    # A key ages from its first sending, also where a read between two sendings settled it.
                    open_key = {"key": e["key"], "answer": e["answer"], "t": born[e["key"]]}
                elif open_key and e["answer"] not in (409, 429):
                    open_key = None
            elif open_key and e["kind"] == "read" and resolves(open_key, e):
                open_key = None
    return n, faults


def resolves(unknown, read):
    """A read settles it when it shows the end; when the provider itself had answered 500; or when the key is too old to send."""
    return read["status"] != "open" or unknown["answer"] == 500 or read["t"] - unknown["t"] >= RESEND_SECS_MAX


def keys_in_order(ev):
    """every charge call has a key of its own attempt, off_session=true, and no key is sent after 20 hours"""
    n, faults, owner, born = 0, [], {}, {}
    for e in ev.book.entries:
        if e["kind"] != "call":
            continue
        n += 1
        key = e["key"]
        if not key or e["off_session"] != "true":
            faults.append((e["invoice"], "key %r, off_session %r" % (key, e["off_session"])))
        if owner.setdefault(key, e["invoice"]) != e["invoice"]:
            faults.append((e["invoice"], "key %s belongs to %s" % (key, owner[key])))
        if e["t"] - born.setdefault(key, e["t"]) > RESEND_SECS_MAX + HOUR:
            faults.append((e["invoice"], "key %s sent again after %d hours" % (key, (e["t"] - born[key]) // HOUR)))
    settled = collections.defaultdict(list)
    for e in ev.book.entries:
        if e["kind"] == "charge" and e["key"]:
            settled[e["key"]].append(e)
    faults += [(rows[0]["invoice"], "key %s charged %d times" % (key, len(rows))) for key, rows in settled.items() if len(rows) > 1]
    return n, faults


def new_card_used(ev):
    """after a new card the next charge uses it, within a week"""
    n, faults = 0, []
    for inv in ev.failed():
        card = first(ev.book.of(inv["id"], "card"))
        end = first(ev.ends(inv))
        if not card or (end and end["seq"] < card["seq"]):
            continue
        n += 1
        after = [e for e in ev.book.of(inv["id"], "charge") if e["seq"] > card["seq"] and e["by"] == "recoup"]
        if not after:
            faults.append((inv["id"], "the new card was never charged"))
        elif after[0]["pm"] != card["pm"]:
            faults.append((inv["id"], "charged %s, the new card is %s" % (after[0]["pm"], card["pm"])))
        elif after[0]["t"] - card["t"] > 7 * DAY:
            faults.append((inv["id"], "charged the new card only after %d days" % ((after[0]["t"] - card["t"]) // DAY)))
    return n, faults


# -- mails -------------------------------------------------------------------------------------------------------------

def no_mail_after_payment(ev):
    """no dunning mail after payment; one receipt at most"""
    n, faults = 0, []
    asking = asking_subjects(ev)
    for inv in ev.failed():
        paid = first(ev.book.of(inv["id"], "paid"))
        receipts = 0
        for mail in ev.mails_of(inv):
            n += 1
            if not paid or mail["seq"] < paid["seq"]:
                continue
            kind = ev.template(mail)
            receipts += kind == RECEIPT
            if kind != RECEIPT:
                faults.append((inv["id"], "mail %r (%s) after payment" % (mail["subject"], kind)))
            elif shape_of(mail["subject"]) in asking:
                faults.append((inv["id"], "the receipt %r has the subject of a mail that asks for money" % mail["subject"]))
        if receipts > 1:
            faults.append((inv["id"], "%d receipts" % receipts))
    return n, faults


def shape_of(subject):
    """A subject without its figures."""
    return re.sub(r"[\d.,]+", "#", subject)


def asking_subjects(ev):
    """Subjects of mails that came while money was owed: known without believing Recoup's own record."""
    out = set()
    for inv in ev.failed():
        paid = first(ev.book.of(inv["id"], "paid"))
        out |= {shape_of(m["subject"]) for m in ev.mails_of(inv) if not paid or m["seq"] < paid["seq"]}
    return out


def no_mail_after_stop(ev):
    """no dunning mail after cancellation, void or write-off"""
    n, faults = 0, []
    for inv in ev.failed():
        end = first(ev.book.of(inv["id"], "cancelled", "voided", "uncollectible"))
        if not end:
            continue
        for mail in ev.mails_of(inv):
            n += 1
            if mail["seq"] > end["seq"] and ev.template(mail) not in (RECEIPT, "subscription_ended"):
                faults.append((inv["id"], "mail %r (%s) after it was %s" % (mail["subject"], ev.template(mail), end["kind"])))
    return n, faults


def mails_are_theirs(ev):
    """mails go only to customers with a failed invoice, none twice, under one Message-ID"""
    known = {inv["email"]: inv for inv in ev.failed()}
    faults, ids = [], collections.Counter(mail["message_id"] for mail in ev.mails)
    for mail in ev.mails:
        if mail["to"] not in known:
            faults.append((None, "mail %r to %s, who owes nothing" % (mail["subject"], mail["to"])))
    faults += [(None, "%d mails with Message-ID %r" % (n, ident)) for ident, n in ids.items() if n > 1 or not ident]
    same = collections.Counter((mail["to"], mail["subject"], mail["text"]) for mail in ev.mails)
    faults += [(known.get(to, {}).get("id"), "mail %r came %d times, word for word" % (subject, n))
               for (to, subject, _), n in same.items() if n > 1]
    return len(ev.mails), faults


def mail_dates(ev):
    """the Date of a mail is the test clock's"""
    faults = []
    for mail in ev.mails:
        if mail["date"] is None or not mail.get("earliest", 0) <= mail["date"] <= mail["t"]:
            faults.append((None, "mail %r dated %s, arrived at %s" % (mail["subject"], mail["date"], mail["t"])))
    return len(ev.mails), faults


def mails_recorded(ev):
    """every mail that arrived is a notification, and every one said to be sent arrived"""
    faults = [(None, "mail %r to %s is in no list of notifications" % (mail["subject"], mail["to"]))
              for mail in ev.mails if ev.template(mail) is None]
    said = collections.Counter(note.get("status") for rows in ev.notes.values() for note in rows)
    if not said["sent"] <= len(ev.mails) <= said["sent"] + said["unknown"]:
        faults.append((None, "notifications %s, %d mails arrived" % (dict(said), len(ev.mails))))
    return len(ev.mails), faults


def links_lead(ev):
    """the link in a mail about 3-D Secure leads to the invoice's page"""
    faults = [(ident, "links of %r: %s" % (subject, links)) for ident, subject, led, links in ev.followed if not led]
    wanted = [inv for inv in ev.failed() if inv["fate"] == "sca_by_mail"]
    told = {row[0] for row in ev.followed}
    faults += [(inv["id"], "no mail came") for inv in wanted if inv["id"] not in told]
    return len(wanted), faults


# -- cases -------------------------------------------------------------------------------------------------------------

def one_case_each(ev):
    """every failed invoice has exactly one case, and nothing else has one"""
    faults = []
    for inv in ev.failed():
        found = len(ev.cases_of(inv["id"]))
        linked = inv["fate"] == "paid_then_disputed" and found == 2    # money clawed back opens a linked case
        if found != 1 and not linked:
            faults.append((inv["id"], "%d cases" % found))
    failed = {inv["id"] for inv in ev.failed()}
    faults += [(None, "a case for %s, which never failed" % case["invoice_id"]) for case in ev.cases if case["invoice_id"] not in failed]
    return len(failed), faults


def all_closed(ev):
    """every case is closed at the end"""
    return len(ev.cases), [(case["invoice_id"], "still %s (%s), next %s" % (case["status"], case.get("state"), case.get("next_action")))
                           for case in ev.cases if case["status"] == "open" or not case.get("outcome") or not case.get("closed_at")]


def expected(ev, inv):
    """What the books imply: a set of fitting (status, detail) pairs. The first decisive fact wins."""
    fact = first(ev.ends(inv))
    if fact is None:
        return {("exhausted", then) for then in ("left_open", "unpaid")}
    if fact["kind"] == "paid":
        if fact["how"] != "recoup":
            return {("recovered", fact["how"])}
        charges = [e for e in ev.book.of(inv["id"], "charge")]
        good = next(e for e in charges if e["ok"])
        return {("recovered", "retry" if good["pm"] == charges[0]["pm"] else "card_update")}
    if fact["kind"] == "final":
        return {("exhausted", fact["then"])}
    return {("stopped", {"cancelled": "customer_cancelled", "voided": "voided", "uncollectible": "written_off",
                         "disputed": "disputed"}[fact["kind"]])}


def outcomes(ev):
    """the outcome of every case is the one that the books imply"""
    faults = []
    for inv in ev.failed():
        for case in ev.cases_of(inv["id"])[:1]:
            if inv["fate"] == "disputed":
                continue
            outcome = case.get("outcome") or {}
            said = (case["status"], outcome.get("by") or outcome.get("then") or outcome.get("why"))
            if said not in expected(ev, inv) or outcome.get("kind") != case["status"]:
                faults.append((inv["id"], "says %s, the books say %s (%s)" % (said, sorted(expected(ev, inv)), inv["fate"])))
    return len(ev.failed()), faults


def reasons(ev):
    """an exhausted case names the right reason"""
    n, faults = 0, []
    for inv in ev.failed():
        for case in ev.cases_of(inv["id"])[:1]:
            if case["status"] != "exhausted":
                continue
            n += 1
            said = [e["said"] for e in ev.book.of(inv["id"], "charge")]
            reason = case["outcome"].get("reason")
            fits = {"terminal_decline"} if set(said) & TERMINAL else {"attempts_spent"} if set(said) <= {"insufficient_funds", "generic_decline"} \
                else {"attempts_spent", "terminal_decline"}
            if reason not in fits:
                faults.append((inv["id"], "reason %s after %s" % (reason, said)))
    return n, faults


def facts_of_cases(ev):
    """a case shows the invoice's customer, subscription, amount and last decline"""
    faults = []
    for inv in ev.failed():
        for case in ev.cases_of(inv["id"])[:1]:
            said = [e["said"] for e in ev.book.of(inv["id"], "charge") if not e["ok"]]
            want = {"customer_id": inv["customer"], "subscription_id": inv["subscription"], "connection": "stripe",
                    "amount_due": {"amount_minor": inv["amount"], "currency": inv["currency"].upper()}}
            got = {name: case.get(name) for name in want}
            if got != want:
                faults.append((inv["id"], "shows %s instead of %s" % (got, want)))
            kind = (case.get("decline") or {}).get("kind")
            if kind != KINDS[said[-1]]:
                faults.append((inv["id"], "decline kind %s after %s" % (kind, said)))
    return len(ev.failed()), faults


# -- reports and the rest ----------------------------------------------------------------------------------------------

def own_sums(ev):
    """Per currency: all, recovered, exhausted, stopped, each with cases and amount, from the books alone."""
    sums = {}
    for inv in ev.failed():
        row = sums.setdefault(inv["currency"].upper(), {name: {"cases": 0, "amount_minor": 0} for name in PARTS})
        status = next(iter(expected(ev, inv)))[0]
        if inv["fate"] == "disputed" and ev.cases_of(inv["id"]):
            status = ev.cases_of(inv["id"])[0]["status"]    # judged by dispute_before
        for name in ("all", status):
            row[name]["cases"] += 1
            row[name]["amount_minor"] += inv["amount"]
    return sums


def shown_sums(rows):
    """The same from the rows of a report."""
    sums = {}
    for row in rows:
        out = sums.setdefault(row["currency"], {name: {"cases": 0, "amount_minor": 0} for name in PARTS})
        for name in PARTS:
            for unit in out[name]:
                out[name][unit] += row[name][unit]
    return sums


def report_sums(ev):
    """the recovery report has our own sums per currency, in its rows, its totals, by day and by week"""
    own, n, faults = own_sums(ev), 0, []
    for name, rows in ev.reports.items():
        n += len(rows) if isinstance(rows, list) else 1
        try:
            shown = shown_sums(rows)
        except (KeyError, TypeError) as trouble:
            faults.append((None, "report %s cannot be read (%r): %s" % (name, trouble, str(rows)[:300])))
            continue
        for currency in sorted(set(own) | set(shown)):
            if own.get(currency) != shown.get(currency):
                got, want = shown.get(currency, {}), own.get(currency, {})
                differ = ["%s %s instead of %s" % (part, got.get(part), want.get(part)) for part in PARTS if got.get(part) != want.get(part)]
                faults.append((None, "report %s, %s: %s" % (name, currency, "; ".join(differ))))
    return n, faults


def webhooks_taken(ev):
    """every webhook is answered with 200, twice or late as it may come, and none ends dead"""
    faults = [(None, "%s %s answered %s %r" % row) for row in ev.refused] + [(None, "dead: %s" % row) for row in ev.dead]
    return ev.sent, faults


def answers_as_documented(ev):
    """answers of the API fit its own OpenAPI document"""
    return ev.documented


def lists_agree(ev):
    """pages and filters of the list of cases agree with the whole list"""
    return ev.paged


def reports_recomputed(ev):
    """each figure of recovery, times, churn, funnel, charges and ages is the one that an independent program computes from the exported files"""
    return ev.recomputed


def advance_drains(ev):
    """when an advance has answered, no open case has an action that was due before"""
    return ev.drained, list(dict(reversed(ev.undone)).items())


def advance_after_kill(ev):
    """the first advance after a SIGKILL, too, answers only when all that is due is done"""
    return ev.killed, list(dict(reversed(ev.after_kill)).items())


def clock_and_calls(ev):
    """advancing works, only known routes of the provider are called, SIGTERM ends with 0"""
    faults = [(None, text) for text in ev.troubles] + [(None, "called " + text) for text in sorted(set(ev.strange))]
    if ev.exit_code != 0:
        faults.append((None, "exit code %s after SIGTERM" % ev.exit_code))
    return 1, faults


CHECKS = [one_success, no_charge_after_end, dispute_before, no_terminal_card, no_blind_authentication, unknown_keeps_key, keys_in_order,
          new_card_used, no_mail_after_payment, no_mail_after_stop, mails_are_theirs, mail_dates, mails_recorded, links_lead,
          one_case_each, all_closed, outcomes, reasons, facts_of_cases, report_sums, webhooks_taken, advance_drains, advance_after_kill,
          answers_as_documented, lists_agree, reports_recomputed,
          clock_and_calls]


def judge(ev):
    """[(check's name, its words, N, faults)]"""
    return [(check.__name__, check.__doc__, *check(ev)) for check in CHECKS]
