"""The fake provider over HTTP: the routes of the contract, idempotency keys, and faults on the way."""

import json
import select
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import stripe_wire as wire
from stripe_book import DAY, HOUR, Refused

HANG_SECS_MAX = 45


class Dropped(Exception):
    """No answer at all; `hold` keeps the caller waiting first, `part` is sent before the end."""

    def __init__(self, hold=False, part=b""):
        super().__init__()
        self.hold, self.part = hold, part


class Fake:
    def __init__(self, book, api_key):
        self.book, self.api_key, self.keys, self.strange, self.pinned = book, api_key, {}, [], None
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 300
            disable_nagle_algorithm = True    # else the second write of an answer waits 40 ms for the first one's receipt
            wbufsize = -1

            def log_message(self, *_):
                pass

            def handle(self):
                try:
                    super().handle()
                except OSError:       # the service was killed
                    pass

            def finish(self):
                try:
                    super().finish()
                except OSError:
                    pass

            def do_GET(self):
                fake.answer(self)

            do_POST = do_DELETE = do_GET

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

        self.server = Server(("127.0.0.1", 0), Handler)
        self.base = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # -- one request -------------------------------------------------------------------------------------------------

    def answer(self, http):
        length = int(http.headers.get("Content-Length") or 0)
        body = http.rfile.read(length).decode() if length else ""
        url = urllib.parse.urlsplit(http.path)
        query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        form = urllib.parse.parse_qs(body, keep_blank_values=True)
        more = {}
        try:
            with self.book.lock:
                self.book.run_late()
                status, shown, more = self.route(http, url.path, query, form)
        except Refused as no:
            status, shown = no.status, no.body
            if status == 429:
                more = {"Retry-After": "60"}
        except Dropped as no:
            return self.drop(http, no)
        raw = json.dumps(shown).encode()
        try:
            http.send_response(status)
            http.send_header("Content-Type", "application/json")
            http.send_header("Content-Length", str(len(raw)))
            http.send_header("Request-Id", "req_out")
            for name, value in more.items():
                http.send_header(name, value)
            http.end_headers()
            http.wfile.write(raw)
        except OSError:
            http.close_connection = True

    def drop(self, http, no):
        http.close_connection = True
        try:
            if no.part:
                http.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n" + no.part)
                http.wfile.flush()
            end = time.monotonic() + HANG_SECS_MAX
            while no.hold and time.monotonic() < end:
                ready, _, _ = select.select([http.connection], [], [], 0.5)
                if ready and not http.connection.recv(1024):
                    return
        except OSError:
            pass

    def route(self, http, path, query, form):
        if http.headers.get("Authorization") != "Bearer " + self.api_key:
            raise Refused(401, wire.error("Invalid API Key provided"))
        self.pinned = http.headers.get("Stripe-Version")
        version = self.pinned or self.book.version
        parts = [p for p in path.split("/") if p][1:]
        key = http.headers.get("Idempotency-Key")
        pay = http.command == "POST" and len(parts) == 3 and parts[0] == "invoices" and parts[2] == "pay"
        away = self.book.outage()
        if away and not pay:
            raise Dropped() if away == "drop" else Refused(503, wire.error("Service unavailable", "api_error"))
        if http.command == "GET":
            return 200, self.read(parts, query, version), {}
        if pay:
            return self.pay(self.find(self.book.invoices, parts[1], "invoice"), key, form, version)
        if http.command == "POST" and key:
            return self.once(key, path, form, lambda: (200, self.write(http.command, parts, form, version)))
        return 200, self.write(http.command, parts, form, version), {}

    def once(self, key, path, form, run):
        """Run, or repeat what was answered to this key within the last day, errors included."""
        saved = self.keys.get(key)
        if saved and self.book.now - saved["t"] <= DAY:
            if (saved["path"], saved["form"]) != (path, form):
                raise Refused(400, wire.error("Keys for idempotent requests can only be used with the same parameters they "
                                              "were first used with.", "idempotency_error"))
            if saved["status"] is None:
                raise Refused(409, wire.error("There is currently another in-progress request using this Idempotent Key.",
                                              code="idempotency_key_in_use"))
            return saved["status"], saved["body"], {"Idempotent-Replayed": "true"}
        saved = self.keys[key] = {"t": self.book.now, "path": path, "form": form, "status": None, "body": None}
        try:
            saved["status"], saved["body"] = run()
        except Refused as no:
            saved["status"], saved["body"] = no.status, no.body
        return saved["status"], saved["body"], {}

    def find(self, shelf, ident, what):
        if ident not in shelf:
            raise Refused(404, wire.error("No such %s: '%s'" % (what, ident), code="resource_missing", param="id"))
        return shelf[ident]

    # -- pay ---------------------------------------------------------------------------------------------------------

    def pay(self, inv, key, form, version):
        entry = self.book.log("call", inv["id"], key=key, card=(form.get("payment_method") or [None])[0], form=form,
                              answer=None, unknown=False, replayed=False, off_session=(form.get("off_session") or [None])[0])
        if key and key not in inv["keys"]:
            inv["keys"].append(key)
        faults = inv["faults"].get(inv["keys"].index(key) + 1, []) if key else []
        fault = self.book.outage() or (faults.pop(0) if faults else None)
        if fault == "deaf":       # for 26 hours nothing sent for this invoice arrives
            fault = "reset_lost" if self.book.now < inv.setdefault("deaf_until", self.book.now + 26 * HOUR) else None
        run = lambda: self.execute(inv, key, form, version)  # noqa: E731
        path = "/v1/invoices/%s/pay" % inv["id"]
        try:
            status, body, more = self.with_fault(fault, key, path, form, run)
            entry.update(answer=status, replayed="Idempotent-Replayed" in more, unknown=status >= 500)
            return status, body, more
        except Refused as no:
            entry.update(answer=no.status, unknown=no.status >= 500)
            raise
        except Dropped:
            entry.update(answer="dropped", unknown=True)
            raise

    def with_fault(self, fault, key, path, form, run):
        if fault in ("drop", "reset_lost", "hang_lost"):
            raise Dropped(hold=fault == "hang_lost")
        if fault == "503":
            raise Refused(503, wire.error("Service unavailable", "api_error"))
        if fault == "429":
            raise Refused(429, wire.error("Too many requests hit the API too quickly.", code="rate_limit"))
        if fault in ("reset_done", "hang_done", "cut_done"):
            self.once(key, path, form, run) if key else run()
            raise Dropped(hold=fault == "hang_done", part=b'{"id": "in_' if fault == "cut_done" else b"")
        if fault == "late":
            self.later(key, path, form, run)
            raise Dropped()
        if fault in ("500_lost", "500_done"):
            def broken():
                if fault == "500_done":
                    try:
                        run()
                    except Refused:
                        pass
                raise Refused(500, wire.error("An unknown error occurred", "api_error"))
            return self.once(key, path, form, broken) if key else broken()
        if not key:
            return (*run(), {})
        return self.once(key, path, form, run)

    def later(self, key, path, form, run):
        """The request sits in the provider for ten minutes and then runs, though nobody waits any more."""
        saved = self.keys[key] = {"t": self.book.now, "path": path, "form": form, "status": None, "body": None}

        def job():
            try:
                saved["status"], saved["body"] = run()
            except Refused as no:
                saved["status"], saved["body"] = no.status, no.body
        self.book.late.append((self.book.now + 600, job))

    def execute(self, inv, key, form, version):
        if inv["status"] == "paid":
            raise Refused(400, wire.error("Invoice is already paid"))
        if inv["status"] == "void":
            raise Refused(400, wire.error("This invoice is void and can no longer be paid"))
        named = (form.get("payment_method") or [None])[0]
        pm = self.find(self.book.cards, named, "PaymentMethod") if named else self.book.default_card(inv)
        refusal = self.book.charge(inv, "recoup", pm, key)
        if refusal is None:
            return 200, self.show("invoices", inv["id"], version, ())
        pi = self.book.intents[inv["intent"]]
        if refusal["said"] == "authentication_required" and self.book.random.random() < 0.5:
            raise Refused(402, wire.error("Payment for this invoice requires additional user action before it can be completed "
                                          "successfully.", "card_error", code="invoice_payment_intent_requires_action"))
        raise Refused(402, wire.card_error(refusal, self.book.charges[pi["charge"]], wire.intent(pi, version), wire.card(pm)))

    # -- reads -------------------------------------------------------------------------------------------------------

    def show(self, shelf, ident, version, expand):
        book = self.book
        if shelf == "invoices":
            inv = self.find(book.invoices, ident, "invoice")
            wanted = any(path.split(".")[0] == "payments" for path in expand)
            shown = wire.invoice(inv, version, self.payments_of(inv) if wanted else None)
        elif shelf == "customers":
            shown = wire.customer(self.find(book.customers, ident, "customer"))
        elif shelf == "payment_intents":
            shown = wire.intent(self.find(book.intents, ident, "payment_intent"), version)
        elif shelf == "charges":
            shown = wire.charge(self.find(book.charges, ident, "charge"), version)
        elif shelf == "subscriptions":
            shown = wire.subscription(self.find(book.subscriptions, ident, "subscription"), version)
        elif shelf == "payment_methods":
            shown = wire.card(self.find(book.cards, ident, "PaymentMethod"))
        elif shelf == "disputes":
            shown = wire.dispute(self.find(book.disputes, ident, "dispute"))
        elif shelf == "events":
            shown = wire.event(self.find({e["id"]: e for e in book.events}, ident, "event"))
        else:
            raise Refused(404, wire.error("Unrecognized request URL: %s" % shelf))
        for path in expand:
            self.expand(shown, path.split("."), version)
        return shown

    SHELVES = {"in": "invoices", "cus": "customers", "pi": "payment_intents", "ch": "charges", "sub": "subscriptions",
               "pm": "payment_methods"}

    def expand(self, shown, path, version):
        if isinstance(shown, list):
            for row in shown:
                self.expand(row, path, version)
            return
        if not path or not isinstance(shown, dict) or shown.get(path[0]) is None:
            return
        value = shown[path[0]]
        if isinstance(value, str) and value.split("_")[0] in self.SHELVES:
            value = shown[path[0]] = self.show(self.SHELVES[value.split("_")[0]], value, version, ())
        self.expand(value, path[1:], version)

    def payments_of(self, inv):
        return [wire.invoice_payment(row) for row in self.book.payments.values() if row["invoice"] == inv["id"]]

    def read(self, parts, query, version):
        expand = [v for k, vs in query.items() if k.startswith("expand") for v in vs]
        first = lambda name, other=None: (query.get(name) or [other])[0]  # noqa: E731
        if len(parts) == 2:
            shown = self.show(parts[0], parts[1], version, expand)
            about = {"invoices": parts[1], "payment_intents": self.book.intents.get(parts[1], {}).get("invoice"),
                     "charges": self.book.charges.get(parts[1], {}).get("invoice")}.get(parts[0])
            self.note_read(parts[0], about)
            return shown
        if parts == ["invoice_payments"]:
            wanted = first("invoice")
            pi = first("payment[payment_intent]")
            rows = [row for row in self.book.payments.values()
                    if (wanted is None or row["invoice"] == wanted) and (pi is None or row["intent"] == pi)]
            if wanted:
                self.note_read("invoice_payments", wanted)
            shown = wire.listing("/v1/invoice_payments", [wire.invoice_payment(row) for row in rows])
        elif parts == ["events"]:
            self.book.log("sweep")
            shown = self.read_events(query, first)
        elif parts == ["account"]:
            shown = {"id": "acct_out", "object": "account", "country": "DE", "default_currency": "eur"}
        elif len(parts) == 1 and parts[0] in ("invoices", "charges", "subscriptions", "payment_intents", "disputes"):
            shown = self.read_list(parts[0], first, version, expand)
        else:
            self.strange.append("GET " + "/".join(parts))
            raise Refused(404, wire.error("Unrecognized request URL"))
        for path in expand:
            self.expand(shown, path.split("."), version)
        return shown

    def note_read(self, shelf, invoice):
        if invoice:
            inv = self.book.invoices[invoice]
            self.book.log("read", invoice, shelf=shelf, status=inv["status"])

    def read_list(self, shelf, first, version, expand):
        rows = {"invoices": self.book.invoices, "charges": self.book.charges, "subscriptions": self.book.subscriptions,
                "payment_intents": self.book.intents, "disputes": self.book.disputes}[shelf]
        fits = [row for row in rows.values()
                if all(first(name) in (None, row.get(field)) for name, field in (
                    ("customer", "customer"), ("subscription", "subscription"), ("status", "status"),
                    ("payment_intent", "intent"), ("charge", "charge")))]
        inner = [path[5:] for path in expand if path.startswith("data.")]
        return wire.listing("/v1/" + shelf, [self.show(shelf, row["id"], version, inner) for row in fits[-100:][::-1]])

    def read_events(self, query, first):
        limit = min(int(first("limit", "10")), 100)
        kinds = [v for k, vs in query.items() if k in ("type", "types[]") or k.startswith("types[") for v in vs]
        rows = [e for e in reversed(self.book.events) if not kinds or e["type"] in kinds]
        for sign, fits in (("gte", lambda c, v: c >= v), ("gt", lambda c, v: c > v), ("lte", lambda c, v: c <= v),
                           ("lt", lambda c, v: c < v)):
            bound = first("created[%s]" % sign)
            if bound:
                rows = [e for e in rows if fits(e["created"], int(bound))]
        ids = [e["id"] for e in rows]
        after, before = first("starting_after"), first("ending_before")
        if after in ids:
            rows = rows[ids.index(after) + 1:]
        if before in ids:
            rows = rows[:ids.index(before)]
            page = rows[-limit:]
        else:
            page = rows[:limit]
        return wire.listing("/v1/events", [wire.event(e) for e in page], len(rows) > limit)

    # -- writes ------------------------------------------------------------------------------------------------------

    def write(self, method, parts, form, version):
        book = self.book
        if method == "DELETE" and len(parts) == 2 and parts[0] == "subscriptions":
            sub = self.find(book.subscriptions, parts[1], "subscription")
            if sub["status"] == "canceled":
                raise Refused(404, wire.error("No such subscription: '%s'" % parts[1], code="resource_missing"))
            book.end_subscription(sub, "recoup")
            return wire.subscription(sub, version)
        if method == "POST" and len(parts) == 2 and parts[0] == "subscriptions":
            sub = self.find(book.subscriptions, parts[1], "subscription")
            behavior = (form.get("pause_collection[behavior]") or [None])[0]
            if behavior not in ("void", "keep_as_draft", "mark_uncollectible"):
                raise Refused(400, wire.error("Invalid pause_collection[behavior]", param="pause_collection[behavior]"))
            sub["pause"] = {"behavior": behavior, "resumes_at": None}
            book.log("final", sub["latest_invoice"], by="recoup", then="paused")
            book.emit("customer.subscription.updated", wire.subscription(sub, version), None, {"pause_collection": None})
            return wire.subscription(sub, version)
        if method == "POST" and len(parts) == 3 and parts[0] == "invoices" and parts[2] == "mark_uncollectible":
            inv = self.find(book.invoices, parts[1], "invoice")
            if not book.uncollectible(inv, "recoup"):
                raise Refused(400, wire.error("You can only mark an open invoice as uncollectible."))
            return self.show("invoices", inv["id"], version, ())
        if method == "POST" and parts == ["billing_portal", "sessions"]:
            cus = self.find(book.customers, (form.get("customer") or [""])[0], "customer")
            ident = book.new_id("bps")
            return {"id": ident, "object": "billing_portal.session", "configuration": "bpc_out", "created": book.now,
                    "customer": cus["id"], "flow": None, "livemode": False, "locale": None, "on_behalf_of": None,
                    "return_url": (form.get("return_url") or [None])[0],
                    "url": "https://billing.stripe.com/p/session/test_%s/%s" % (cus["id"], ident)}
        self.strange.append("%s %s" % (method, "/".join(parts)))
        raise Refused(404, wire.error("Unrecognized request URL"))
