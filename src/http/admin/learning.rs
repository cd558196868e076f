//! `GET /v1/learning`

use std::collections::BTreeMap;

use actix_web::{HttpResponse, get, web};
use serde::Serialize;

use crate::domain::campaign::Campaign;
use crate::domain::campaign::segment::DEFAULT;
use crate::domain::decline::DeclineKind;
use crate::domain::learning::Learned;
use crate::domain::learning::arms::{
    Arm, BASELINE, Beta, Candidate, REST_MARGIN, REST_SURE, behind, candidates, rests,
};
use crate::domain::learning::hazard::Weight;
use crate::domain::learning::model::Model;
use crate::domain::learning::plan::Terms;
use crate::domain::learning::prior::{Prior, Source};
use crate::domain::words::words;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::wire::Instant;
use crate::store::{campaigns, learning};

words! {
    /// Whether an arm is drawn.
    ArmState {
        /// New cases may draw it.
        InUse = "in_use",
        /// It is nearly certainly behind the baseline, and is not drawn.
        Rests = "rests",
        /// The campaign of new cases does not name it for this kind.
        NotNamed = "not_named",
    }
}

/// What is known of an arm for a kind of decline.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ArmRow {
    /// The arm.
    pub arm: Arm,
    /// So much was brought in, what was believed before included; older results count less.
    pub alpha: f64,
    /// So much was not.
    pub beta: f64,
    /// The share it is expected to bring in.
    pub mean: f64,
    /// How far that may be off: one deviation.
    pub sd: f64,
    /// From how many cases.
    pub n: u32,
    /// The same share before anything was seen.
    pub prior_mean: f64,
    /// Whether new cases draw it.
    pub state: ArmState,
    /// Why not, where they do not.
    pub why: Option<String>,
    /// With which probability a new case draws it, if its customer is not held out.
    pub propensity: Option<f64>,
}

/// What is known of one feature of a charge.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WeightRow {
    /// The feature.
    pub feature: String,
    /// What it adds to the logarithm of the odds.
    pub mean: f64,
    /// How far that may be off: one deviation.
    pub sd: f64,
    /// From how many answers.
    pub n: u32,
    /// The same before anything was seen.
    pub prior_mean: f64,
    /// How far that was thought to be off.
    pub prior_sd: f64,
    /// All of it in one line.
    #[schema(example = "insufficient_funds @ 31 to 78 h after the failure: +0.41 ± 0.12, n=318")]
    pub text: String,
}

/// What is known of a kind of decline.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct KindRows {
    /// The kind.
    pub kind: DeclineKind,
    /// The arms.
    pub arms: Vec<ArmRow>,
    /// The weights of the chance that a charge succeeds.
    pub weights: Vec<WeightRow>,
}

/// Where learning began.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PriorJson {
    /// The version of the file.
    pub version: u32,
    /// What it is.
    pub note: String,
    /// Where its beliefs come from.
    pub sources: Vec<Source>,
}

/// The newest posterior.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Learning {
    /// Its version; 0 is what is believed before anything was seen.
    pub version: u64,
    /// When it was made.
    pub made_at: Option<Instant>,
    /// The share of customers who are held out at present, in percent.
    pub holdout_percent: u8,
    /// What charges are taken to cost and to bring.
    pub terms: Terms,
    /// Where it began.
    pub prior: PriorJson,
    /// What is known of each kind that is charged by schedule.
    pub kinds: Vec<KindRows>,
    /// What each figure means.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub definitions: BTreeMap<&'static str, &'static str>,
}

/// What each figure means.
const DEFINITIONS: [(&str, &str); 5] = [
    (
        "arms",
        "How good an arm is for a kind: a Beta distribution over the share of what is owed that it brings in, less what its charges cost. alpha and beta count cases, halved in weight every 90 days, and 1,000 that stand for what was believed before.",
    ),
    (
        "arms.propensity",
        "The probability that the arm is the best one by what is known, with a floor of 3 in 100; among the arms of the newest version of the campaign of new cases.",
    ),
    (
        "arms.state",
        "rests: more than 95 % sure to be behind the baseline, even, by more than 3 points. not_named: the campaign does not offer it for this kind.",
    ),
    (
        "weights",
        "The chance of a charge is the logistic function of the sum of its features' weights: one each for the delay, the hour, the weekday, the day of the month, the gap and the number of the charge, and the payday by the share of people just paid.",
    ),
    (
        "n",
        "How many cases (arms) or answers to charges (weights) it was learned from. Where it is 0, what stands there is what was believed before.",
    ),
];

/// Shows what is known, as rows that a person can read.
#[utoipa::path(tag = "learning", responses((status = 200, description = "The newest posterior.", body = Learning)))]
#[get("/v1/learning")]
pub(super) async fn get(state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(newest(&state).await?))
}

/// The newest posterior that the database has.
pub(in crate::http) async fn newest(state: &HttpState) -> Result<Learning, Problem> {
    let conn = state.store.conn();
    let prior = Prior::embedded();
    let before = Learned::nothing().model;
    let stored = learning::newest(conn).await?;
    let model = stored
        .as_ref()
        .map_or_else(|| before.clone(), |stored| Model::read(&prior, &stored.document));
    let campaign = campaigns::newest(conn, DEFAULT)
        .await?
        .unwrap_or_else(Campaign::embedded);
    let policy = state.engine.learned().policy;
    Ok(Learning {
        version: stored.as_ref().map_or(0, |stored| stored.version),
        made_at: stored.map(|stored| Instant(stored.at)),
        holdout_percent: policy.holdout_percent,
        terms: policy.terms,
        kinds: model
            .kinds()
            .map(|kind| KindRows {
                kind,
                arms: arm_rows(kind, &model, &before, &campaign),
                weights: weight_rows(kind, &model, &before),
            })
            .collect(),
        prior: PriorJson {
            version: prior.version,
            note: prior.note,
            sources: prior.sources,
        },
        definitions: DEFINITIONS.into_iter().collect(),
    })
}

