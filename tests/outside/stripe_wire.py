"""Wire shapes of the fake provider: what Stripe prints before and since API version 2025-03-31.

A record of the book goes in, a plain dictionary as in Stripe's JSON comes out. Nothing here changes a record.
"""

OLD, NEW = "2024-06-20", "2025-08-27.basil"
SPLIT = "2025-03-31"


def is_new(version):
    """Whether an API version has the newer invoice shape."""
    return version[:10] >= SPLIT


def listing(url, rows, has_more=False):
    return {"object": "list", "data": rows, "has_more": has_more, "url": url}


def card(pm):
    return {
        "id": pm["id"], "object": "payment_method", "type": "card", "livemode": False, "created": pm["created"],
        "customer": pm["customer"], "metadata": {}, "allow_redisplay": "unspecified",
        "billing_details": {"address": {"country": pm["country"]}, "email": None, "name": None, "phone": None},
        "card": {"brand": pm["brand"], "country": pm["country"], "exp_month": pm["exp_month"], "exp_year": pm["exp_year"],
                 "fingerprint": pm["fingerprint"], "funding": "credit", "last4": pm["last4"], "networks": {"available": [pm["brand"]]},
                 "three_d_secure_usage": {"supported": True}, "checks": {"cvc_check": "pass"}, "wallet": None},
    }


def customer(cus):
    return {
        "id": cus["id"], "object": "customer", "address": {"country": cus["country"], "city": None, "line1": None},
        "balance": 0, "created": cus["created"], "currency": cus["currency"], "default_source": None,
        "delinquent": cus["delinquent"], "description": None, "discount": None, "email": cus["email"],
        "invoice_prefix": cus["prefix"], "livemode": False, "metadata": {}, "name": cus["name"], "phone": None,
        "invoice_settings": {"custom_fields": None, "default_payment_method": cus["default_pm"], "footer": None,
                             "rendering_options": None},
        "next_invoice_sequence": 2, "preferred_locales": cus["locales"], "shipping": None, "tax_exempt": "none",
        "test_clock": None,
    }


