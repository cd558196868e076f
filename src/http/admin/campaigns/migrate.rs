//! `POST /v1/campaigns/{name}/migrate`

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};

use crate::domain::case::{CampaignRef, Case};
use crate::domain::decide::shadow::{Differs, Plan};
use crate::domain::event::{MigrateHow, StaffAction};
use crate::engine::StaffError;
use crate::http::HttpState;
use crate::http::admin::cases::act::remark;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::page::{self, Window};
use crate::store::{campaigns, cases};

/// Which cases go where.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MigrateBody {
    /// The version that the cases get: `name@version`.
    #[schema(max_length = 270, pattern = "^.+@[0-9]+$")]
    pub to: String,
    /// The versions whose cases are moved; all others of the campaign without it.
    #[schema(max_items = 50)]
    pub from: Option<Vec<u32>>,
    /// Where a case stands in its new campaign. `keep`: it keeps its start, and of the messages that would have come by now the last
    /// one comes at once. `elapsed`: it keeps its start, and what would have come by now is passed over. `restart`: the campaign begins
    /// now; messages that the customer had are not sent again.
    pub how: MigrateHow,
    /// Whether to say only what would change. Look before you leap: send `true`, read, then `false`.
    pub preview: bool,
    /// How many cases at a time.
    #[schema(minimum = 1, maximum = 200)]
    pub limit: Option<u64>,
    /// Where to go on: `next_cursor` of the answer before.
    pub cursor: Option<String>,
    /// A remark for the timelines and the audit.
    #[schema(max_length = 2000)]
    pub comment: Option<String>,
}

/// What becomes of one case.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MigratedCase {
    /// The case.
    pub case_id: String,
    /// Its invoice.
    pub invoice_id: String,
    /// The campaign it had.
    pub from: CampaignRef,
    /// What was planned.
    pub before: Plan,
    /// What is planned then; nothing where the case is not moved.
    pub after: Option<Plan>,
    /// In what both differ.
    pub differs: Vec<Differs>,
    /// Why the case is not moved now, where it is not.
    pub refused: Option<&'static str>,
}

/// What becomes of cases.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Migration {
    /// The version that the cases get.
    pub to: CampaignRef,
    /// Where a case stands in it.
    pub how: MigrateHow,
    /// Whether this is only what would change.
    pub preview: bool,
    /// How many open cases there are to move in all, these included.
    pub open: u64,
    /// How many of these are moved.
    pub moved: usize,
    /// How many of these cannot be moved now: a charge or the end is under way.
    pub refused: usize,
    /// Of how many moved ones the next charge differs.
    pub charges_differ: usize,
    /// Of how many moved ones the next message differs.
    pub messages_differ: usize,
    /// Of how many moved ones the end differs.
    pub ends_differ: usize,
    /// Of how many moved ones the end comes sooner.
    pub end_sooner: usize,
    /// These cases, oldest first.
    pub data: Vec<MigratedCase>,
    /// Give it as `cursor` to go on; null once all were looked at.
    pub next_cursor: Option<String>,
}

/// Moves running cases to another version of a campaign, or says what would change.
///
/// A case keeps its version unless it is moved. What was charged and sent stays so: the ceiling goes on counting, no message step
/// comes twice, and the end never comes so soon that its last notice could not come before.
#[utoipa::path(
    tag = "campaigns",
    params(("name" = String, Path, description = "The campaign whose cases are moved.")),
    request_body = MigrateBody,
    responses((status = 200, description = "What became of the cases, or would.", body = Migration)),
)]
#[post("/v1/campaigns/{name}/migrate")]
pub(in crate::http::admin) async fn migrate(
    state: web::Data<HttpState>,
    caller: Caller,
    name: web::Path<String>,
    body: JsonBody<MigrateBody>,
) -> Result<HttpResponse, Problem> {
    let (name, body) = (page::known(name.into_inner())?, body.0);
    let window = Window::of(body.limit, body.cursor.as_deref())?;
    let comment = remark(body.comment.as_deref())?;
    let to: CampaignRef = body
        .to
        .parse()
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", format!("to: {error}")))?;
    let conn = state.store.conn();
    let campaign = match i32::try_from(to.version) {
        Ok(_) => campaigns::get(conn, &to.name, to.version).await?,
        Err(_) => None,
    };
    let campaign = campaign.ok_or_else(|| Problem::not_found("there is no such version of a campaign to move to"))?;
    let from = (name.as_str(), body.from.as_deref());
    let open = cases::count_on(conn, from, &to).await?;
    let found = cases::open_on(conn, from, &to, (window.after.as_deref(), window.rows())).await?;
    let (found, next_cursor) = window.cut(found, |case| case.id.as_str());
    let mut data = Vec::with_capacity(found.len());
    for case in found {
        let moved = if body.preview {
            state
                .engine
                .would_migrate(&case, &campaign, body.how)
                .await?
                .map_err(StaffError::Refused)
        } else {
            let action = StaffAction::Migrate {
                campaign: Box::new(campaign.clone()),
                how: body.how,
            };
            state
                .engine
                .staff(&case.id, action, &caller.name, comment.clone())
                .await
        };
        data.push(moved_case(&case, moved)?);
    }
    Ok(HttpResponse::Ok().json(summed(to, &body, open, data, next_cursor)))
}

/// One case with what became of it. A case that closed meanwhile is refused like any other.
fn moved_case(case: &Case, moved: Result<Case, StaffError>) -> Result<MigratedCase, Problem> {
    let (after, refused) = match moved {
        Ok(moved) => (Some(Plan::of(&moved)), None),
        Err(StaffError::Refused(reason)) => (None, Some(reason.as_str())),
        Err(StaffError::Forbidden(refusal)) => (None, Some(refusal.reason.as_str())),
        Err(StaffError::NotFound) => (None, Some("not_found")),
        Err(StaffError::Store(error)) => return Err(error.into()),
    };
    let before = Plan::of(case);
    Ok(MigratedCase {
        case_id: case.id.to_string(),
        invoice_id: case.invoice_id.clone(),
        from: case.campaign.clone(),
        differs: after.as_ref().map_or_else(Vec::new, |after| before.differs(after)),
        before,
        after,
        refused,
    })
}

fn summed(
    to: CampaignRef,
    body: &MigrateBody,
    open: u64,
    data: Vec<MigratedCase>,
    next_cursor: Option<String>,
) -> Migration {
    let count = |keep: &dyn Fn(&MigratedCase) -> bool| data.iter().filter(|one| keep(one)).count();
    let differ = |word: Differs| count(&|one| one.differs.contains(&word));
    let sooner = |one: &MigratedCase| {
        let end = one.after.as_ref().and_then(|after| after.final_at);
        end.zip(one.before.final_at)
            .is_some_and(|(after, before)| after < before)
    };
    Migration {
        to,
        how: body.how,
        preview: body.preview,
        open,
        moved: count(&|one| one.after.is_some()),
        refused: count(&|one| one.refused.is_some()),
        charges_differ: differ(Differs::Charge),
        messages_differ: differ(Differs::Message),
        ends_differ: differ(Differs::End),
        end_sooner: count(&sooner),
        data,
        next_cursor,
    }
}
