//! What was learned and what it is worth: the comparison with the holdout, the arms with their intervals, and the posterior.

use std::cmp::Reverse;

use actix_web::{HttpRequest, HttpResponse, get, web};
use jiff::tz::TimeZone;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;

use super::language::Language;
use super::{Stop, intervals, session, show, shown};
use crate::domain::report::uplift::{Group, NetDifference, SplitCompared, Uplift, uplift};
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::learning::{self, WeightRow};
use crate::http::admin::reports::asked::months_before;
use crate::http::admin::reports::compared;

/// How many months are compared, the running one included.
const MONTHS: i64 = 12;
/// How many weights of a kind are shown: those that are furthest from what was believed before.
const WEIGHTS_SHOWN: usize = 12;

/// What a case is worth more than one of the holdout, in one currency.
#[derive(Serialize)]
struct Worth {
    currency: String,
    difference: String,
    interval: Option<String>,
    verdict: &'static str,
}

/// Two versions of a campaign side by side.
#[derive(Serialize)]
struct Trial<'a> {
    #[serde(flatten)]
    split: &'a SplitCompared,
    worth: Vec<Worth>,
}

/// The weights of a kind that moved most.
#[derive(Serialize)]
struct Moved {
    kind: &'static str,
    learned: usize,
    all: usize,
    weights: Vec<MovedWeight>,
}

/// A weight as people read it.
#[derive(Serialize)]
struct MovedWeight {
    feature: String,
    now: String,
    before: String,
    n: u32,
}

impl From<WeightRow> for MovedWeight {
    fn from(row: WeightRow) -> Self {
        Self {
            now: format!("{:+.2} ± {:.2}", row.mean, row.sd),
            before: format!("{:+.2} ± {:.2}", row.prior_mean, row.prior_sd),
            n: row.n,
            feature: row.feature,
        }
    }
}

#[get("/dashboard/learning")]
pub(super) async fn page(state: web::Data<HttpState>, request: HttpRequest) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Marketing).await?;
    let now = state.engine.clock().now();
    let from = months_before(now, MONTHS - 1, &TimeZone::UTC)?;
    let compared = compared::shown(&state, (from, None)).await?;
    let waits = compared.is_none();
    let now = compared.as_ref().map_or(now, |compared| compared.at);
    let (report, mut splits) = match compared {
        Some(compared) => (compared.uplift.clone(), compared.splits.clone()),
        None => (uplift(&[]), Vec::new()),
    };
    splits.sort_by_key(|split| Reverse(split.since));
    let posterior = if visitor.caller.role.allows(Role::Billing) {
        Some(learning::newest(&state).await?)
    } else {
        None
    };
    let language = visitor.language;
    let bars = intervals::bars(&report, language);
    let context = context! {
        section => "learning",
        waits,
        now => now.to_string(),
        holdout_percent => state.engine.learned().policy.holdout_percent,
        chart => Value::from_safe_string(intervals::svg(&bars, language)),
        bars => Value::from(Serde(&bars)),
        worth => Value::from(Serde(worth(&report.against_holdout.net_values, language))),
        trials => Value::from(Serde(trials(&splits, language))),
        values => Value::from(Serde(values(&report, language))),
        posterior => Value::from(Serde(&posterior)),
        report => Value::from(Serde(&report)),
        moved => Value::from(Serde(posterior.map_or_else(Vec::new, moved))),
    };
    Ok(shown("learning.html", &visitor, &context))
}

fn worth(values: &[NetDifference], language: Language) -> Vec<Worth> {
    let money = |minor, net: &NetDifference| show::money_in(language, minor, &net.currency);
    let one = |net: &NetDifference| Worth {
        difference: money(net.difference_minor, net),
        interval: net.low_minor.zip(net.high_minor).map(|(low, high)| {
            let [low, high] = [low, high].map(|minor| money(minor, net));
            language.say_with("{low} to {high}", &[("low", &low), ("high", &high)])
        }),
        verdict: net.verdict.as_str(),
        currency: net.currency.clone(),
    };
    values.iter().map(one).collect()
}

fn trials(splits: &[SplitCompared], language: Language) -> Vec<Trial<'_>> {
    let mut trials = Vec::with_capacity(splits.len());
    for split in splits {
        let worth = worth(&split.net_values, language);
        trials.push(Trial { split, worth });
    }
    trials
}

/// What a case of each group was worth, as people read it, in the order of the groups.
fn values(report: &Uplift, language: Language) -> Vec<Vec<String>> {
    let group = |group: &Group| -> Vec<String> {
        let values = group.net_values.iter();
        values
            .map(|value| show::money_in(language, value.mean_minor, &value.currency))
            .collect()
    };
    report.groups.iter().map(group).collect()
}

fn moved(posterior: learning::Learning) -> Vec<Moved> {
    let kind = |kind: learning::KindRows| {
        let all = kind.weights.len();
        let mut weights: Vec<WeightRow> = kind.weights.into_iter().filter(|weight| weight.n > 0).collect();
        let learned = weights.len();
        let far = |weight: &WeightRow| libm::fabs(weight.mean - weight.prior_mean) / weight.prior_sd;
        weights.sort_by(|one, other| far(other).total_cmp(&far(one)));
        weights.truncate(WEIGHTS_SHOWN);
        Moved {
            kind: kind.kind.as_str(),
            learned,
            all,
            weights: weights.into_iter().map(MovedWeight::from).collect(),
        }
    };
    posterior
        .kinds
        .into_iter()
        .map(kind)
        .filter(|kind| kind.learned > 0)
        .collect()
}
