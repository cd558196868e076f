//! Campaigns: their versions as they were written, what differs between two, a text looked over before it is published, and
//! publishing.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use minijinja::value::{Serde, merge_maps};
use minijinja::{Value, context};
use serde::Deserialize;

use super::session::{self, Visitor};
use super::{Stop, page, shown, to};
use crate::domain::campaign::review::difference;
use crate::domain::campaign::{BadCampaign, Campaign, Fault};
use crate::domain::case::CampaignRef;
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::campaigns::create::{self, Published};
use crate::http::admin::campaigns::rehearse;
use crate::http::admin::publications::PublicationJson;
use crate::http::error::Problem;
use crate::store::{campaigns, cases, publications};

/// The most bytes of the form around a text, in which browsers write many signs as three.
const FORM_BYTES_MAX: usize = 192 * 1024;

/// Which version is shown, beside which one; an empty field asks for nothing.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    version: String,
    #[serde(default)]
    against: String,
    done: Option<String>,
}

#[get("/dashboard/campaigns")]
pub(super) async fn show_campaigns(
    state: web::Data<HttpState>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Viewer).await?;
    let conn = state.store.conn();
    let version = named(&asked.version);
    let text = match &version {
        Some(version) => Some(text_of(&state, version).await?),
        None => None,
    };
    let against = named(&asked.against);
    let diff = match (&against, &version, &text) {
        (Some(against), Some(version), Some(text)) => {
            let before = text_of(&state, against).await?;
            let (from, to) = (against.to_string(), version.to_string());
            Some(difference((&from, &before), (&to, text)))
        }
        _ => None,
    };
    let open = match &version {
        Some(version) => Some(cases::open_with(conn, version).await?),
        None => None,
    };
    let now = state.engine.clock().now();
    let waiting = publications::waiting(conn, now).await?;
    let waiting: Vec<PublicationJson> = waiting.iter().map(|row| PublicationJson::of(row, now)).collect();
    let context = context! {
        section => "campaigns",
        waiting => Value::from(Serde(waiting)),
        versions => versions(&state).await?,
        trials => trials(&state, visitor.caller.role).await?,
        version => version.as_ref().map(ToString::to_string),
        against => against.as_ref().map(ToString::to_string),
        text,
        changes => diff.as_deref().map(changes),
        open,
        publishes => publishes(&visitor),
        done => asked.done.as_deref(),
    };
    Ok(shown("campaigns.html", &visitor, &context))
}

/// Who may publish; the same role as at the API.
fn publishes(visitor: &Visitor) -> bool {
    visitor.caller.role.allows(Role::Admin)
}

fn named(text: &str) -> Option<CampaignRef> {
    text.parse()
        .ok()
        .filter(|named: &CampaignRef| i32::try_from(named.version).is_ok())
}

async fn text_of(state: &HttpState, version: &CampaignRef) -> Result<String, Problem> {
    let text = campaigns::text(state.store.conn(), version).await?;
    text.ok_or_else(|| Problem::not_found("there is no such version of a campaign"))
}

/// All versions, those of one campaign together and the newest first.
async fn versions(state: &HttpState) -> Result<Vec<Value>, Problem> {
    let mut published = campaigns::published(state.store.conn()).await?;
    published.sort_by(|(one, _), (other, _)| (&one.name, other.version).cmp(&(&other.name, one.version)));
    let one =
        |(version, at): (CampaignRef, jiff::Timestamp)| context! { id => version.to_string(), at => at.to_string() };
    Ok(published.into_iter().map(one).collect())
}

/// The newest versions that only a part of the customers gets, for those who may see the comparison.
async fn trials(state: &HttpState, role: Role) -> Result<Vec<Value>, Problem> {
    if !role.allows(Role::Marketing) {
        return Ok(Vec::new());
    }
    let all = campaigns::list(state.store.conn()).await?;
    let trial = |campaign: &Campaign| {
        let split = campaign.split?;
        let is_newest = !all
            .iter()
            .any(|other| other.name == campaign.name && !other.shadow && other.version > campaign.version);
        is_newest.then(|| {
            context! {
                name => campaign.name.as_str(),
                version => campaign.version,
                percent => split.percent,
                against => split.against,
            }
        })
    };
    Ok(all.iter().filter_map(trial).collect())
}

