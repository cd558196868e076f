//! The languages of the dashboard. Templates are written in English; a catalogue says each of their texts in another language, and a
//! test holds that none is missing and none is left over.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::http::header::{ACCEPT_LANGUAGE, REFERER};
use actix_web::{HttpResponse, post, web};
use minijinja::State;
use minijinja::value::Kwargs;
use serde::Deserialize;
use url::Url;

use super::{Stop, session, to};
use crate::domain::words::words;
use crate::http::HttpState;
use crate::http::error::Problem;

/// The cookie that keeps a choice. It says nothing about anybody.
const COOKIE: &str = "recoup_language";
/// How long a choice is kept, in days.
const DAYS: i64 = 365;

words! {
    /// A language of the dashboard.
    Language {
        /// English, in which its templates are written.
        English = "en",
        /// German.
        German = "de",
    }
}

/// What a catalogue says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Catalogue {
    /// Texts of templates, by the English one.
    #[serde(default)]
    pub(super) texts: BTreeMap<String, String>,
    /// Words of tables and API, by the word.
    pub(super) words: BTreeMap<String, String>,
}

/// The catalogue of English: words alone, where the word itself would not do.
pub(super) static ENGLISH: LazyLock<Catalogue> = LazyLock::new(|| read(include_str!("words/en.toml")));
/// The catalogue of German.
pub(super) static GERMAN: LazyLock<Catalogue> = LazyLock::new(|| read(include_str!("words/de.toml")));

fn read(text: &str) -> Catalogue {
    toml::from_str(text).expect("a test reads each catalogue")
}

impl Language {
    /// The language of a request: the one chosen, else the first that the browser asks for and we have.
    pub(super) fn of(request: &HttpRequest) -> Self {
        let chosen = request.cookie(COOKIE).and_then(|cookie| cookie.value().parse().ok());
        chosen.unwrap_or_else(|| {
            let header = request.headers().get(ACCEPT_LANGUAGE);
            Self::asked_for(header.and_then(|value| value.to_str().ok()).unwrap_or_default())
        })
    }

    /// The first of the languages of an `Accept-Language` that we have. Browsers name them in the order of their weights.
    fn asked_for(header: &str) -> Self {
        let tags = header.split(',').filter_map(|tag| tag.trim().get(..2));
        let mut known = tags.filter_map(|tag| tag.to_ascii_lowercase().parse().ok());
        known.next().unwrap_or(Self::English)
    }

    fn catalogue(self) -> &'static Catalogue {
        match self {
            Self::English => &ENGLISH,
            Self::German => &GERMAN,
        }
    }

    /// A text of a template in this language.
    pub(super) fn say(self, english: &str) -> &str {
        let found = self.catalogue().texts.get(english);
        found.map_or(english, String::as_str)
    }

    /// The same with its places filled: `say_with("{count} cases", &[("count", "3")])`.
    pub(super) fn say_with(self, english: &str, values: &[(&str, &str)]) -> String {
        let fill = |text: String, (name, value): &(&str, &str)| text.replace(&format!("{{{name}}}"), value);
        values.iter().fold(self.say(english).to_owned(), fill)
    }

    /// A word of tables and API as people read it.
    pub(super) fn word(self, word: &str) -> String {
        let found = self.catalogue().words.get(word);
        found.map_or_else(|| word.replace('_', " "), Clone::clone)
    }

    /// The same of a word that is read otherwise in this place, where the catalogue says so: `line.customer` before `customer`.
    pub(super) fn word_of(self, place: &str, word: &str) -> String {
        let found = self.catalogue().words.get(&format!("{place}.{word}"));
        found.map_or_else(|| self.word(word), Clone::clone)
    }
}

/// The language of the page that is being made.
pub(super) fn of_page(state: &State<'_, '_>) -> Language {
    let language = state.lookup("language");
    let word = language.as_ref().and_then(|language| language.as_str());
    word.and_then(|word| word.parse().ok()).unwrap_or(Language::English)
}

