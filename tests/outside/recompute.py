"""Computes recovery, times, churn, funnel, charges and ages of a service again from the files that it exports, and compares.

    python3 tests/outside/recompute.py --base http://127.0.0.1:8080 --key KEY [--from 2026-01-01 --to 2026-04-01]

It knows the exported columns and the definitions of the figures, and nothing of the service's code; sums are made by DuckDB. Counts and
money must be equal, rates equal to their last printed digit, and shares of the curve equal to 1e-9. It needs the package `duckdb`.
Exit code 0 when all figures agree, else 1 with a line for each that does not.
"""

import argparse
import datetime
import json
import math
import os
import sys
import tempfile
import urllib.parse
import urllib.request

import duckdb

# What the recovery report is split by, and what that is in the file; `?` where nothing stands for what is not known.
SPLITS = {
    "none": None, "connection": "connection", "outcome": "status",
    "decline_kind": "?decline_kind", "decline_code": "?decline_code", "network": "?network", "country": "?country",
    "funding": "?funding", "plan": "?plan", "amount": "?amount_band", "tenure": "?tenure_band", "campaign": "?campaign",
    "arm": "?arm", "collector": "?collector",
    "message": "-message", "step": "-step", "weekday": "-weekday", "hour": "-hour",
    "attempt": "-CASE WHEN status = 'recovered' THEN CAST(attempts AS VARCHAR) END",
}
COHORTS = {"month": "strftime(CAST(day AS DATE), '%Y-%m')", "week": "strftime(CAST(day AS DATE), '%G-W%V')", "day": "day"}
TOLERANCE = 1e-9


class Service:
    """The API of the service, as a client with a key sees it."""

    def __init__(self, base, key):
        self.base, self.key = base.rstrip("/"), key

    def get(self, path, **query):
        query = {name: value for name, value in query.items() if value is not None}
        url = self.base + path + ("?" + urllib.parse.urlencode(query) if query else "")
        asked = urllib.request.Request(url, headers={"Authorization": "Bearer " + self.key})
        with urllib.request.urlopen(asked, timeout=300) as answer:
            return answer.read()

    def json(self, path, **query):
        return json.loads(self.get(path, **query))


def group_of(split):
    """The SQL of the group of a case."""
    if split is None:
        return "NULL"
    if split[0] == "?":
        return "COALESCE(%s, 'unknown')" % split[1:]
    return "COALESCE(%s, 'none')" % split[1:] if split[0] == "-" else split


def rate(part, whole):
    """A share in hundredths of a percent, halves up; none of nothing."""
    if whole <= 0:
        return None
    parts = (part * 20000 + whole) // (whole * 2)
    sign = "-" if parts < 0 else ""
    return {"parts_per_10k": parts, "percent": "%s%d.%02d" % (sign, abs(parts) // 100, abs(parts) % 100)}


SUMS = """
    COUNT(*) AS cases, SUM(amount_minor) AS amount,
    COUNT(*) FILTER (status = 'recovered') AS recovered, SUM(recovered_minor) FILTER (status = 'recovered') AS recovered_minor,
    COUNT(*) FILTER (status = 'exhausted') AS exhausted, SUM(amount_minor) FILTER (status = 'exhausted') AS exhausted_minor,
    COUNT(*) FILTER (status = 'stopped') AS stopped, SUM(amount_minor) FILTER (status = 'stopped') AS stopped_minor,
    COUNT(*) FILTER (status = 'open') AS open, SUM(amount_minor) FILTER (status = 'open') AS open_minor,
    COUNT(*) FILTER (status <> 'open') AS closed, SUM(amount_minor) FILTER (status <> 'open') AS closed_minor,
    COUNT(*) FILTER (retryable = 'yes') AS retryable, SUM(amount_minor) FILTER (retryable = 'yes') AS retryable_minor,
    COUNT(*) FILTER (retryable = 'yes' AND status = 'recovered') AS retryable_recovered,
    SUM(recovered_minor) FILTER (retryable = 'yes' AND status = 'recovered') AS retryable_recovered_minor,
    SUM(reversed_minor) FILTER (status = 'recovered') AS taken_back,
    SUM(late_payments) AS late, SUM(late_minor) AS late_minor, SUM(reversals) AS reversals, SUM(reversed_minor) AS reversed_minor
"""


def expected_row(row, parts):
    """What the report should say of one line of sums; `parts` are its outcomes in detail."""
    row = {name: 0 if value is None else value for name, value in row.items()}
    both = lambda name: {"cases": row[name], "amount_minor": row[name + "_minor"]}  # noqa: E731
    net = row["recovered_minor"] - row["taken_back"]
    return {
        "all": {"cases": row["cases"], "amount_minor": row["amount"]},
        "recovered": both("recovered"), "exhausted": both("exhausted"), "stopped": both("stopped"), "open": both("open"),
        "closed": both("closed"), "retryable": both("retryable"), "retryable_recovered": both("retryable_recovered"),
        "net_recovered_minor": net, "late_recoveries": both("late"), "reversals": {"cases": row["reversals"], "amount_minor": row["reversed_minor"]},
        "rates": {
            "cases_of_all": rate(row["recovered"], row["cases"]), "cases_of_closed": rate(row["recovered"], row["closed"]),
            "amount_of_all": rate(row["recovered_minor"], row["amount"]),
            "amount_of_closed": rate(row["recovered_minor"], row["closed_minor"]),
            "cases_of_retryable": rate(row["retryable_recovered"], row["retryable"]),
            "amount_of_retryable": rate(row["retryable_recovered_minor"], row["retryable_minor"]),
            "net_amount_of_all": rate(net, row["amount"]),
        },
        "maturity": rate(row["closed"], row["cases"]), "mature": row["open"] == 0, **parts,
    }


def table(database, sql):
    found = database.execute(sql)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row)) for row in found.fetchall()]


