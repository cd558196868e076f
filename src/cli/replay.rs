//! `recoup replay`.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use anyhow::Context;
use indicatif::ProgressBar;
use jiff::Timestamp;

use crate::app::open_store;
use crate::config::Config;
use crate::domain::ids::CaseId;
use crate::domain::learning::Learned;
use crate::domain::learning::model::Model;
use crate::domain::learning::prior::Prior;
use crate::domain::schedule::planned::Stored;
use crate::store::timeline::Placed;
use crate::store::{Store, learning, timeline};

/// How many plans are read at once.
const PAGE: u64 = 500;

/// What can be given to `replay`.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Arguments {
    /// The decisions of this case.
    #[arg(long, value_name = "ID")]
    case: Option<String>,
    /// All decisions since then, such as 2026-03-01T00:00:00Z.
    #[arg(long, value_name = "INSTANT")]
    since: Option<Timestamp>,
}

/// Derives stored decisions again from what they name; fails at the first that differs.
pub async fn run(config: &Config, given: &Arguments) -> anyhow::Result<()> {
    let store = open_store(config).await?;
    let case = given.case.clone().map(CaseId::from);
    let since = given.since.unwrap_or(Timestamp::UNIX_EPOCH);
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new_spinner()
    } else {
        ProgressBar::hidden()
    };
    let mut posteriors = Posteriors::new(config);
    let (mut after, mut same, mut fixed) = (None::<(CaseId, i64)>, 0_u64, 0_u64);
    loop {
        let from = after.as_ref().map(|(case, seq)| (case, *seq));
        let plans = timeline::plans(store.conn(), case.as_ref(), since, from, PAGE).await?;
        let Some(last) = plans.last() else { break };
        after = Some((last.case_id.clone(), last.seq));
        for plan in &plans {
            if derived(&store, &mut posteriors, plan).await? {
                same += 1;
            } else {
                fixed += 1;
            }
        }
        bar.inc(plans.len() as u64);
    }
    bar.finish_and_clear();
    store.close().await?;
    anyhow::ensure!(
        same + fixed > 0,
        "no stored decision was found; name a case that has one, or an earlier instant"
    );
    println!("{same} decisions of arms derived again, none differs; {fixed} followed a campaign's own days");
    Ok(())
}

/// Derives one decision again; says no where a campaign's own days leave nothing to derive.
async fn derived(store: &Store, posteriors: &mut Posteriors, plan: &Placed) -> anyhow::Result<bool> {
    if plan.row.data.get("inputs").is_none() {
        return Ok(false);
    }
    let (case, line) = (&plan.case_id, &plan.row.id);
    let stored: Stored = serde_json::from_value(plan.row.data.clone())
        .with_context(|| format!("the decision {line} of case {case} cannot be read"))?;
    let learned = posteriors.of(store, stored.inputs.version).await?;
    match stored.difference(learned) {
        None => Ok(true),
        Some(how) => anyhow::bail!("case {case}, decision {line} at {}: {how}", plan.row.at),
    }
}

/// The posteriors that decisions name, each read once.
struct Posteriors {
    prior: Prior,
    known: BTreeMap<u64, Learned>,
}

impl Posteriors {
    fn new(config: &Config) -> Self {
        let mut nothing = Learned::nothing();
        nothing.policy = config.learning;
        Self {
            prior: Prior::embedded(),
            known: BTreeMap::from([(0, nothing)]),
        }
    }

    async fn of(&mut self, store: &Store, version: u64) -> anyhow::Result<&Learned> {
        if !self.known.contains_key(&version) {
            let posterior = learning::of_version(store.conn(), version).await?;
            let posterior = posterior.with_context(|| format!("the posterior {version} is missing"))?;
            let learned = Learned {
                version,
                model: Model::read(&self.prior, &posterior.document),
                policy: self.known[&0].policy,
            };
            self.known.insert(version, learned);
        }
        Ok(&self.known[&version])
    }
}
