//! A provider that refuses our credentials: told to people, counted as nothing, healed by itself.

use recoup::domain::case::Warning;
use recoup::providers::{ChargeOutcome, ReadError};

use super::crew::{Charge, Crew, Read, play};
use crate::support::story::Story;

const START: &str = "2026-03-02T08:30:00Z";

#[test]
fn a_read_that_is_refused_counts_as_nothing() {
    for status in [401, 403] {
        play(START, &async |story: &mut Story| {
            let failed = story.failed_invoice("insufficient_funds");
            story.advance("2026-03-02T12:00:00Z").await;
            let crew = Crew::new(story);
            for _ in 0..3 {
                crew.puppet.next_read(Read::Fail(ReadError::Refused(status)));
            }
            crew.advance(story, "2026-03-03T10:30:00Z").await;
            let case = story.case(&failed.invoice).await;
            assert_eq!(case.warnings, [Warning::ProviderRefuses]);
            assert_eq!((case.attempts, crew.puppet.keys().len()), (1, 0));
            crew.advance(story, "2026-03-03T11:00:00Z").await;
            let case = story.case(&failed.invoice).await;
            assert_eq!((case.warnings.len(), case.status().as_str()), (0, "recovered"));
            assert_eq!(story.attempts(&case.id).await, ["provider declined", "us succeeded"]);
        });
    }
}

#[test]
fn a_charge_that_is_refused_counts_as_nothing() {
    play(START, &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        story.advance("2026-03-02T12:00:00Z").await;
        let crew = Crew::new(story);
        crew.puppet.next_charge(Charge::Answer(ChargeOutcome::NotSent {
            reason: "HTTP 403".to_owned(),
            needs_person: true,
            retry_after: None,
        }));
        crew.advance(story, "2026-03-03T08:59:00Z").await;
        let case = story.case(&failed.invoice).await;
        assert_eq!(case.warnings, [Warning::ProviderRefuses]);
        assert_eq!(case.attempts, 1);
        crew.advance(story, "2026-03-03T09:00:00Z").await;
        let case = story.case(&failed.invoice).await;
        assert_eq!((case.warnings.len(), case.status().as_str()), (0, "recovered"));
        assert_eq!(
            story.attempts(&case.id).await,
            ["provider declined", "us not_sent", "us succeeded"]
        );
        let keys = crew.puppet.keys();
        assert_ne!(keys[0], keys[1], "what was certainly not sent needs no old key");
    });
}