class Comparison:
    def __init__(self):
        self.figures, self.faults = 0, []

    def same(self, what, told, expected):
        """Compares what is expected, figure by figure; what is told beside it is no business of this one."""
        if isinstance(expected, dict):
            if not isinstance(told, dict):
                self.faults.append("%s: %r is told, not %r" % (what, told, expected))
                return
            for name, value in expected.items():
                self.same("%s.%s" % (what, name), told.get(name), value)
            return
        self.figures += 1
        if isinstance(expected, float) and isinstance(told, (int, float)):
            good = abs(told - expected) <= TOLERANCE
        else:
            good = told == expected
        if not good:
            self.faults.append("%s: %r is told, computed is %r" % (what, told, expected))


def details(database, place, groups):
    """The outcomes in detail by cohort, group and currency."""
    sql = """SELECT %s AS cohort, %s AS grp, currency, status, CASE status WHEN 'exhausted' THEN outcome_then ELSE outcome_detail END AS detail,
             COUNT(*) AS cases, SUM(CASE status WHEN 'recovered' THEN recovered_minor ELSE amount_minor END) AS minor
             FROM cases WHERE status <> 'open' GROUP BY ALL""" % (place, groups)
    names = {"recovered": "recovered_by", "exhausted": "exhausted_then", "stopped": "stopped_why"}
    found = {}
    for row in table(database, sql):
        parts = found.setdefault((row["cohort"], row["grp"], row["currency"]), {name: {} for name in names.values()})
        parts[names[row["status"]]][row["detail"]] = {"cases": row["cases"], "amount_minor": row["minor"]}
    return found


def customers(database, place, groups):
    """The customers by cohort, group and currency, each counted once in each."""
    sql = """SELECT cohort, grp, currency, COUNT(*) AS whole, COUNT(*) FILTER (wholly) AS recovered, COUNT(*) FILTER (partly) AS any_recovered,
             COUNT(*) FILTER (chased) AS open FROM (SELECT %s AS cohort, %s AS grp, currency, connection, customer,
             BOOL_AND(status = 'recovered') AS wholly, BOOL_OR(status = 'recovered') AS partly, BOOL_OR(status = 'open') AS chased
             FROM cases GROUP BY ALL) GROUP BY ALL""" % (place, groups)
    return {(row["cohort"], row["grp"], row["currency"]): {
        "all": row["whole"], "recovered": row["recovered"], "any_recovered": row["any_recovered"], "open": row["open"],
        "recovered_of_all": rate(row["recovered"], row["whole"]), "any_recovered_of_all": rate(row["any_recovered"], row["whole"]),
    } for row in table(database, sql)}