/// The filter `t`: `{{ "{count} cases"|t(count=3) }}`.
#[expect(clippy::needless_pass_by_value, reason = "filters get what is named by value")]
pub(super) fn translated(state: &State<'_, '_>, english: &str, values: Kwargs) -> Result<String, minijinja::Error> {
    let mut filled = Vec::new();
    for name in values.args() {
        let value: minijinja::Value = values.get(name)?;
        filled.push((name, value.to_string()));
    }
    let filled: Vec<(&str, &str)> = filled.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Ok(of_page(state).say_with(english, &filled))
}

/// Keeps a choice and leads back to where it was made.
#[post("/dashboard/language")]
pub(super) async fn choose(
    state: web::Data<HttpState>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let fields = session::posted(&state, &request, payload).await?;
    let language = fields.get("language").and_then(|word| word.parse().ok());
    let language: Language = language.ok_or_else(|| Problem::bad_request("bad_field", "there is no such language"))?;
    let mut cookie = Cookie::build(COOKIE, language.as_str())
        .path("/")
        .http_only(true)
        .secure(session::by_tls(&state, &request))
        .same_site(SameSite::Lax)
        .finish();
    cookie.set_max_age(time::Duration::days(DAYS));
    Ok(session::with_cookie(to(&back(&request)), Some(&cookie))?)
}

