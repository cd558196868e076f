//! `POST /v1/cases/bulk`: one act on many cases, first without doing it.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, post, web};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::act::remark;
use super::asked::CasesQuery;
use crate::domain::case::{Case, NextAction};
use crate::domain::event::StaffAction;
use crate::domain::ids::CaseId;
use crate::domain::words::words;
use crate::engine::StaffError;
use crate::http::HttpState;
use crate::http::admin::approvals;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::page::{self, Window};
use crate::http::wire::{self, MoneyJson};
use crate::store::cases;

/// The most cases of one act: so many can still be looked through, and taken back one by one.
pub(in crate::http) const CASES_MAX: usize = 500;
/// How many are acted on side by side; what is done together shares a transaction.
const TOGETHER: usize = 32;

words! {
    /// What can be done to many cases at once. What moves money is done to one at a time.
    BulkAction {
        /// Do nothing until an instant.
        Pause = "pause",
        /// Go on with paused cases.
        Resume = "resume",
        /// End the chase and leave the invoices as they are.
        Stop = "stop",
        /// Write a note into each timeline.
        Note = "note",
    }
}

words! {
    /// What became of one case, or would.
    BulkResult {
        /// It is done, or would be.
        Done = "done",
        /// A second person has to approve it, or would have to.
        Waits = "waits",
        /// The case does not allow it; the code says why.
        Refused = "refused",
        /// There is no such case.
        Missing = "missing",
        /// It was not tried to the end: the database did not answer.
        Failed = "failed",
    }
}

/// What is done, and to which cases: those named, or all that match.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkBody {
    /// What is done.
    pub action: BulkAction,
    /// For a pause: when the cases go on by themselves; it must lie ahead.
    #[schema(format = DateTime)]
    pub until: Option<String>,
    /// A remark for each timeline and the audit; a note needs one.
    #[schema(max_length = 2000)]
    pub comment: Option<String>,
    /// The cases.
    #[schema(max_items = 500)]
    pub ids: Option<Vec<String>>,
    /// All cases that this query of `GET /v1/cases` lists, page by page, such as `status=open&decline_kind=expired`; more than 500
    /// are refused.
    #[schema(max_length = 2000, example = "status=open&decline_kind=expired")]
    pub matching: Option<String>,
    /// Whether nothing is done, and only told what would be.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of all of them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BulkAnswer {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// How many cases were meant.
    pub cases: usize,
    /// How many of them it was done to, or would be.
    pub done: usize,
    /// How many of them wait for a second person, or would.
    pub waiting: usize,
    /// Each case with its result, in the order asked for.
    pub results: Vec<BulkItem>,
}

/// One case and what became of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BulkItem {
    /// The case.
    pub id: String,
    /// Its invoice at the provider; null where there is no such case.
    pub invoice_id: Option<String>,
    /// Its customer at the provider.
    pub customer_id: Option<String>,
    /// What is owed.
    pub amount_due: Option<MoneyJson>,
    /// What became of it.
    pub result: BulkResult,
    /// Why it was refused, in the word that acting on one case answers with.
    pub code: Option<String>,
    /// Where it stood before.
    pub state_before: Option<String>,
    /// Where it stands now, or would.
    pub state: Option<String>,
    /// What happens next, or would.
    pub next_action: Option<NextAction>,
}

/// What is to be done to whom, checked.
pub(in crate::http) struct Plan {
    /// What.
    pub action: StaffAction,
    /// The remark.
    pub comment: Option<String>,
    /// To which cases.
    pub ids: Vec<CaseId>,
}

/// Acts on many cases, or says what would become of them.
#[utoipa::path(tag = "cases", request_body = BulkBody, responses((status = 200, description = "Each case with its result.", body = BulkAnswer)))]
#[post("/v1/cases/bulk")]
pub(super) async fn bulk(
    state: web::Data<HttpState>,
    caller: Caller,
    body: JsonBody<BulkBody>,
) -> Result<HttpResponse, Problem> {
    let dry_run = body.0.dry_run;
    let plan = plan(&state, body.0).await?;
    Ok(HttpResponse::Ok().json(carry_out(&state, &caller, &plan, dry_run).await?))
}

/// Checks what was asked for and finds the cases it is meant for.
pub(in crate::http) async fn plan(state: &HttpState, body: BulkBody) -> Result<Plan, Problem> {
    let comment = remark(body.comment.as_deref())?;
    let action = match (body.action, body.until.as_deref()) {
        (BulkAction::Pause, Some(until)) => StaffAction::Pause {
            until: wire::instant("until", until)?,
        },
        (BulkAction::Pause, None) => return Err(bad("a pause needs until")),
        (_, Some(_)) => return Err(bad("only a pause has until")),
        (BulkAction::Resume, None) => StaffAction::Resume,
        (BulkAction::Stop, None) => StaffAction::Stop,
        (BulkAction::Note, None) if comment.is_none() => return Err(bad("a note needs a comment")),
        (BulkAction::Note, None) => StaffAction::Note,
    };
    let ids = match (body.ids, body.matching) {
        (Some(ids), None) => named(ids)?,
        (None, Some(query)) => matching(state, &query).await?,
        (Some(_), Some(_)) | (None, None) => return Err(bad("give either ids or matching")),
    };
    Ok(Plan { action, comment, ids })
}