fn arm_rows(kind: DeclineKind, model: &Model, before: &Model, campaign: &Campaign) -> Vec<ArmRow> {
    let planned = campaign.ladder(kind).and_then(|ladder| ladder.planned.as_ref());
    let named: Vec<Candidate> = planned.map_or_else(Vec::new, |planned| candidates(&model.arms(kind, &planned.arms)));
    let baseline = model.arms(kind, &[BASELINE]).first().map(|(_, known)| *known);
    let row = |((arm, known), (_, first)): ((Arm, Beta), (Arm, Beta))| {
        let candidate = named.iter().find(|candidate| candidate.arm == arm);
        let (state, why) = standing(arm, &known, baseline.as_ref(), candidate);
        ArmRow {
            arm,
            alpha: short(known.alpha),
            beta: short(known.beta),
            mean: short(known.mean()),
            sd: short(known.deviation()),
            n: known.n,
            prior_mean: short(first.mean()),
            state,
            why,
            propensity: candidate.map(|candidate| short(candidate.propensity)),
        }
    };
    let known = model.arms(kind, Arm::ALL).into_iter();
    known.zip(before.arms(kind, Arm::ALL)).map(row).collect()
}

/// Whether an arm is drawn, and why not.
fn standing(
    arm: Arm,
    known: &Beta,
    baseline: Option<&Beta>,
    candidate: Option<&Candidate>,
) -> (ArmState, Option<String>) {
    let Some(candidate) = candidate else {
        let why = format!("the newest version of the campaign {DEFAULT} does not name it for this kind");
        return (ArmState::NotNamed, Some(why));
    };
    let behind = baseline
        .filter(|baseline| arm != BASELINE && rests(known, baseline))
        .map(|baseline| behind(known, baseline));
    match behind {
        Some(sure) if candidate.rests => {
            let why = format!(
                "it is behind {BASELINE} by more than {:.0} points with a probability of {sure:.3}, above {REST_SURE}",
                REST_MARGIN * 100.0
            );
            (ArmState::Rests, Some(why))
        }
        Some(_) | None => (ArmState::InUse, None),
    }
}

fn weight_rows(kind: DeclineKind, model: &Model, before: &Model) -> Vec<WeightRow> {
    let row = |((feature, weight), (_, first)): ((String, Weight), (String, Weight))| WeightRow {
        text: format!(
            "{kind} @ {feature}: {:+.2} ± {:.2}, n={}",
            weight.mean,
            weight.deviation(),
            weight.n
        ),
        feature,
        mean: short(weight.mean),
        sd: short(weight.deviation()),
        n: weight.n,
        prior_mean: short(first.mean),
        prior_sd: short(first.deviation()),
    };
    let rows = model.weights(kind).zip(before.weights(kind));
    rows.map_or_else(Vec::new, |(known, before)| {
        known.rows().zip(before.rows()).map(row).collect()
    })
}

/// A number to four places.
fn short(number: f64) -> f64 {
    libm::round(number * 10_000.0) / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::learning::model::{Document, KindDocument};

    #[test]
    fn an_arm_that_rests_says_why_and_one_that_is_not_offered_too() {
        let kind = DeclineKind::InsufficientFunds;
        let beta = |alpha, beta| Beta { alpha, beta, n: 7 };
        let known = KindDocument {
            weights: BTreeMap::new(),
            arms: BTreeMap::from([(Arm::Payday, beta(400.0, 600.0)), (Arm::Even, beta(500.0, 500.0))]),
        };
        let document = Document {
            day: None,
            kinds: BTreeMap::from([(kind, known)]),
        };
        let before = Learned::nothing().model;
        let model = Model::read(&Prior::embedded(), &document);
        let days = Campaign::parse(include_str!("../../../tests/fixtures/campaigns/default.toml")).unwrap();
        let rows = arm_rows(kind, &model, &before, &days);
        assert!(
            rows.iter()
                .all(|row| row.state == ArmState::NotNamed && row.propensity.is_none())
        );
        let campaign = Campaign::embedded();
        let rows = arm_rows(kind, &model, &before, &campaign);
        let states: Vec<(Arm, ArmState)> = rows.iter().map(|row| (row.arm, row.state)).collect();
        let expected = [
            (Arm::Adaptive, ArmState::InUse),
            (Arm::Payday, ArmState::Rests),
            (Arm::Even, ArmState::InUse),
            (Arm::Front, ArmState::NotNamed),
            (Arm::Late, ArmState::NotNamed),
        ];
        assert_eq!(states, expected);
        let said = "it is behind even by more than 3 points with a probability of 0.999, above 0.95";
        assert_eq!(rows[1].why.as_deref(), Some(said));
        assert_eq!((rows[1].mean.to_bits(), rows[1].n), (0.4_f64.to_bits(), 7));
        assert!((rows[1].prior_mean - 0.45).abs() < 1e-9, "{rows:?}");
        let drawn: f64 = rows.iter().filter_map(|row| row.propensity).sum();
        assert!((drawn - 1.0).abs() < 0.001, "{rows:?}");
    }
}