def subscription(sub, version):
    item = {
        "id": "si_" + sub["id"][4:], "object": "subscription_item", "created": sub["created"], "metadata": {}, "quantity": 1,
        "subscription": sub["id"],
        "price": {"id": "price_plan", "object": "price", "active": True, "currency": sub["currency"], "product": "prod_plan",
                  "type": "recurring", "unit_amount": sub["amount"], "nickname": "Plan",
                  "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}},
    }
    out = {
        "id": sub["id"], "object": "subscription", "application": None, "automatic_tax": {"enabled": False},
        "billing_cycle_anchor": sub["created"], "cancel_at": None, "cancel_at_period_end": False,
        "canceled_at": sub["ended_at"], "ended_at": sub["ended_at"],
        "cancellation_details": {"comment": None, "feedback": None, "reason": sub["cancel_reason"]},
        "collection_method": "charge_automatically", "created": sub["created"], "currency": sub["currency"],
        "customer": sub["customer"], "days_until_due": None, "default_payment_method": sub["default_pm"],
        "default_source": None, "description": None, "discounts": [], "latest_invoice": sub["latest_invoice"],
        "livemode": False, "metadata": {}, "pause_collection": sub["pause"], "start_date": sub["created"],
        "status": sub["status"], "test_clock": None, "trial_end": None, "trial_start": None,
        "items": listing("/v1/subscription_items?subscription=" + sub["id"], [item]),
    }
    period = {"current_period_start": sub["period_start"], "current_period_end": sub["period_start"] + 30 * 86400}
    (item if is_new(version) else out).update(period)
    return out


def invoice(inv, version, payments=None):
    """`payments` holds the ready rows when the caller asked to expand them."""
    paid = inv["amount"] if inv["status"] == "paid" else 0
    line = {"id": "il_" + inv["id"][3:], "object": "line_item", "amount": inv["amount"], "currency": inv["currency"],
            "description": "1 x Plan", "invoice": inv["id"], "livemode": False, "metadata": {}, "quantity": 1,
            "period": {"start": inv["created"], "end": inv["created"] + 30 * 86400}}
    out = {
        "id": inv["id"], "object": "invoice", "account_country": "DE", "account_name": "Outside Ltd",
        "amount_due": inv["amount"], "amount_paid": paid, "amount_remaining": inv["amount"] - paid, "amount_shipping": 0,
        "application": None, "attempt_count": inv["attempts"], "attempted": inv["attempts"] > 0,
        "auto_advance": inv["auto_advance"], "automatic_tax": {"enabled": False, "status": None},
        "billing_reason": "subscription_cycle", "collection_method": "charge_automatically", "created": inv["created"],
        "currency": inv["currency"], "customer": inv["customer"], "customer_email": inv["email"],
        "customer_name": inv["name"], "default_payment_method": None, "default_source": None, "description": None,
        "discounts": [], "due_date": None, "effective_at": inv["created"], "ending_balance": 0, "footer": None,
        "hosted_invoice_url": inv["url"], "invoice_pdf": inv["url"] + "/pdf", "issuer": {"type": "self"},
        "last_finalization_error": None, "livemode": False, "metadata": {}, "next_payment_attempt": None,
        "number": inv["number"], "period_start": inv["created"] - 30 * 86400, "period_end": inv["created"],
        "starting_balance": 0, "status": inv["status"],
        "status_transitions": {"finalized_at": inv["created"], "paid_at": inv["paid_at"], "voided_at": inv["voided_at"],
                               "marked_uncollectible_at": inv["uncollectible_at"]},
        "subtotal": inv["amount"], "total": inv["amount"], "test_clock": None,
        "lines": listing("/v1/invoices/%s/lines" % inv["id"], [line]),
    }
    if is_new(version):
        out["parent"] = {"type": "subscription_details", "quote_details": None,
                         "subscription_details": {"metadata": {}, "subscription": inv["subscription"]}}
        out["amount_overpaid"] = 0
        if payments is not None:
            out["payments"] = listing("/v1/invoice_payments?invoice=" + inv["id"], payments)
    else:
        out.update({"subscription": inv["subscription"], "charge": inv["charge"], "payment_intent": inv["intent"],
                    "paid": inv["status"] == "paid", "paid_out_of_band": inv["paid_how"] == "out_of_band",
                    "subscription_details": {"metadata": {}}, "tax": None})
    return out


def invoice_payment(row, _version=None):
    return {
        "id": row["id"], "object": "invoice_payment", "amount_paid": row["amount"] if row["status"] == "paid" else None,
        "amount_requested": row["amount"], "created": row["created"], "currency": row["currency"], "invoice": row["invoice"],
        "is_default": True, "livemode": False, "payment": {"type": "payment_intent", "payment_intent": row["intent"]},
        "status": row["status"], "status_transitions": {"canceled_at": None, "paid_at": row["paid_at"]},
    }


def intent(pi, version):
    out = {
        "id": pi["id"], "object": "payment_intent", "amount": pi["amount"], "amount_capturable": 0,
        "amount_received": pi["amount"] if pi["status"] == "succeeded" else 0, "application": None, "canceled_at": None,
        "capture_method": "automatic", "client_secret": pi["id"] + "_secret_x", "confirmation_method": "automatic",
        "created": pi["created"], "currency": pi["currency"], "customer": pi["customer"], "description": "Subscription update",
        "last_payment_error": pi["error"], "latest_charge": pi["charge"], "livemode": False, "metadata": {},
        "next_action": {"type": "use_stripe_sdk"} if pi["status"] == "requires_action" else None,
        "payment_method": pi["pm"] if pi["status"] in ("succeeded", "requires_action") else None,
        "payment_method_options": {}, "payment_method_types": ["card"], "processing": None, "receipt_email": None,
        "setup_future_usage": "off_session", "status": pi["status"],
    }
    if not is_new(version):
        out["invoice"] = pi["invoice"]
    return out


def charge(ch, version):
    refusal = ch["refusal"]
    outcome = {"network_status": "approved_by_network", "reason": None, "risk_level": "normal", "type": "authorized",
               "seller_message": "Payment complete.", "advice_code": None, "network_advice_code": None,
               "network_decline_code": None}
    if refusal:
        outcome.update({"network_status": "declined_by_network", "reason": refusal["decline_code"], "type": "issuer_declined",
                        "seller_message": refusal["message"], "advice_code": refusal["advice_code"],
                        "network_decline_code": refusal["network_code"]})
    out = {
        "id": ch["id"], "object": "charge", "amount": ch["amount"], "amount_captured": 0 if refusal else ch["amount"],
        "amount_refunded": 0, "application": None, "balance_transaction": None if refusal else "txn_" + ch["id"][3:],
        "billing_details": {"email": None, "name": None}, "captured": not refusal, "created": ch["created"],
        "currency": ch["currency"], "customer": ch["customer"], "description": "Subscription update",
        "disputed": ch["disputed"], "failure_code": refusal and refusal["code"], "failure_message": refusal and refusal["message"],
        "fraud_details": {}, "livemode": False, "metadata": {}, "outcome": outcome, "paid": not refusal,
        "payment_intent": ch["intent"], "payment_method": ch["pm"]["id"], "refunded": False, "review": None,
        "payment_method_details": {"type": "card", "card": {
            "brand": ch["pm"]["brand"], "country": ch["pm"]["country"], "exp_month": ch["pm"]["exp_month"],
            "exp_year": ch["pm"]["exp_year"], "fingerprint": ch["pm"]["fingerprint"], "funding": "credit",
            "last4": ch["pm"]["last4"], "network": ch["pm"]["brand"], "three_d_secure": None, "wallet": None}},
        "status": "failed" if refusal else "succeeded",
    }
    if not is_new(version):
        out["invoice"] = ch["invoice"]
    return out


def dispute(row, _version=None):
    return {"id": row["id"], "object": "dispute", "amount": row["amount"], "charge": row["charge"], "created": row["created"],
            "currency": row["currency"], "evidence": {}, "is_charge_refundable": False, "livemode": False, "metadata": {},
            "payment_intent": row["intent"], "reason": "fraudulent", "status": "needs_response", "balance_transactions": []}


def event(row):
    return {"id": row["id"], "object": "event", "api_version": row["api_version"], "created": row["created"],
            "data": {"object": row["object"], **({"previous_attributes": row["previous"]} if row["previous"] else {})},
            "livemode": False, "pending_webhooks": 1, "request": {"id": row["request"], "idempotency_key": row["key"]},
            "type": row["type"]}


def error(message, kind="invalid_request_error", **more):
    return {"error": {**more, "message": message, "type": kind}}


def card_error(refusal, ch, pi, pm):
    """The body of a 402: what the issuer said, and the objects around it."""
    out = {"charge": ch["id"] if ch else None, "code": refusal["code"], "decline_code": refusal["decline_code"],
           "doc_url": "https://stripe.com/docs/error-codes/" + refusal["code"].replace("_", "-"),
           "message": refusal["message"], "network_decline_code": refusal["network_code"],
           "advice_code": refusal["advice_code"], "payment_intent": pi, "payment_method": pm, "type": "card_error"}
    return {"error": {k: v for k, v in out.items() if v is not None}}


def last_payment_error(refusal, ch, pm):
    out = card_error(refusal, ch, None, card(pm))["error"]
    return out


_WORDS = {
    "insufficient_funds": ("card_declined", "Your card has insufficient funds.", "51", "try_again_later"),
    "generic_decline": ("card_declined", "Your card was declined.", "05", "try_again_later"),
    "do_not_honor": ("card_declined", "Your card was declined.", "05", "try_again_later"),
    "issuer_not_available": ("card_declined", "Your card was declined.", "91", "try_again_later"),
    "processing_error": ("processing_error", "An error occurred while processing your card. Try again in a little bit.",
                         "96", "try_again_later"),
    "lost_card": ("card_declined", "Your card was declined.", "41", "do_not_try_again"),
    "stolen_card": ("card_declined", "Your card was declined.", "43", "do_not_try_again"),
    "fraudulent": ("card_declined", "Your card was declined.", "59", "do_not_try_again"),
    "revocation_of_authorization": ("card_declined", "Your card was declined.", "R1", "do_not_try_again"),
    "expired_card": ("expired_card", "Your card has expired.", "54", "confirm_card_data"),
    "authentication_required": ("authentication_required", "Your card was declined. This transaction requires authentication.",
                                None, None),
}


def refusal(decline_code):
    """An issuer's no in Stripe's words."""
    code, message, network, advice = _WORDS.get(decline_code, ("card_declined", "Your card was declined.", None, None))
    shown = None if decline_code == "processing_error" else decline_code
    return {"code": code, "decline_code": shown, "message": message, "network_code": network, "advice_code": advice,
            "said": decline_code}