/// The lines of a diff, each with how it is shown.
pub(super) fn changes(diff: &str) -> Vec<Value> {
    let one = |line: &str| {
        let kind = match line.as_bytes().first() {
            Some(b'+') => "added",
            Some(b'-') => "removed",
            Some(b'@') => "place",
            _ => "same",
        };
        context! { kind, line }
    };
    diff.lines().map(one).collect()
}

/// The form for a text: empty, or a version to go on from.
#[get("/dashboard/campaigns/write")]
pub(super) async fn write(
    state: web::Data<HttpState>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Viewer).await?;
    let text = match named(&asked.version) {
        Some(version) => text_of(&state, &version).await?,
        None => String::new(),
    };
    Ok(written(&state, &visitor, StatusCode::OK, &text, context! {}))
}

/// Looks a text over, and publishes it where that is asked for. Looking over stores nothing.
#[post("/dashboard/campaigns/write")]
pub(super) async fn submit(
    state: web::Data<HttpState>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Viewer).await?;
    let fields = session::posted_fields(&state, &request, payload, FORM_BYTES_MAX).await?;
    let field = |name: &str| {
        fields
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    };
    // Browsers send each end of a line as two signs.
    let text = field("text").unwrap_or_default().replace("\r\n", "\n");
    let others = campaigns::list(state.store.conn()).await?;
    let campaign = match Campaign::review(&text, &others) {
        Ok(campaign) => campaign,
        Err(BadCampaign(faults)) => {
            let told = context! { faults => faults.iter().map(fault).collect::<Vec<_>>() };
            return Ok(written(&state, &visitor, StatusCode::UNPROCESSABLE_ENTITY, &text, told));
        }
    };
    let version = CampaignRef::of(&campaign);
    if field("act") == Some("publish") {
        visitor.caller.require(Role::Admin)?;
        return match create::publish(&state, &visitor.caller, &text).await {
            Ok(Published::Now(_)) => Ok(to(&format!("/dashboard/campaigns?version={version}&done=published"))),
            Ok(Published::Asked(row)) => Ok(to(&format!("/dashboard/publications/{}?done=asked", row.id))),
            Err(problem) if problem.code == create::ALREADY_PUBLISHED => {
                let told = context! { already => version.to_string() };
                Ok(written(&state, &visitor, StatusCode::CONFLICT, &text, told))
            }
            Err(problem) if problem.status == StatusCode::CONFLICT => {
                let told = context! { refused => &*problem.detail };
                Ok(written(&state, &visitor, StatusCode::CONFLICT, &text, told))
            }
            Err(problem) => Err(problem.into()),
        };
    }
    if field("act") == Some("rehearse") {
        let report = rehearse::of(&state, campaign, others, [None, None]).await?;
        let told = context! { good => version.to_string(), known => false, rehearsal => Value::from(Serde(report)) };
        return Ok(written(&state, &visitor, StatusCode::OK, &text, told));
    }
    let diff = since_newest(&state, &version, &text).await?;
    let known = others.iter().any(|other| version.is_of(other));
    let told = context! {
        good => version.to_string(),
        known,
        changes => diff.as_deref().map(changes),
    };
    Ok(written(&state, &visitor, StatusCode::OK, &text, told))
}

/// What differs between the newest version of a campaign and a text; nothing where there is none.
pub(super) async fn since_newest(
    state: &HttpState,
    version: &CampaignRef,
    text: &str,
) -> Result<Option<String>, Problem> {
    let Some(newest) = campaigns::newest(state.store.conn(), &version.name).await? else {
        return Ok(None);
    };
    let of = CampaignRef::of(&newest);
    let before = text_of(state, &of).await?;
    let (from, to) = (of.to_string(), version.to_string());
    Ok(Some(difference((&from, &before), (&to, text))))
}

fn fault(fault: &Fault) -> Value {
    let at = fault.at;
    context! { line => at.map(|at| at.line), column => at.map(|at| at.column), what => fault.what.as_str() }
}

fn written(state: &HttpState, visitor: &Visitor, status: StatusCode, text: &str, told: Value) -> HttpResponse {
    let untold = context! {
        faults => (),
        refused => (),
        already => (),
        good => (),
        known => false,
        changes => (),
        rehearsal => (),
    };
    let whole = context! {
        section => "campaigns",
        publishes => publishes(visitor),
        by_two => state.approval_to_publish,
        lines => text.lines().map(str::to_owned).collect::<Vec<_>>(),
        text,
    };
    page(
        status,
        "campaign_text.html",
        Some(visitor),
        &merge_maps([untold, told, whole]),
    )
}
