//! The decline table against an independently typed one, and what overrules it.

use recoup::domain::decline::{Decline, DeclineKind as K, Disposition as D};
use recoup::providers::stripe::declines::{RawDecline, TABLE, decline};

/// The 50 codes of cards, as typed from the published list.
const CARD: &[(&[&str], K, D)] = &[
    (&["insufficient_funds"], K::InsufficientFunds, D::Retry),
    (
        &["card_velocity_exceeded", "withdrawal_count_limit_exceeded"],
        K::Limit,
        D::Retry,
    ),
    (
        &["do_not_honor", "generic_decline", "call_issuer", "no_action_taken"],
        K::DoNotHonor,
        D::Retry,
    ),
    (&["try_again_later", "approve_with_id"], K::DoNotHonor, D::Retry),
    (&["do_not_try_again"], K::DoNotHonor, D::Never),
    (
        &["reenter_transaction", "issuer_not_available", "processing_error"],
        K::IssuerDown,
        D::Retry,
    ),
    (
        &["expired_card", "invalid_expiry_month", "invalid_expiry_year"],
        K::Expired,
        D::FixData,
    ),
    (&["new_account_information_available"], K::Expired, D::FixData),
    (
        &["incorrect_cvc", "invalid_cvc", "incorrect_zip", "incorrect_address"],
        K::InvalidAccount,
        D::FixData,
    ),
    (&["incorrect_number", "invalid_number"], K::InvalidAccount, D::FixData),
    (&["invalid_account"], K::InvalidAccount, D::Never),
    (&["lost_card", "stolen_card", "pickup_card"], K::LostStolen, D::Never),
    (&["restricted_card"], K::NotPermitted, D::CustomerAction),
    (&["fraudulent", "merchant_blacklist"], K::Fraud, D::Never),
    (&["security_violation"], K::Fraud, D::Retry),
    (
        &["card_not_supported", "currency_not_supported", "service_not_allowed"],
        K::NotPermitted,
        D::CustomerAction,
    ),
    (
        &["transaction_not_allowed", "not_permitted"],
        K::NotPermitted,
        D::CustomerAction,
    ),
    (
        &["authentication_required", "authentication_not_handled"],
        K::AuthenticationRequired,
        D::CustomerAction,
    ),
    (
        &["mobile_device_authentication_required"],
        K::AuthenticationRequired,
        D::CustomerAction,
    ),
    (
        &["offline_pin_required", "online_or_offline_pin_required"],
        K::AuthenticationRequired,
        D::CustomerAction,
    ),
    (
        &["incorrect_pin", "invalid_pin", "pin_try_exceeded"],
        K::AuthenticationRequired,
        D::CustomerAction,
    ),
    (
        &["revocation_of_authorization", "revocation_of_all_authorizations"],
        K::Revoked,
        D::Never,
    ),
    (&["stop_payment_order"], K::Revoked, D::Never),
    (
        &["duplicate_transaction", "invalid_amount", "testmode_decline"],
        K::MerchantConfig,
        D::Merchant,
    ),
];

/// The 19 codes of local payment methods.
const LOCAL: &[(&[&str], K, D)] = &[
    (&["partner_generic_decline"], K::DoNotHonor, D::Retry),
    (&["insufficient_funds"], K::InsufficientFunds, D::Retry),
    (&["processing_error"], K::IssuerDown, D::Retry),
    (&["payment_limit_exceeded"], K::Limit, D::Retry),
    (
        &["duplicate_transaction", "partner_payment_not_found"],
        K::MerchantConfig,
        D::Merchant,
    ),
    (&["invalid_business_account"], K::MerchantConfig, D::Merchant),
    (&["invalid_amount"], K::MerchantConfig, D::Never),
    (
        &["currency_not_supported", "compliance_violation"],
        K::NotPermitted,
        D::Never,
    ),
    (&["invalid_customer_account"], K::InvalidAccount, D::CustomerAction),
    (&["expired_card", "expired_payment_information"], K::Expired, D::FixData),
    (&["invalid_payment_information"], K::InvalidAccount, D::Never),
    (
        &["invalid_billing_agreement", "invalid_authorization", "payment_disputed"],
        K::Revoked,
        D::Never,
    ),
    (&["recurring_not_supported_by_bank"], K::NotPermitted, D::CustomerAction),
    (&["partner_high_risk_customer"], K::Fraud, D::Never),
];

