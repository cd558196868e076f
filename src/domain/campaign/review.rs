//! A campaign among the others: what is wrong with a file only beside what is there already, and what it changes.

use similar::TextDiff;

use super::fault::Flaw;
use super::segment::{in_order, live, unreachable};
use super::{BadCampaign, Campaign, Fault};

/// How many lines around a change a difference shows.
const AROUND: usize = 3;

impl Campaign {
    /// Reads a campaign that is to be published beside others. It fails where it cannot be used or says what it cannot mean.
    pub fn review(text: &str, others: &[Self]) -> Result<Self, BadCampaign> {
        let (campaign, mut faults) = Self::read(text)?;
        let mut all: Vec<&Self> = others.iter().collect();
        all.retain(|other| (&other.name, other.version) != (&campaign.name, campaign.version));
        all.push(&campaign);
        faults.extend(campaign.faults_among(&all, text));
        if faults.is_empty() {
            Ok(campaign)
        } else {
            Err(BadCampaign(faults))
        }
    }

    /// What is wrong with it among all campaigns, itself included: segments that are never reached, a split against nothing.
    pub fn faults_among(&self, all: &[&Self], text: &str) -> Vec<Fault> {
        let mut newest = live(all);
        in_order(&mut newest);
        let dead = unreachable(&newest);
        let its = dead.iter().filter(|dead| dead.campaign == self);
        let mut flaws: Vec<Flaw> = its
            .map(|dead| {
                let what = format!(
                    "the segment is never reached, because {} is asked before and takes its cases: give this campaign a lower \
                     order, or mend the segment",
                    dead.before.name
                );
                Flaw::new(format!("for.{}", dead.nth), what)
            })
            .collect();
        let is_there = |version| {
            all.iter()
                .any(|other| other.name == self.name && other.version == version)
        };
        if self.split.is_some_and(|split| !is_there(split.against)) {
            let what = format!(
                "there is no such version of {} to compare with: publish that one first",
                self.name
            );
            flaws.push(Flaw::new("split.against", what));
        }
        flaws.into_iter().map(|flaw| flaw.placed(text)).collect()
    }
}

/// What changes from one text of a campaign to another, as a unified diff; empty where nothing does.
pub fn difference((from_name, from): (&str, &str), (to_name, to): (&str, &str)) -> String {
    let diff = TextDiff::from_lines(from, to);
    let mut unified = diff.unified_diff();
    unified.context_radius(AROUND).header(from_name, to_name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::campaign::EMBEDDED;

    fn named(name: &str, extra: &str) -> String {
        let head = format!("name = \"{name}\"\nversion = 2\n{extra}");
        EMBEDDED.replace("name = \"default\"\nversion = 2\n", &head)
    }

    #[test]
    fn a_file_is_judged_beside_what_is_there() {
        let wide = Campaign::parse(&named("wide", "order = 1\n[[for]]\ncountries = [\"DE\", \"AT\"]\n")).unwrap();
        let narrow = "[[for]]\nkinds = [\"limit\"]\n[[for]]\ncountries = [\"AT\"]\n";
        let BadCampaign(faults) = Campaign::review(&named("narrow", narrow), std::slice::from_ref(&wide)).unwrap_err();
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("wide is asked before"), "{said:?}");
        let line = named("narrow", narrow)
            .lines()
            .position(|line| line.contains("AT"))
            .unwrap();
        assert!(
            faults[0].at.is_some_and(|at| at.line == line || at.line == line + 1),
            "{faults:?} {line}"
        );
        let first = format!("order = 0\n{narrow}");
        assert!(Campaign::review(&named("narrow", &first), &[wide]).is_ok());
        let split = named("default", "[split]\npercent = 50\nagainst = 1\n");
        assert!(Campaign::review(&split, &[]).is_err());
        let old = Campaign {
            version: 1,
            ..Campaign::embedded()
        };
        assert!(Campaign::review(&split, &[old]).is_ok());
    }

    #[test]
    fn a_difference_is_shown_with_what_is_around_it() {
        let to = EMBEDDED.replace("after_days = 21", "after_days = 28");
        let diff = difference(("default@2", EMBEDDED), ("default@3", &to));
        assert!(diff.starts_with("--- default@2\n+++ default@3\n@@ "), "{diff}");
        assert!(diff.contains("\n-after_days = 21\n+after_days = 28\n"), "{diff}");
        assert_eq!(difference(("a", EMBEDDED), ("b", EMBEDDED)), "");
    }
}