def recovery(service, database, span, comparison):
    for cohort, day in COHORTS.items():
        for by, split in SPLITS.items():
            told = service.json("/v1/reports/recovery", cohort=cohort, by=by, **span)
            for rows, place in ((told["rows"], day), (told["totals"], "'all'")):
                sql = "SELECT %s AS cohort, %s AS grp, currency, %s FROM cases GROUP BY ALL" % (place, group_of(split), SUMS)
                parts = details(database, place, group_of(split))
                people = customers(database, place, group_of(split))
                known = {(row["cohort"], row["group"], row["currency"]): row for row in rows}
                computed = table(database, sql)
                what = "recovery of a %s by %s" % (cohort, by)
                comparison.same(what + ", rows", len(known), len(computed))
                for row in computed:
                    key = (row["cohort"], row["grp"], row["currency"])
                    expected = expected_row(row, {**parts.get(key, {}), "customers": people[key]})
                    comparison.same("%s, %s" % (what, " ".join(map(str, key))), known.get(key), expected)


def hour_of(instant):
    """The whole hours from 1970 to an instant."""
    return int(datetime.datetime.fromisoformat(instant).timestamp() // 3600)


def quantile(hours, percent):
    return sorted(hours)[max(1, math.ceil(len(hours) * percent / 100)) - 1] if hours else None


def curve(recovered, others):
    """Kaplan-Meier with Greenwood's band of log(-log). `others` are the ages of those that are open; who was lost never leaves."""
    total, steps, share, variance = len(recovered) + len(others), [], 1.0, 0.0
    for hour in sorted(set(recovered)):
        gone = sum(1 for at in recovered if at == hour)
        at_risk = total - sum(1 for at in recovered if at < hour) - sum(1 for age in others if age < hour)
        share *= 1 - gone / at_risk
        variance = variance + gone / (at_risk * (at_risk - gone)) if at_risk > gone else math.inf
        step = {"hours": hour, "at_risk": at_risk, "recovered": gone, "unrecovered": share, "low": None, "high": None}
        if 0 < share < 1 and math.isfinite(variance):
            spread = 1.959963984540054 * math.sqrt(variance) / abs(math.log(share))
            step["low"], step["high"] = share ** math.exp(spread), share ** math.exp(-spread)
        steps.append(step)
    return steps


def times(service, database, span, comparison):
    told = service.json("/v1/reports/time", **span)
    now = hour_of(told["as_of"])
    rows = table(database, """SELECT strftime(CAST(day AS DATE), '%Y-%m') AS month, status, epoch_ms(opened_at) // 3600000 AS opened,
                              epoch_ms(closed_at) // 3600000 AS closed FROM cases""")
    months = {row["month"]: [] for row in rows}
    for row in rows:
        months[row["month"]].append(row)
    known = {row["cohort"]: row for row in told["months"]}
    comparison.same("time, months", sorted(known), sorted(months))
    for name, cases, row in [(month, cases, known.get(month)) for month, cases in months.items()] + [("total", rows, told["total"])]:
        took = [case["closed"] - case["opened"] for case in cases if case["status"] == "recovered"]
        comparison.same("time of " + name, row, {
            "cases": len(cases), "recovered": len(took), "open": sum(case["status"] == "open" for case in cases),
            "p50_hours": quantile(took, 50), "p90_hours": quantile(took, 90)})
    took = [row["closed"] - row["opened"] for row in rows if row["status"] == "recovered"]
    lost = [math.inf for row in rows if row["status"] in ("exhausted", "stopped")]
    steps = curve(took, lost + [now - row["opened"] for row in rows if row["status"] == "open"])
    comparison.same("curve, steps", len(told["curve"]), len(steps))
    for step, expected in zip(told["curve"], steps):
        comparison.same("curve at %d hours" % expected["hours"], step, expected)


def churn(service, database, span, comparison):
    """Cases that ended in the span: only where the whole history was exported are they all in the file."""
    told = service.json("/v1/reports/churn", **span)
    sql = """SELECT strftime(CAST(closed_day AS DATE), '%%Y-%%m') AS month,
             COUNT(*) FILTER (outcome_then = 'cancelled') AS involuntary, COUNT(won_back_at) AS won_back, COUNT(*) FILTER (outcome_then = 'unpaid') AS unpaid,
             COUNT(*) FILTER (status = 'stopped' AND outcome_detail = 'customer_cancelled') AS voluntary_in_dunning,
             COUNT(*) FILTER (status = 'recovered') AS recovered
             FROM cases WHERE closed_day >= '%s' AND closed_day < '%s' GROUP BY 1""" % (told["from"], told["to"])
    money = """SELECT strftime(CAST(closed_day AS DATE), '%%Y-%%m') AS month, currency,
               COALESCE(SUM(monthly_minor) FILTER (outcome_then = 'cancelled'), 0) AS monthly_lost_minor,
               COALESCE(SUM(monthly_minor) FILTER (won_back_at IS NOT NULL), 0) AS monthly_won_back_minor,
               COALESCE(SUM(monthly_minor) FILTER (status = 'recovered'), 0) AS monthly_saved_minor,
               SUM(attempts) AS attempts, SUM(messages) AS messages
               FROM cases WHERE closed_day >= '%s' AND closed_day < '%s' GROUP BY 1, 2""" % (told["from"], told["to"])
    known = {month["month"]: month for month in told["data"]}
    computed = table(database, sql)
    comparison.same("churn, months", sorted(known), sorted(row["month"] for row in computed))
    for row in computed:
        comparison.same("churn of " + row["month"], known.get(row["month"]), row)
    for row in table(database, money):
        month, currency = row.pop("month"), row.pop("currency")
        comparison.same("money of %s in %s" % (month, currency), known.get(month, {}).get("money", {}).get(currency), row)


WAY = ["failed", "written_to", "delivered", "clicked", "card_changed", "paid"]


def funnel(service, database, span, comparison):
    rows = table(database, "SELECT *, 1 AS failed, CAST(status = 'recovered' AS INT) AS paid FROM cases")
    for by, split in SPLITS.items():
        told = {(one["group"], one["currency"]): one for one in service.json("/v1/reports/funnel", by=by, **span)["data"]}
        groups = dict(database.execute("SELECT \"case\", %s FROM cases" % group_of(split)).fetchall())
        found = {}
        for row in rows:
            found.setdefault((groups[row["case"]], row["currency"]), []).append(row)
        comparison.same("funnels by " + by, len(told), len(found))
        for key, its in found.items():
            stages, before = {stage["stage"]: stage for stage in told.get(key, {}).get("stages", [])}, None
            for stage in ["failed", "recovered_silently"] + WAY[1:]:
                reached = [row for row in its if row[stage]]
                way = WAY[:WAY.index(stage) + 1] if stage in WAY else [stage]
                turn = [row for row in its if all(row[name] for name in way)]
                paid = [row for row in reached if row["paid"]]
                money = lambda some, what: {"cases": len(some), "amount_minor": sum(row[what] for row in some)}  # noqa: E731
                comparison.same("funnel by %s, %s, %s" % (by, key, stage), stages.get(stage), {
                    "reached": money(reached, "amount_minor"), "in_turn": money(turn, "amount_minor"),
                    "recovered": money(paid, "recovered_minor"), "of_failed": rate(len(reached), len(its)),
                    "of_before": rate(len(turn), before) if stage in WAY and before is not None else None,
                    "recovered_of_reached": rate(len(paid), len(reached))})
                before = len(turn) if stage in WAY else before


def charges(service, database, span, comparison):
    """Charges by their number; `uncounted` ones never left, or were not needed."""
    database.execute("""CREATE TABLE counted AS SELECT a."case", a.status, a.amount_minor, c.currency,
        row_number() OVER (PARTITION BY a."case" ORDER BY a.number) AS nth FROM attempts a JOIN cases c USING ("case")
        WHERE a.status NOT IN ('not_sent', 'not_needed')""")
    told = {one["currency"]: one for one in service.json("/v1/reports/attempts", **span)["data"]}
    sums = table(database, """SELECT currency, nth AS number, COUNT(*) AS attempts, COUNT(*) FILTER (status = 'succeeded') AS succeeded,
        COALESCE(SUM(amount_minor) FILTER (status = 'succeeded'), 0) AS succeeded_minor, COUNT(*) FILTER (status = 'declined') AS declined
        FROM counted GROUP BY ALL""")
    for row in sums:
        numbers = {one["number"]: one for one in told.get(row["currency"], {}).get("numbers", [])}
        row["success"] = rate(row["succeeded"], row["succeeded"] + row["declined"])
        comparison.same("charge %d in %s" % (row["number"], row.pop("currency")), numbers.get(row["number"]), row)
    for row in table(database, """SELECT currency, COUNT(*) AS cases, COUNT(*) FILTER (status = 'recovered') AS recovered,
                                  SUM(attempts) AS attempts FROM cases GROUP BY 1"""):
        comparison.same("charges in " + row["currency"], told.get(row.pop("currency")), row)


def ages(service, database, span, comparison):
    for age, hours in (("day", 24), ("week", 168)):
        told = service.json("/v1/reports/ages", age=age, **span)
        now = hour_of(told["as_of"])
        for row in told["data"]:
            its = table(database, """SELECT status, recovered_minor, amount_minor, epoch_ms(opened_at) // 3600000 AS opened,
                epoch_ms(closed_at) // 3600000 AS closed FROM cases WHERE substr(day, 1, 7) = '%s' AND currency = '%s'"""
                        % (row["cohort"], row["currency"]))
            owed = sum(case["amount_minor"] for case in its)
            what = "share within %%d %ss of %s in %s" % (age, row["cohort"], row["currency"])
            for number, cell in enumerate(row["cells"], 1):
                below = number * hours
                if any(case["status"] == "open" and now - case["opened"] < below for case in its):
                    comparison.same(what % number, cell, None)
                if cell is not None:
                    came = [case for case in its if case["status"] == "recovered" and case["closed"] - case["opened"] < below]
                    minor = sum(case["recovered_minor"] for case in came)
                    comparison.same(what % number, cell, {
                        "recovered": {"cases": len(came), "amount_minor": minor}, "cases": rate(len(came), len(its)),
                        "amount": rate(minor, owed)})


def attempts(service, database, span, comparison):
    """The two files fit together: each attempt has its case, and the numbers of its attempts have no gap."""
    orphans = database.execute("SELECT COUNT(*) FROM attempts WHERE \"case\" NOT IN (SELECT \"case\" FROM cases)").fetchone()[0]
    comparison.same("attempts without a case", orphans, 0)
    gaps = database.execute("""SELECT COUNT(*) FROM (SELECT "case" FROM attempts GROUP BY 1 HAVING MIN(number) <> 1
                               OR MAX(number) <> COUNT(*))""").fetchone()[0]
    comparison.same("cases with a gap in the numbers of their attempts", gaps, 0)


def load(service, span, folder):
    database = duckdb.connect()
    for name in ("cases", "attempts"):
        path = os.path.join(folder, name + ".parquet")
        with open(path, "wb") as file:
            file.write(service.get("/v1/exports/" + name, **span))
        database.execute("CREATE TABLE %s AS SELECT * FROM read_parquet('%s')" % (name, path))
    return database


def compare(base, key, since=None, until=None):
    """Compares all reports; gives (cases, figures, faults)."""
    service, comparison = Service(base, key), Comparison()
    span = {"from": since, "to": until}
    with tempfile.TemporaryDirectory(prefix="recoup-recompute-") as folder:
        database = load(service, span, folder)
        cases = database.execute("SELECT COUNT(*) FROM cases").fetchone()[0]
        for report in (recovery, times, churn, funnel, charges, ages, attempts):
            report(service, database, span, comparison)
    return cases, comparison.figures, comparison.faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--base", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--from", dest="since")
    parser.add_argument("--to", dest="until")
    options = parser.parse_args()
    cases, figures, faults = compare(options.base, options.key, options.since, options.until)
    for fault in faults[:40]:
        print(fault)
    print("%d cases, %d figures computed again, %d differ" % (cases, figures, len(faults)))
    return 1 if faults or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
