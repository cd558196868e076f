//! Two versions of a campaign, side by side: customers were divided between them by chance.

use jiff::Timestamp;
use serde::Serialize;

use super::{Difference, Needed, NetDifference, Side, UpliftFact, Verdict, judged, money, side, still_needed, texts};

/// A version that only a part of the customers got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divided {
    /// The campaign.
    pub name: String,
    /// The version.
    pub version: u32,
    /// The version that all others got.
    pub against: u32,
    /// How many of a hundred customers got it.
    pub percent: u8,
    /// When it was published.
    pub since: Timestamp,
    /// When the next version was published, which ended the division.
    pub until: Option<Timestamp>,
}

/// Two versions of a campaign, compared.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SplitCompared {
    /// The campaign.
    pub campaign: String,
    /// The version that a part of the customers got.
    pub version: u32,
    /// The version that all others got.
    pub against: u32,
    /// How many of a hundred customers got it.
    pub percent: u8,
    /// Since when customers were divided.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Until when; nothing where they still are.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// The cases of the version.
    pub of_version: Side,
    /// The cases of the other one.
    pub of_against: Side,
    /// How much more the version recovers.
    pub difference: Option<Difference>,
    /// Whether that can be told from chance.
    pub verdict: Verdict,
    /// Why the verdict is what it is.
    pub why: &'static str,
    /// How many cases it takes to tell.
    pub needed: Vec<Needed>,
    /// How much more a case of the version is worth, by currency.
    pub net_values: Vec<NetDifference>,
}

/// Compares the versions of each division, by the cases opened while it lasted. A case counts for the version it was opened with,
/// whatever it was moved to since.
pub fn splits(facts: &[UpliftFact], divided: &[Divided]) -> Vec<SplitCompared> {
    divided.iter().map(|one| compared(facts, one)).collect()
}

fn compared(facts: &[UpliftFact], divided: &Divided) -> SplitCompared {
    let lasted = |fact: &&UpliftFact| {
        fact.opened_at >= divided.since && divided.until.is_none_or(|until| fact.opened_at < until)
    };
    let of = |version: u32| -> Vec<&UpliftFact> {
        let its = |fact: &&UpliftFact| fact.campaign.0 == divided.name && fact.campaign.1 == version;
        facts
            .iter()
            .filter(lasted)
            .filter(its)
            .filter(|fact| fact.window_over)
            .collect()
    };
    let (mine, theirs) = (of(divided.version), of(divided.against));
    let ((of_version, share), (of_against, other)) = (side(&mine), side(&theirs));
    let both = share.zip(other);
    let limits = both.map(|(share, other)| share.above(&other));
    let (verdict, why) = limits.map_or((Verdict::NotYet, texts::NO_WINDOW_OVER), judged);
    SplitCompared {
        campaign: divided.name.clone(),
        version: divided.version,
        against: divided.against,
        percent: divided.percent,
        since: divided.since,
        until: divided.until,
        of_version,
        of_against,
        difference: limits.map(Difference::of),
        verdict,
        why,
        needed: both.map_or_else(Vec::new, |both| still_needed(both, [mine.len(), theirs.len()])),
        net_values: money::differences(&mine, &theirs),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::fact;
    use super::*;

    /// Customers are divided between two versions; what was opened before, after or elsewhere does not count.
    #[test]
    fn two_versions_are_compared_by_the_cases_of_their_time() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let case = |number: usize, version: u32, opened: &str, recovered: bool| UpliftFact {
            campaign: ("default".to_owned(), version),
            opened_at: at(opened),
            ..fact(number, None, recovered)
        };
        let mut facts: Vec<UpliftFact> = (0..400)
            .map(|number| {
                let version = if number % 2 == 0 { 3 } else { 2 };
                // Of the new version seven in ten recover, of the old one half.
                let recovered = if version == 3 {
                    number % 20 < 14
                } else {
                    number % 4 == 1
                };
                case(number, version, "2026-02-10T00:00:00Z", recovered)
            })
            .collect();
        facts.extend((400..500).map(|number| case(number, 2, "2026-01-10T00:00:00Z", false)));
        facts.extend((500..600).map(|number| case(number, 2, "2026-03-10T00:00:00Z", false)));
        facts.push(UpliftFact {
            window_over: false,
            ..case(600, 3, "2026-02-10T00:00:00Z", false)
        });
        let divided = Divided {
            name: "default".to_owned(),
            version: 3,
            against: 2,
            percent: 50,
            since: at("2026-02-01T00:00:00Z"),
            until: Some(at("2026-03-01T00:00:00Z")),
        };
        let [found] = &splits(&facts, std::slice::from_ref(&divided))[..] else {
            panic!()
        };
        assert_eq!((found.of_version.cases, found.of_version.recovered), (200, 140));
        assert_eq!((found.of_against.cases, found.of_against.recovered), (200, 100));
        assert_eq!(found.verdict, Verdict::Ahead);
        assert_eq!(found.difference.as_ref().unwrap().points.percent, "20.00");
        assert!(found.needed[0].seen && found.needed[0].still == 0, "{:?}", found.needed);
        let young = Divided {
            since: at("2026-04-01T00:00:00Z"),
            until: None,
            ..divided
        };
        let [nothing] = &splits(&facts, &[young])[..] else {
            panic!()
        };
        assert_eq!((nothing.verdict, nothing.difference.as_ref()), (Verdict::NotYet, None));
    }
}