fn read(raw: &RawDecline<'_>) -> (K, D) {
    let Decline { kind, disposition, .. } = decline(raw);
    (kind, disposition)
}

fn code(decline_code: &str) -> RawDecline<'_> {
    RawDecline {
        decline_code: Some(decline_code),
        code: Some("card_declined"),
        ..RawDecline::default()
    }
}

#[test]
fn each_code_of_the_list_is_read_as_typed_here() {
    for (section, method, typed, count) in [("card", "card", CARD, 50), ("local", "sepa_debit", LOCAL, 19)] {
        let mut listed: Vec<&str> = TABLE.sections[section]
            .codes
            .iter()
            .map(|entry| entry.code.as_str())
            .collect();
        for (codes, kind, disposition) in typed {
            for text in *codes {
                let raw = RawDecline {
                    method: Some(method),
                    ..code(text)
                };
                assert_eq!(read(&raw), (*kind, *disposition), "{section} {text}");
                let at = listed.iter().position(|listed| listed == text);
                listed.remove(at.unwrap_or_else(|| panic!("{section} {text} is read by default only")));
            }
        }
        assert_eq!(listed, Vec::<&str>::new(), "not typed here, or there twice");
        assert_eq!(
            typed.iter().map(|(codes, ..)| codes.len()).sum::<usize>(),
            count,
            "{section}"
        );
    }
}

#[test]
fn no_section_has_a_code_twice() {
    assert_eq!(TABLE.sections.len(), 13);
    for (name, section) in &TABLE.sections {
        let mut codes: Vec<&str> = section.codes.iter().map(|entry| entry.code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), section.codes.len(), "{name} has a code twice");
    }
}

/// Typed from the same list: why the provider itself blocked a charge.
#[test]
fn each_reason_of_an_outcome_is_listed() {
    for reason in [
        "highest_risk_level",
        "rule",
        "blocklist",
        "requested_block_on_incorrect_cvc",
        "previously_declined_do_not_retry",
    ] {
        assert!(TABLE.find("outcome", reason).is_some(), "{reason}");
    }
}

#[test]
fn unknown_codes_are_soft_and_kept() {
    let found = decline(&code("brand_new"));
    assert_eq!((found.kind, found.disposition), (K::DoNotHonor, D::Retry));
    assert_eq!(found.provider_code.as_deref(), Some("brand_new"));
    assert_eq!(read(&RawDecline::default()), (K::DoNotHonor, D::Retry));
    let bare = decline(&RawDecline {
        code: Some("card_declined"),
        ..RawDecline::default()
    });
    assert_eq!(
        (bare.kind, bare.provider_code.as_deref()),
        (K::DoNotHonor, Some("card_declined"))
    );
    assert!(TABLE.is_guess(&found) && !TABLE.is_guess(&bare));
    let asks = RawDecline {
        code: Some("invoice_payment_intent_requires_action"),
        ..RawDecline::default()
    };
    assert_eq!(read(&asks), (K::AuthenticationRequired, D::CustomerAction));
}

#[test]
fn the_network_overrules_the_provider() {
    for (brand, network, expected) in [
        (Some("visa"), "41", (K::LostStolen, D::Never)),
        (Some("visa"), "14", (K::InvalidAccount, D::Never)),
        (Some("visa"), "R1", (K::Revoked, D::Never)),
        (Some("visa"), "57", (K::NotPermitted, D::Never)),
        (Some("Visa"), "51", (K::InsufficientFunds, D::Retry)),
        (Some("visa"), "54", (K::Expired, D::FixData)),
        (Some("visa"), "N7", (K::InvalidAccount, D::FixData)),
        (Some("visa"), "1A", (K::AuthenticationRequired, D::CustomerAction)),
        (Some("visa"), "62", (K::NotPermitted, D::Retry)),
        (Some("visa"), "65", (K::Limit, D::Retry)),
        (Some("mastercard"), "65", (K::AuthenticationRequired, D::CustomerAction)),
        (Some("MasterCard"), "46", (K::InvalidAccount, D::Never)),
        // A generic code says nothing, other brands speak other dialects, and where dialects differ nothing is known.
        (Some("visa"), "05", (K::NotPermitted, D::CustomerAction)),
        (Some("amex"), "41", (K::NotPermitted, D::CustomerAction)),
        (None, "65", (K::NotPermitted, D::CustomerAction)),
        (None, "41", (K::LostStolen, D::Never)),
        (None, "R3", (K::Revoked, D::Never)),
    ] {
        let raw = RawDecline {
            network_code: Some(network),
            brand,
            ..code("restricted_card")
        };
        assert_eq!(read(&raw), expected, "{brand:?} {network}");
    }
    let kept = decline(&RawDecline {
        network_code: Some("51"),
        brand: Some("visa"),
        ..code("generic_decline")
    });
    assert_eq!(kept.provider_code.as_deref(), Some("generic_decline"));
    assert_eq!(kept.network_code.as_deref(), Some("51"));
}

