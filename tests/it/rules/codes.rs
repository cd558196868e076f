//! Codes that are known and codes that are not, from the file to the last charge.

use recoup::domain::command::EntryKind;
use recoup::domain::decline::{Decline, DeclineKind, Disposition};
use recoup::domain::network::Network;
use recoup::domain::taxonomy::{CodesOf, Taxonomy, UnknownCode, Wording};
use recoup::providers::stripe::declines::TABLE;
use recoup::sandbox::{Outcome as Charge, Shape};
use recoup::store::timeline;

use crate::support::story::{Story, tell_in};

fn decline(kind: DeclineKind, disposition: Disposition, codes: [Option<&str>; 3]) -> Decline {
    let [provider_code, network_code, advice_code] = codes.map(|code| code.map(str::to_owned));
    Decline {
        kind,
        disposition,
        provider_code,
        network_code,
        advice_code,
    }
}

fn refused(codes: [Option<&str>; 3]) -> Decline {
    decline(DeclineKind::DoNotHonor, Disposition::Retry, codes)
}

#[test]
fn every_code_with_a_kind_has_a_disposition_and_a_wording() {
    for (name, section) in &TABLE.sections {
        for code in &section.codes {
            let what = format!("{name} {}", code.code);
            assert_eq!(code.kind.is_some(), code.wording.is_some(), "{what}");
            assert!(code.kind.is_none() || code.disposition.is_some(), "{what}");
            if section.codes_of == CodesOf::Provider {
                assert!(code.kind.is_some(), "{what} would be read by default");
            }
            if let Some(kind @ (DeclineKind::LostStolen | DeclineKind::Fraud)) = code.kind {
                assert_eq!(
                    code.wording,
                    Some(Wording::of(kind)),
                    "{what} tells the customer too much"
                );
            }
        }
    }
}

#[test]
fn every_network_section_has_the_name_of_a_network() {
    for (name, section) in &TABLE.sections {
        let network = name.strip_suffix("_advice").unwrap_or(name);
        let named = network.parse::<Network>().is_ok();
        assert_eq!(
            named,
            section.codes_of == CodesOf::Network || name.ends_with("_advice"),
            "{name}"
        );
    }
}

#[test]
fn what_no_section_has_is_told_by_section() {
    let unknown = |codes, network| {
        let told = TABLE.unknown(&refused(codes), network);
        told.into_iter()
            .map(|UnknownCode { section, code }| format!("{section} {code}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        unknown([Some("do_not_honor"), Some("05"), None], Network::Visa),
        [""; 0]
    );
    assert_eq!(unknown([None, None, None], Network::Unknown), [""; 0]);
    assert_eq!(
        unknown([Some("brand_new"), Some("Q9"), Some("99")], Network::Mastercard),
        ["provider brand_new", "mastercard Q9", "mastercard_advice 99"]
    );
    // Who publishes no list cannot be missed in one, and advice without a network is the provider's.
    assert_eq!(
        unknown([None, Some("Q9"), Some("ask_again")], Network::Amex),
        ["advice ask_again"]
    );
    assert_eq!(unknown([None, Some("R99"), None], Network::Ach), ["ach R99"]);
    assert_eq!(
        Taxonomy::NONE.unknown(&refused([Some("brand_new"), None, None]), Network::Visa),
        []
    );
}

#[test]
fn customers_are_told_what_the_code_says_unless_the_network_overrules_it() {
    let wording = |kind, code| TABLE.wording(&decline(kind, Disposition::FixData, [Some(code), None, None]));
    assert_eq!(
        wording(DeclineKind::InvalidAccount, "incorrect_cvc"),
        Wording::SecurityCode
    );
    assert_eq!(wording(DeclineKind::InvalidAccount, "incorrect_zip"), Wording::Address);
    assert_eq!(
        wording(DeclineKind::InvalidAccount, "no_payment_method"),
        Wording::NoMethod
    );
    assert_eq!(wording(DeclineKind::Expired, "incorrect_cvc"), Wording::OutOfDate);
    assert_eq!(wording(DeclineKind::LostStolen, "lost_card"), Wording::NotApproved);
    assert_eq!(wording(DeclineKind::DoNotHonor, "brand_new"), Wording::NotApproved);
}

/// What nobody knows may be anything: it is charged twice, counted and listed, and the customer is written to.
#[test]
fn an_unknown_code_is_charged_twice_and_listed() {
    tell_in(Shape::New, "2026-03-02T08:00:00Z", &[], &async |story: &mut Story| {
        let failed = story.failed_invoice("brand_new");
        let always = std::iter::repeat_n(Charge::decline("brand_new"), 10);
        story.sandbox.script_outcomes(&failed.invoice, always);
        story.settle().await;
        story.advance("2026-03-20T08:00:00Z").await;
        let case = story.case(&failed.invoice).await;
        assert_eq!(case.decline.kind, DeclineKind::DoNotHonor);
        assert_eq!(case.memory.charges, 2);
        let lines = timeline::by_case(story.app.store.conn(), &case.id, 200, None)
            .await
            .unwrap();
        let plan = lines.iter().rev().find(|line| line.kind == EntryKind::Planned).unwrap();
        assert_eq!(plan.data["ceiling"]["rule"], "unknown_code");
        let (status, listed) = story.get("/v1/unknown-codes").await;
        assert_eq!(status, 200);
        assert_eq!(
            listed["data"],
            serde_json::json!([{"connection": "stripe", "section": "provider", "code": "brand_new",
                "first_seen": "2026-03-02T08:00:00Z", "last_seen": "2026-03-05T08:00:00Z", "count": 3}])
        );
        let metrics = reqwest::get(format!("{}/metrics", story.url))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert!(
            metrics.contains("recoup_unknown_codes_total{section=\"provider\"}"),
            "{metrics}"
        );
    });
}