/// The page of ours that a form was sent from; of what the browser says, nothing but path and query is used.
fn back(request: &HttpRequest) -> String {
    let header = request.headers().get(REFERER).and_then(|value| value.to_str().ok());
    let url = header.and_then(|text| Url::parse(text).ok());
    let page = url.filter(|url| url.path() == "/dashboard" || url.path().starts_with("/dashboard/"));
    page.map_or_else(
        || "/dashboard".to_owned(),
        |url| match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        },
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::super::{rates, show};
    use super::*;
    use crate::domain::approval::{ApprovalStatus, Weighty};
    use crate::domain::case::{Collector, Origin, Trigger, Warning};
    use crate::domain::command::{AttemptStatus, EntryKind, Reason};
    use crate::domain::decline::{DeclineKind, Disposition};
    use crate::domain::message::Message;
    use crate::domain::outcome::{ExhaustedThen, RecoveredBy, Status, StoppedWhy};
    use crate::domain::report::By;
    use crate::domain::report::attribution::Way;
    use crate::domain::report::funnel::Stage;
    use crate::domain::report::uplift::{self, Verdict};
    use crate::domain::role::Role;
    use crate::http::admin::cases::asked::state_words;
    use crate::http::admin::cases::bulk::{BulkAction, BulkResult};
    use crate::http::admin::exchange_rates;
    use crate::http::admin::learning::ArmState;
    use crate::store::cases::Sort;
    use crate::store::inbox::InboxStatus;
    use crate::store::notifications::NotificationStatus;

    #[test]
    fn the_first_language_that_we_have_is_taken() {
        let of = |header: &str| Language::asked_for(header).as_str();
        assert_eq!(of("de-AT,de;q=0.9,en;q=0.8"), "de");
        assert_eq!(of("fr, DE;q=0.5"), "de");
        assert_eq!(of("en-US,en;q=0.9,de;q=0.8"), "en");
        for nothing in ["", "fr", "*", "x", "é,ü"] {
            assert_eq!(of(nothing), "en", "{nothing}");
        }
    }

    /// What the templates say, each text once, and what Rust says by itself.
    fn said() -> BTreeSet<String> {
        let mut said: BTreeSet<String> = uplift::REASONS.map(str::to_owned).into();
        said.extend(exchange_rates::FAULTS.map(str::to_owned));
        said.insert(rates::COLUMNS.to_owned());
        for source in sources() {
            for call in CALLS.iter().flat_map(|call| source.split(call).skip(1)) {
                let Some(text) = call.trim_start().strip_prefix('"') else {
                    assert!(call.starts_with("english"), "a text that is no literal: {call:.40}");
                    continue;
                };
                said.insert(text.split('"').next().unwrap_or_default().to_owned());
            }
        }
        for (name, source) in show::TEMPLATES {
            for (at, _) in source.match_indices("|t") {
                let before = &source[..at];
                let goes_on = source[at + 2..].starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
                if goes_on {
                    continue;
                }
                let quote = before.chars().next_back().filter(|sign| matches!(sign, '"' | '\''));
                let quote = quote.unwrap_or_else(|| panic!("{name}: a text that is no literal before |t"));
                let text = &before[..before.len() - 1];
                said.insert(text[text.rfind(quote).unwrap() + 1..].to_owned());
            }
        }
        said
    }

    /// How Rust asks for a text.
    const CALLS: [&str; 2] = [".say(", ".say_with("];

    /// The Rust of the dashboard, this file aside.
    fn sources() -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/dashboard");
        let folders = [folder.join("case"), folder];
        let files = folders.iter().flat_map(|folder| folder.read_dir().unwrap());
        let files = files.map(|entry| entry.unwrap().path());
        let ours = |path: &PathBuf| path.extension().is_some_and(|end| end == "rs") && !path.ends_with("language.rs");
        let mut sources: Vec<_> = files
            .filter(ours)
            .map(|path| fs::read_to_string(path).unwrap())
            .collect();
        sources.push(include_str!("../dashboard.rs").to_owned());
        sources
    }

    fn places(text: &str) -> BTreeSet<&str> {
        let each = text.split('{').skip(1);
        each.map(|rest| rest.split('}').next().unwrap_or_default()).collect()
    }

    #[test]
    fn german_has_every_text_and_no_other() {
        let said = said();
        let known: BTreeSet<String> = GERMAN.texts.keys().cloned().collect();
        let missing: Vec<_> = said.difference(&known).collect();
        assert!(missing.is_empty(), "German lacks {missing:#?}");
        let left: Vec<_> = known.difference(&said).collect();
        assert!(left.is_empty(), "no template says {left:#?}");
        for (english, german) in &GERMAN.texts {
            assert_eq!(places(english), places(german), "{english}");
        }
        assert!(ENGLISH.texts.is_empty(), "templates are written in English");
    }

    /// All words of a set.
    macro_rules! all {
        ($set:ty) => {
            <$set>::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>()
        };
    }

    /// The places in which a word may be read otherwise.
    const PLACES: [&str; 12] = [
        "by", "then", "why", "line", "act", "approval", "origin", "allows", "reason", "stage", "group", "to",
    ];

    /// Words that belong to no set.
    const OTHERS: [&str; 11] = [
        "ready",
        "reconciling",
        "stopping",
        "at_risk",
        "events",
        "steps",
        "mails",
        "courtesies",
        "digests",
        "held_out",
        "drawn",
    ];

    #[test]
    fn german_has_the_words_that_the_pages_show() {
        let sets = [
            all!(Status),
            state_words().collect(),
            all!(DeclineKind),
            all!(Warning),
            all!(BulkAction),
            all!(BulkResult),
            all!(EntryKind),
            all!(InboxStatus),
            all!(Role),
            all!(RecoveredBy),
            all!(ExhaustedThen),
            all!(StoppedWhy),
            all!(ApprovalStatus),
            all!(Weighty),
            all!(Collector),
            all!(Origin),
            all!(Trigger),
            all!(AttemptStatus),
            all!(Reason),
            all!(Disposition),
            all!(Message),
            all!(By),
            all!(Way),
            all!(Stage),
            all!(Verdict),
            all!(ArmState),
            all!(NotificationStatus),
            OTHERS.to_vec(),
        ];
        let has = |word: &str| {
            let places = PLACES.map(|place| format!("{place}.{}", word.replace('-', "_")));
            GERMAN.words.contains_key(word) || places.iter().any(|word| GERMAN.words.contains_key(word))
        };
        let missing: BTreeSet<&str> = sets.into_iter().flatten().filter(|word| !has(word)).collect();
        assert!(missing.is_empty(), "German lacks the words {missing:#?}");
        for word in ENGLISH.words.keys() {
            assert!(GERMAN.words.contains_key(word), "German lacks the word {word}");
        }
        for sort in Sort::ALL {
            assert!(ENGLISH.words.contains_key(&format!("sort_{sort}")), "{sort}");
        }
    }
}
