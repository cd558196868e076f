"""The doors: webhook signatures good and bad, sizes, encodings, errors, and the poison event that must end visible."""

import gzip
import hashlib
import hmac
import http.client
import json
import time

import stripe_wire as wire
from driver import ADMIN_KEY, HOUR, SECRETS, START
from world import sign


def small_event(ident, kind="customer.updated"):
    row = {"id": ident, "type": kind, "created": START, "object": {"id": "cus_none", "object": "customer"}, "previous": None,
           "api_version": wire.OLD, "request": None, "key": None}
    return json.dumps(wire.event(row)).encode()


def v1(secret, body, t):
    return hmac.new(secret.encode(), b"%d." % t + body, hashlib.sha256).hexdigest()


class Intake:
    def __init__(self, recoup, book):
        self.recoup, self.book, self.faults, self.n = recoup, book, [], 0
        self.now = START

    def see(self, name, got, want):
        self.n += 1
        if got != want:
            self.faults.append((None, "%s: expected %r, got %r" % (name, want, got)))

    def post(self, raw, headers, path="/webhooks/stripe"):
        try:
            return self.recoup.call("POST", path, raw, {"Content-Type": "application/json", **headers})
        except (ConnectionError, TimeoutError, OSError) as trouble:
            return 0, {}, str(trouble).encode()

    def problem(self, name, answer, status, code=None):
        """An error is problem+json with a code of its own."""
        got, headers, raw = answer
        self.see(name, got, status)
        if got != status:
            return
        try:
            shown = json.loads(raw)
        except ValueError:
            shown = {}
        kind = headers.get("content-type", "").split(";")[0]
        self.see(name + ", its kind", kind, "application/problem+json")
        self.see(name + ", its status", shown.get("status"), status)
        self.see(name + ", has a code", isinstance(shown.get("code"), str) and bool(shown["code"]), True)

    def good(self):
        body = small_event("evt_good1")
        fresh = {"Stripe-Signature": sign(SECRETS[0], body, self.now)}
        status, _, raw = self.post(body, fresh)
        self.see("fresh event", (status, json.loads(raw or b"null")), (200, {"status": "accepted"}))
        status, _, raw = self.post(body, fresh)
        self.see("the same again", (status, json.loads(raw or b"null")), (200, {"status": "duplicate"}))
        body = small_event("evt_good2")
        two = "t=%d,v1=%s,v1=%s" % (self.now, "0" * 64, v1(SECRETS[0], body, self.now))
        self.see("second of two v1 right", self.post(body, {"Stripe-Signature": two})[0], 200)
        body = small_event("evt_good3")
        self.see("older active secret", self.post(body, {"Stripe-Signature": sign(SECRETS[1], body, self.now)})[0], 200)
        body = small_event("evt_good4")
        mixed = "t=%d,v0=%s,v1=%s" % (self.now, "1" * 64, v1(SECRETS[0], body, self.now))
        self.see("v0 beside a good v1", self.post(body, {"Stripe-Signature": mixed})[0], 200)
        body = small_event("evt_good5")
        self.see("299 seconds old", self.post(body, {"Stripe-Signature": sign(SECRETS[0], body, self.now - 299)})[0], 200)
        body = json.dumps({**json.loads(small_event("evt_good6")), "note": "é\u2028 \U0001f600"}, ensure_ascii=False).encode()
        self.see("letters beyond ASCII", self.post(body, {"Stripe-Signature": sign(SECRETS[0], body, self.now)})[0], 200)

    def bad(self):
        body, now = small_event("evt_bad"), self.now
        mac = v1(SECRETS[0], body, now)
        cases = {
            "empty": "", "cut": "t=%d,v1=%s" % (now, mac[:-1]), "half": "t=%d,v1=%s" % (now, mac[:32]),
            "empty v1": "t=%d,v1=" % now, "v0 only": "t=%d,v0=%s" % (now, mac), "no t": "v1=" + mac, "only t": "t=%d" % now,
            "301 seconds old": sign(SECRETS[0], body, now - 301), "a day old": sign(SECRETS[0], body, now - 86400),
            "301 seconds ahead": sign(SECRETS[0], body, now + 301), "of the real clock": sign(SECRETS[0], body, int(time.time())),
            "two t": "t=%d,t=%d,v1=%s" % (now, now, mac), "two different t": "t=1,t=%d,v1=%s" % (now, mac),
            "other secret": sign("whsec_of_somebody_else", body, now), "overflowing t": "t=%d,v1=%s" % (2 ** 64 + now, mac),
            "hugely overflowing t": "t=%s,v1=%s" % ("9" * 400, mac), "t near the end of i64": sign(SECRETS[0], body, 2 ** 63 - 1),
            "negative t": "t=-%d,v1=%s" % (now, mac), "t with a plus": "t=+%d,v1=%s" % (now, mac),
            "not hexadecimal": "t=%d,v1=%s" % (now, "zz" * 32), "words": "let me in", "both joined": "t=%d,v1=%s%s" % (now, mac, mac),
        }
        for name, signature in cases.items():
            self.problem("signature " + name, self.post(body, {"Stripe-Signature": signature}), 400)
        self.problem("signature missing", self.post(body, {}), 400)
        self.problem("changed body", self.post(body.replace(b"cus_none", b"cus_nine"), {"Stripe-Signature": sign(SECRETS[0], body, now)}), 400)
        self.problem("body with a space more", self.post(body + b" ", {"Stripe-Signature": sign(SECRETS[0], body, now)}), 400)
        self.see("the true body, after all these", self.post(body, {"Stripe-Signature": sign(SECRETS[0], body, now)})[0], 200)

    def sizes(self):
        big = b'{"id": "evt_big", "x": "' + b"a" * (2 << 20) + b'"}'
        self.problem("2 MiB", self.post_big(big), 413)
        body = small_event("evt_zip")
        packed = gzip.compress(body)
        self.problem("gzip", self.post(packed, {"Stripe-Signature": sign(SECRETS[0], packed, self.now), "Content-Encoding": "gzip"}), 415)
        self.problem("gzip, signed before packing",
                     self.post(packed, {"Stripe-Signature": sign(SECRETS[0], body, self.now), "Content-Encoding": "gzip"}), 415)
        self.problem("unknown connection",
                     self.post(body, {"Stripe-Signature": sign(SECRETS[0], body, self.now)}, "/webhooks/nobody"), 404)

    def post_big(self, raw):
        """The server may answer and close before all is sent: read the answer anyway."""
        link = http.client.HTTPConnection(self.recoup.host, timeout=30)
        link.putrequest("POST", "/webhooks/stripe")
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(raw))),
                            ("Stripe-Signature", sign(SECRETS[0], raw, self.now))):
            link.putheader(name, value)
        link.endheaders()
        try:
            for at in range(0, len(raw), 65536):
                link.send(raw[at:at + 65536])
        except OSError:
            pass
        try:
            answer = link.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        except (OSError, http.client.HTTPException) as trouble:
            return 0, {}, str(trouble).encode()
        finally:
            link.close()

    def poison(self):
        """Signed, but no JSON, or JSON that cannot be an event: taken, tried with patience, and then visible as dead."""
        bodies = {"no JSON": b"{this is not json", "no event": b'[1, 2, 3]', "no letters": b"\xff\xfe\x00"}
        for name, body in bodies.items():
            self.see("signed: " + name, self.post(body, {"Stripe-Signature": sign(SECRETS[0], body, self.now)})[0], 200)
        fine = small_event("evt_after_poison")
        self.see("a good one behind it", self.post(fine, {"Stripe-Signature": sign(SECRETS[0], fine, self.now)})[0], 200)
        for hours in range(1, 73):
            self.book.set_now(START + hours * HOUR)
            status, shown, _ = self.recoup.advance(self.book.now)
            dead, _ = self.recoup.all("/v1/inbox?status=dead")
            if status != 200 or len(dead) == len(bodies):
                break
        self.now = self.book.now
        self.see("dead events in the inbox after %d hours" % hours, len(dead), len(bodies))
        self.see("all are said to be dead", {row.get("status") for row in dead}, {"dead"})
        rows, _ = self.recoup.all("/v1/inbox")
        self.see("the good ones are done", [r["status"] for r in rows if r["event_id"] == "evt_after_poison"][0:1] in (["processed"], ["ignored"]), True)

    def api(self):
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"):
            status, headers, _ = self.recoup.call("GET", path)
            if status in (301, 302, 307, 308):
                status = self.recoup.call("GET", headers.get("location", "/nowhere"))[0]
            self.see("GET " + path, status, 200)
        self.problem("cases without a key", self.recoup.call("GET", "/v1/cases"), 401)
        self.problem("cases with a wrong key", self.recoup.call("GET", "/v1/cases", None, {"Authorization": "Bearer nonsense-key-12345"}), 401)
        auth = {"Authorization": "Bearer " + ADMIN_KEY}
        self.problem("unknown case", self.recoup.call("GET", "/v1/cases/none", None, auth), 404)
        self.problem("unknown route", self.recoup.call("GET", "/v1/nothing", None, auth), 404)
        back = json.dumps({"to": "2026-01-01T00:00:00Z"})
        status, headers, raw = self.recoup.call("POST", "/v1/test-clock/advance", back, {**auth, "Content-Type": "application/json"})
        self.see("the clock backwards is refused", 400 <= status < 500, True)
        self.problem("the clock backwards", (status, headers, raw), status)
        self.see("the clock did not move", self.recoup.now(), self.now)
        status, _, shown = self.recoup.api("POST", "/v1/test-clock/advance", {"to": "2026-03-02T00:00:00Z"})
        self.see("the clock to now", status if self.now == START else 200, 200)

    def run(self):
        for part in (self.api, self.good, self.bad, self.sizes, self.poison):
            part()
        return [("intake", "webhooks are let in by signature, size and kind; errors are problem+json", self.n, self.faults)]