#[test]
fn mastercard_advice_counts_for_mastercard_only() {
    let advised = |brand, advice| RawDecline {
        network_advice_code: Some(advice),
        brand: Some(brand),
        ..code("do_not_honor")
    };
    assert_eq!(read(&advised("mastercard", "03")), (K::DoNotHonor, D::Never));
    assert_eq!(read(&advised("mastercard", "21")), (K::Revoked, D::Never));
    assert_eq!(read(&advised("mastercard", "01")), (K::DoNotHonor, D::FixData));
    assert_eq!(read(&advised("mastercard", "02")), (K::DoNotHonor, D::Retry));
    assert_eq!(read(&advised("mastercard", "24")), (K::DoNotHonor, D::Retry));
    assert_eq!(decline(&advised("mastercard", "24")).advice_code.as_deref(), Some("24"));
    for advice in ["03", "21", "01"] {
        assert_eq!(read(&advised("visa", advice)), (K::DoNotHonor, D::Retry), "{advice}");
        assert_eq!(decline(&advised("visa", advice)).advice_code, None, "{advice}");
    }
    // Advice never softens what the network forbids.
    let lost = RawDecline {
        network_code: Some("41"),
        ..advised("mastercard", "01")
    };
    assert_eq!(read(&lost), (K::LostStolen, D::Never));
}

#[test]
fn the_providers_advice_has_the_last_word_but_heals_nothing() {
    let advised = |decline_code, advice| RawDecline {
        advice_code: Some(advice),
        ..code(decline_code)
    };
    assert_eq!(
        read(&advised("generic_decline", "do_not_try_again")),
        (K::DoNotHonor, D::Never)
    );
    assert_eq!(
        read(&advised("expired_card", "do_not_try_again")),
        (K::Expired, D::Never)
    );
    assert_eq!(
        read(&advised("generic_decline", "confirm_card_data")),
        (K::DoNotHonor, D::FixData)
    );
    assert_eq!(
        read(&advised("generic_decline", "try_again_later")),
        (K::DoNotHonor, D::Retry)
    );
    assert_eq!(
        read(&advised("restricted_card", "try_again_later")),
        (K::NotPermitted, D::Retry)
    );
    assert_eq!(
        read(&advised("lost_card", "try_again_later")),
        (K::LostStolen, D::Never)
    );
    assert_eq!(
        read(&advised("lost_card", "confirm_card_data")),
        (K::LostStolen, D::Never)
    );
    assert_eq!(
        read(&advised("authentication_required", "try_again_later")),
        (K::AuthenticationRequired, D::CustomerAction)
    );
}

#[test]
fn the_providers_own_blocks_are_told_apart() {
    let blocked = |reason| RawDecline {
        outcome_reason: Some(reason),
        outcome_type: Some("blocked"),
        ..code("generic_decline")
    };
    let before = decline(&blocked("previously_declined_do_not_retry"));
    assert_eq!((before.kind, before.disposition), (K::DoNotHonor, D::Retry));
    assert_eq!(
        before.provider_code.as_deref(),
        Some("previously_declined_do_not_retry")
    );
    assert_eq!(read(&blocked("highest_risk_level")), (K::Fraud, D::Never));
    assert_eq!(
        read(&blocked("requested_block_on_incorrect_cvc")),
        (K::InvalidAccount, D::FixData)
    );
    assert_eq!(read(&blocked("something_new")), (K::DoNotHonor, D::Retry));
    // The same word from the issuer is no block.
    let issuer = RawDecline {
        outcome_type: Some("issuer_declined"),
        ..blocked("rule")
    };
    assert_eq!(read(&issuer), (K::DoNotHonor, D::Retry));
}
