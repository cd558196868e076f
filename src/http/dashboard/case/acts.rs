//! What staff can do on the page of a case: what each act would do is told before the button, and what is not possible now is not offered.

use actix_web::{HttpRequest, HttpResponse, post, web};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use std::collections::HashMap;

use crate::domain::approval::Weighty;
use crate::domain::campaign::Campaign;
use crate::domain::case::{CampaignRef, Case, State, Trigger};
use crate::domain::event::{ExtendTo, MigrateHow, SkipStep, StaffAction};
use crate::domain::message::Message;
use crate::domain::retry::RetryCheck;
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::cases::{act, find, plan};
use crate::http::admin::exclusions;
use crate::http::dashboard::language::Language;
use crate::http::dashboard::{Stop, session, show, to};
use crate::http::error::Problem;
use crate::store::campaigns;

/// The most versions of campaigns that the page offers to move a case to.
const VERSIONS_SHOWN: usize = 50;

/// One act with the words that the page puts on it.
struct Act {
    verb: &'static str,
    title: &'static str,
    text: &'static str,
    /// What a rule says of it, in English.
    said: Option<String>,
    danger: bool,
    /// Where a choice belongs to it: the value and the words of each.
    choices: Vec<(String, String)>,
}

const fn plain(verb: &'static str, title: &'static str, text: &'static str) -> Act {
    Act {
        verb,
        title,
        text,
        said: None,
        danger: false,
        choices: Vec::new(),
    }
}

fn danger(verb: &'static str, title: &'static str, text: &'static str) -> Act {
    Act {
        danger: true,
        ..plain(verb, title, text)
    }
}

/// What staff can do with an open case now.
pub(super) async fn offered(
    state: &HttpState,
    case: &Case,
    campaign: &Campaign,
    retry: &RetryCheck,
    language: Language,
) -> Result<Vec<Value>, Problem> {
    let mut acts = vec![Act {
        said: Some(retry.sentence.clone()),
        ..plain(
            if retry.allowed { "retry" } else { "" },
            language.say("Retry now"),
            language.say("Charges the customer now."),
        )
    }];
    acts.extend(pauses(case, language));
    let steps = skippable(case, campaign, language);
    if !steps.is_empty() {
        acts.push(Act {
            choices: steps,
            ..plain(
                "skip",
                language.say("Skip a step"),
                language.say("Passes over the next charge or message. The notice of the end cannot be skipped."),
            )
        });
    }
    acts.push(plain(
        "extend",
        language.say("Extend"),
        language.say("Lets the campaign end later, at most 60 days. The final notice moves along; where it was sent, it comes once more."),
    ));
    let versions = versions(state, case).await?;
    if !versions.is_empty() {
        acts.push(Act {
            choices: versions,
            ..plain(
                "migrate",
                language.say("Move to another campaign"),
                language.say("What was charged and sent stays so. The end is the new campaign's."),
            )
        });
    }
    acts.extend(endings(language));
    Ok(acts.into_iter().map(shown).collect())
}

/// What is written beside a case, and what ends it.
fn endings(language: Language) -> [Act; 5] {
    [
        plain(
            "notes",
            language.say("Add a note"),
            language.say("Writes into the timeline. Nothing else happens."),
        ),
        plain(
            "mark-paid",
            language.say("Mark as paid"),
            language.say("The money came another way. The case ends as recovered."),
        ),
        danger(
            "stop",
            language.say("Stop"),
            language.say("Ends the chase. The invoice stays as it is."),
        ),
        danger(
            "write-off",
            language.say("Write off"),
            language.say("Gives the invoice up, at the provider too."),
        ),
        danger(
            "exclude",
            language.say("Exclude the customer"),
            language.say("Stops all open cases of this customer. Nothing is charged and nothing is written to them from now on, until that is lifted."),
        ),
    ]
}

fn shown(act: Act) -> Value {
    let Act {
        verb,
        title,
        text,
        said,
        danger,
        choices,
    } = act;
    let choices: Vec<Value> = choices.iter().map(|(value, words)| context! { value, words }).collect();
    context! { verb, title, text, said, danger, choices }
}

/// What stops a case for a while, or lets it go on.
fn pauses(case: &Case, language: Language) -> Vec<Act> {
    let resume = plain(
        "resume",
        language.say("Resume"),
        language.say("Goes on. Skipped steps are not made up for."),
    );
    let hold = plain(
        "hold",
        language.say("Hold for a dispute"),
        language.say("Nothing is charged or written and the case does not end until somebody releases it."),
    );
    let pause = plain(
        "pause",
        language.say("Pause"),
        language.say("Neither charges nor writes until the time you choose."),
    );
    match &case.state {
        State::Paused {
            held_since: Some(_), ..
        } => vec![plain(
            "release",
            language.say("Release the hold"),
            language.say("Goes on. The end comes later by as many days as the hold lasted."),
        )],
        State::Paused { .. } => vec![resume, pause, hold],
        State::NeedsPerson => vec![resume, hold],
        State::Active => vec![pause, hold],
        State::Charging { .. }
        | State::InDoubt { .. }
        | State::Processing { .. }
        | State::Ending { .. }
        | State::Closed { .. } => Vec::new(),
    }
}