fn bad(detail: &'static str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", detail)
}

/// The cases named, each once.
fn named(ids: Vec<String>) -> Result<Vec<CaseId>, Problem> {
    let mut each: Vec<CaseId> = Vec::new();
    for id in ids {
        let id = CaseId::from(page::plain("ids", Some(id))?.unwrap_or_default());
        if !each.contains(&id) {
            each.push(id);
        }
        if each.len() > CASES_MAX {
            return Err(too_many());
        }
    }
    Ok(each)
}

async fn matching(state: &HttpState, query: &str) -> Result<Vec<CaseId>, Problem> {
    let mut filter = CasesQuery::read(query)?.filter(&Window::default())?;
    filter.cursor = None;
    filter.limit = CASES_MAX as u64 + 1;
    let found = cases::list(state.store.conn(), &filter).await?;
    if found.len() > CASES_MAX {
        return Err(too_many());
    }
    Ok(found.into_iter().map(|case| case.id).collect())
}

fn too_many() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "too_many_cases",
        format!("one act is for at most {CASES_MAX} cases; narrow the list"),
    )
}

/// Does it, or only says what would become of each case.
pub(in crate::http) async fn carry_out(
    state: &HttpState,
    caller: &Caller,
    plan: &Plan,
    dry_run: bool,
) -> Result<BulkAnswer, Problem> {
    let mut results = Vec::with_capacity(plan.ids.len());
    for some in plan.ids.chunks(TOGETHER) {
        let each = some.iter().map(|id| one(state, caller, plan, id, dry_run));
        results.extend(join_all(each).await);
    }
    if let [only] = results.as_slice()
        && only.result == BulkResult::Failed
    {
        return Err(Problem::database_away());
    }
    Ok(BulkAnswer {
        dry_run,
        cases: results.len(),
        done: counted(&results, BulkResult::Done),
        waiting: counted(&results, BulkResult::Waits),
        results,
    })
}

/// What stands in the way of one case must not hide what was done to the others: whatever happens becomes its result.
async fn one(state: &HttpState, caller: &Caller, plan: &Plan, id: &CaseId, dry_run: bool) -> BulkItem {
    let before = match cases::find(state.store.conn(), id).await {
        Ok(Some(case)) => case,
        Ok(None) => return item(id, None, BulkResult::Missing, None),
        Err(_) => return item(id, None, BulkResult::Failed, None),
    };
    let (engine, action) = (&state.engine, plan.action.clone());
    let weighty = approvals::needed(state, &before, &action);
    if let Some(act) = weighty.filter(|_| !dry_run) {
        return match approvals::ask(state, caller, &before, act, plan.comment.clone()).await {
            Ok(_) => item(id, Some(&before), BulkResult::Waits, None),
            Err(problem) if problem.status == StatusCode::CONFLICT => {
                item(id, Some(&before), BulkResult::Refused, Some(&problem.code))
            }
            Err(_) => item(id, Some(&before), BulkResult::Failed, None),
        };
    }
    let done: Result<Case, StaffError> = if dry_run {
        match engine.would(&before, action).await {
            Ok(would) => would.map_err(StaffError::Refused),
            Err(error) => Err(error.into()),
        }
    } else {
        engine.staff(id, action, &caller.name, plan.comment.clone()).await
    };
    match done {
        Ok(_) if weighty.is_some() => item(id, Some(&before), BulkResult::Waits, None),
        Ok(case) => BulkItem {
            state: Some(case.state_word().to_owned()),
            next_action: case.next_action(),
            ..item(id, Some(&before), BulkResult::Done, None)
        },
        Err(StaffError::Refused(reason)) => item(id, Some(&before), BulkResult::Refused, Some(reason.as_str())),
        Err(StaffError::Forbidden(refusal)) => {
            item(id, Some(&before), BulkResult::Refused, Some(refusal.reason.as_str()))
        }
        Err(StaffError::NotFound) => item(id, None, BulkResult::Missing, None),
        Err(StaffError::Store(error)) => {
            tracing::warn!(%error, case_id = %id, "one case of many could not be acted on");
            item(id, Some(&before), BulkResult::Failed, None)
        }
    }
}

fn counted(results: &[BulkItem], which: BulkResult) -> usize {
    results.iter().filter(|item| item.result == which).count()
}

fn item(id: &CaseId, before: Option<&Case>, result: BulkResult, code: Option<&str>) -> BulkItem {
    let state = before.map(|case| case.state_word().to_owned());
    BulkItem {
        id: id.to_string(),
        invoice_id: before.map(|case| case.invoice_id.clone()),
        customer_id: before.map(|case| case.customer_id.clone()),
        amount_due: before.map(|case| case.amount_due.into()),
        result,
        code: code.map(str::to_owned),
        state_before: state.clone(),
        state,
        next_action: before.and_then(Case::next_action),
    }
}
