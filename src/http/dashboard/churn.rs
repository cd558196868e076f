//! The page of customers lost to failed payments and of those kept, by the month in which their cases ended, and what those are worth.

use actix_web::{HttpRequest, HttpResponse, get, web};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::bars::{self, Bar};
use super::language::Language;
use super::reports::given;
use super::{Stop, figures, session, show, shown};
use crate::domain::report::Rate;
use crate::domain::report::churn::{Assumed, Month};
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::reports::{asked, churn};
use crate::http::error::Problem;

/// What is asked of the page. A form sends what was left empty, too.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    from: Option<String>,
    to: Option<String>,
    /// In percent.
    margin: Option<String>,
    /// In percent.
    leaving: Option<String>,
    fee_minor: Option<String>,
    message_minor: Option<String>,
}

impl Asked {
    fn days(&self, state: &HttpState) -> Result<[jiff::civil::Date; 2], Problem> {
        let asked = [given(self.from.as_ref()), given(self.to.as_ref())];
        asked::days(asked, &asked::zones(state), state.engine.clock().now())
    }

    /// What was given to put a value on who was kept, as it was given.
    fn inputs(&self) -> [(&'static str, &str); 4] {
        [
            ("margin", &self.margin),
            ("leaving", &self.leaving),
            ("fee_minor", &self.fee_minor),
            ("message_minor", &self.message_minor),
        ]
        .map(|(name, text)| (name, given(text.as_ref()).unwrap_or_default()))
    }

    fn assumed(&self) -> Result<Option<Assumed>, Problem> {
        let minor = |text: Option<&String>| given(text).map(str::parse).transpose();
        let bad = |_| {
            Problem::bad_request(
                "bad_query",
                "fee_minor and message_minor are whole numbers of minor units",
            )
        };
        let shares = [
            share("margin", self.margin.as_ref())?,
            share("leaving", self.leaving.as_ref())?,
        ];
        let prices = [
            minor(self.fee_minor.as_ref()).map_err(bad)?,
            minor(self.message_minor.as_ref()).map_err(bad)?,
        ];
        churn::assumed(shares, prices)
    }
}

/// A percentage, in hundredths of a percent; with a comma in some languages.
fn share(name: &str, text: Option<&String>) -> Result<Option<u32>, Problem> {
    let Some(text) = given(text) else { return Ok(None) };
    let parts = hundredths(&text.replace(',', ".")).ok_or_else(|| {
        let detail = format!("{name} is a percentage between 0 and 100 with at most two decimals");
        Problem::bad_request("bad_query", detail)
    })?;
    Ok(Some(parts))
}

fn hundredths(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let parts: u32 = format!("{whole}{part:0<2}").parse().ok()?;
    (part.len() <= 2 && parts <= 10_000).then_some(parts)
}

/// A month as people read it.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    month: Month,
    /// Of each currency: what was lost in a month, won back and saved.
    money: Vec<[String; 3]>,
    /// Of each currency: its code, what was saved in a month, its value, the cost, the return, and after how many months it has paid.
    values: Vec<[String; 6]>,
}

fn told(month: Month, language: Language) -> Told {
    let hundredths = |parts: i64| show::local(language, &format!("{}.{:02}", parts / 100, parts % 100));
    let or_none = |parts: Option<i64>| parts.map_or_else(|| "–".to_owned(), hundredths);
    let (mut money, mut values) = (Vec::new(), Vec::new());
    for (currency, one) in &month.money {
        let show = |minor| show::money_in(language, minor, currency);
        money.push([
            show(one.monthly_lost_minor),
            show(one.monthly_won_back_minor),
            show(one.monthly_saved_minor),
        ]);
        if let Some(value) = one.value {
            values.push([
                currency.clone(),
                show(one.monthly_saved_minor),
                show(value.saved_minor),
                show(value.cost_minor),
                or_none(value.return_parts_per_100),
                or_none(value.payback_months_parts_per_100),
            ]);
        }
    }
    Told { month, money, values }
}

/// How many were lost in each month, drawn as shares of the worst; darker, who has not come back.
fn chart(months: &[Month], language: Language) -> String {
    let worst = months.iter().map(|month| month.involuntary).max().unwrap_or(0);
    let bars: Vec<Bar> = months
        .iter()
        .map(|month| Bar {
            name: month.month.clone(),
            share: Rate::of_counts(month.involuntary, worst),
            inner: Rate::of_counts(month.involuntary.saturating_sub(month.won_back), worst),
            told: language.say_with(
                "{lost} lost, {back} back",
                &[
                    ("lost", &show::number_in(language, month.involuntary)),
                    ("back", &show::number_in(language, month.won_back)),
                ],
            ),
        })
        .collect();
    if worst == 0 {
        return String::new();
    }
    bars::svg(language.say("Customers lost to failed payments, by month"), &bars)
}

#[get("/dashboard/reports/churn")]
pub(super) async fn page(
    state: web::Data<HttpState>,
    request: HttpRequest,
    query: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Marketing).await?;
    let language = visitor.language;
    let days = query.days(&state)?;
    let assumed = query.assumed()?;
    let months = churn::months(&state, days, assumed).await?;
    let chart = chart(&months, language);
    let inputs = query.inputs();
    let address = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(inputs)
        .finish();
    let [margin, leaving, fee_minor, message_minor] = inputs.map(|(_, text)| text);
    let context = context! {
        chart => Value::from_safe_string(chart),
        months => Value::from(Serde(months.into_iter().map(|month| told(month, language)).collect::<Vec<_>>())),
        valued => assumed.is_some(),
        margin,
        leaving,
        fee_minor,
        message_minor,
        inputs => address,
        ..figures::frame(&state, "churn", days)
    };
    Ok(shown("churn.html", &visitor, &context))
}

#[get("/dashboard/reports/churn.csv")]
pub(super) async fn file(
    state: web::Data<HttpState>,
    request: HttpRequest,
    query: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    session::visitor(&state, &request, Role::Marketing).await?;
    Ok(churn::as_csv(&state, query.days(&state)?, query.assumed()?).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_read_to_its_hundredths() {
        let read = |text: &str| share("margin", Some(&text.to_owned())).ok().flatten();
        for (text, parts) in [
            ("80", 8_000),
            ("2.5", 250),
            ("2,05", 205),
            ("100", 10_000),
            ("0.01", 1),
            (".5", 50),
        ] {
            assert_eq!(read(text), Some(parts), "{text}");
        }
        for text in ["100.01", "2.005", "-1", "1e2", "many", "1.2.3"] {
            assert!(share("margin", Some(&text.to_owned())).is_err(), "{text}");
        }
        assert_eq!(share("margin", Some(&String::new())).ok(), Some(None));
    }
}