/// The steps that can be passed over.
fn skippable(case: &Case, campaign: &Campaign, language: Language) -> Vec<(String, String)> {
    let mut steps = Vec::new();
    if case.state != State::Active {
        return steps;
    }
    let told = |at: Timestamp| show::when_in(language, &at.to_string());
    if let Some(at) = case.timers.charge_at
        && case.timers.charge_trigger != Some(Trigger::CardUpdate)
    {
        let words = language.say_with("The charge at {at}", &[("at", &told(at))]);
        steps.push((SkipStep::Charge.to_string(), words));
    }
    if let Some((key, at)) = &case.timers.notice
        && let Some(step) = campaign.messages.iter().find(|step| step.key == *key)
        && step.message != Message::FinalNotice
    {
        let message = language.word(step.message.as_str());
        let words = language.say_with(
            "The message {message} at {at}",
            &[("message", &message), ("at", &told(*at))],
        );
        steps.push((SkipStep::Message.to_string(), words));
    }
    steps
}

/// The other versions of campaigns, the newest of each first.
async fn versions(state: &HttpState, case: &Case) -> Result<Vec<(String, String)>, Problem> {
    let mut versions = campaigns::versions(state.store.conn()).await?;
    versions.retain(|version| *version != case.campaign);
    versions.sort_by_key(|version| std::cmp::Reverse(version.version));
    let word = |version: &CampaignRef| (version.to_string(), format!("{} v{}", version.name, version.version));
    Ok(versions.iter().take(VERSIONS_SHOWN).map(word).collect())
}

#[post("/dashboard/cases/{id}/{verb}")]
pub(in crate::http::dashboard) async fn act_on(
    state: web::Data<HttpState>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Billing).await?;
    let (id, verb) = path.into_inner();
    let fields = session::posted(&state, &request, payload).await?;
    let page = format!("/dashboard/cases/{}", find(&state, id.clone()).await?.id);
    let done = carry_out(&state, &visitor.caller, (id, &verb), &fields).await;
    match done {
        Ok(true) => Ok(to(&format!("{page}?done={verb}"))),
        // The page tells what waits by itself.
        Ok(false) => Ok(to(&page)),
        Err(problem) if problem.status.as_u16() == 409 => Ok(to(&format!("{page}?refused={}", problem.code))),
        Err(problem) => Err(problem.into()),
    }
}

/// Does what a form asks for; says no where a second person has to approve it first.
async fn carry_out(
    state: &HttpState,
    caller: &crate::http::auth::Caller,
    (id, verb): (String, &str),
    fields: &HashMap<String, String>,
) -> Result<bool, Problem> {
    let field = |name: &str| fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let comment = field("comment");
    if verb == "exclude" {
        let case = find(state, id).await?;
        let customer = (case.connection.as_str(), case.customer_id.as_str());
        exclusions::exclude(state, caller, customer, act::remark(comment)?).await?;
        return Ok(true);
    }
    let action = match verb {
        "retry" => StaffAction::Retry,
        "pause" => StaffAction::Pause {
            until: until_of(field("until"))?,
        },
        "resume" => StaffAction::Resume,
        "hold" => StaffAction::Hold,
        "release" => StaffAction::Release,
        "skip" => StaffAction::Skip {
            step: chosen(field("choice"))?,
        },
        "extend" => StaffAction::Extend {
            to: ExtendTo::Days(chosen(field("days"))?),
        },
        "migrate" => StaffAction::Migrate {
            campaign: Box::new(plan::version(state, field("choice").unwrap_or_default()).await?),
            how: chosen::<MigrateHow>(field("how"))?,
        },
        // A hand slips: what ends a case from here takes effect a minute later.
        "stop" => act::ending(Weighty::Stop, true),
        "mark-paid" => act::ending(Weighty::MarkPaid, true),
        "write-off" => act::ending(Weighty::WriteOff, true),
        "undo" => StaffAction::Undo,
        "notes" => StaffAction::Note,
        _ => return Err(Problem::not_found("there is no such action")),
    };
    let acted = act::act(state, caller, id, action, comment.map(str::to_owned)).await?;
    Ok(matches!(acted, act::Acted::Done(_)))
}

/// A field that holds one of a few values.
fn chosen<T: std::str::FromStr>(text: Option<&str>) -> Result<T, Problem> {
    let read = text.and_then(|text| text.parse().ok());
    read.ok_or_else(|| Problem::bad_request("bad_field", "choose one of the values that the form offers"))
}

/// A field `datetime-local`, which carries no zone; the page says that it means UTC.
pub(in crate::http::dashboard) fn until_of(text: Option<&str>) -> Result<Timestamp, Problem> {
    let local: Option<DateTime> = text.and_then(|text| text.parse().ok());
    let instant = local
        .and_then(|local| local.to_zoned(TimeZone::UTC).ok())
        .map(|zoned| zoned.timestamp());
    instant.ok_or_else(|| Problem::bad_request("bad_field", "choose until when the case is paused"))
}
