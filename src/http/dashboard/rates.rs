//! Rates of exchange: those that were uploaded, newest day first, and a table of more.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use minijinja::value::{Serde, merge_maps};
use minijinja::{Value, context};
use serde::Deserialize;

use super::session::{self, Visitor};
use super::{Stop, page, to};
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::exchange_rates::{self as rates, Fault, LISTED_MAX, RatesBody, UploadRate};
use crate::http::page::Window;

const PAGE: &str = "/dashboard/reports/rates";
/// The most bytes of the form around the longest table, in which browsers write the ends of cells and lines as three and six signs.
const FORM_BYTES_MAX: usize = 192 * 1024;
/// What is wrong with a line that has too much or too little.
pub(super) const COLUMNS: &str = "each line must have four columns: day, from, to, rate";

/// Which part of the list is shown, and what the page was asked to report.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    cursor: String,
    taken: Option<u64>,
    replaced: Option<u64>,
}

#[get("/dashboard/reports/rates")]
pub(super) async fn show(
    state: web::Data<HttpState>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Marketing).await?;
    let told = context! { taken => asked.taken, replaced => asked.replaced.unwrap_or(0) };
    shown(&state, &visitor, StatusCode::OK, &asked.cursor, told).await
}

/// Takes a table in, all of it or nothing; what is wrong is told by line, beside the table as it was sent.
#[post("/dashboard/reports/rates")]
pub(super) async fn upload(
    state: web::Data<HttpState>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Billing).await?;
    let fields = session::posted_fields(&state, &request, payload, FORM_BYTES_MAX).await?;
    let fields: HashMap<String, String> = fields.into_iter().collect();
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let (source, text, replace) = (field("source"), field("table"), field("replace") == "yes");
    let table = Table::read(text);
    let mut faults = table.faults;
    let readable = faults.is_empty();
    let body = RatesBody {
        source: source.to_owned(),
        rates: table.rates,
        replace,
    };
    let rows = match rates::rows(&body, state.engine.clock().now()) {
        Ok(rows) => rows,
        Err(wrong) => {
            let line = |fault: &Fault| fault.rate.and_then(|rate| table.lines.get(rate)).copied();
            // Of lines that could not be read it is not told how few the others are.
            let wrong = wrong.iter().filter(|fault| readable || fault.what != rates::COUNT);
            faults.extend(wrong.map(|fault| (line(fault), fault.what)));
            Vec::new()
        }
    };
    let again = context! { source, table => text, replace };
    if !faults.is_empty() {
        faults.sort_by_key(|(line, _)| *line);
        let told = context! { wrong => faults.len(), faults => faults.iter().take(LISTED_MAX).map(shown_fault).collect::<Vec<_>>() };
        let whole = merge_maps([again, told]);
        return shown(&state, &visitor, StatusCode::UNPROCESSABLE_ENTITY, "", whole).await;
    }
    match rates::take(&state, &visitor.caller, &rows, replace).await {
        Ok(done) => Ok(to(&format!("{PAGE}?taken={}&replaced={}", done.taken, done.replaced))),
        Err(problem) if problem.code == "rate_exists" => {
            let stand = problem.errors().iter().map(|error| error.detail.clone());
            let whole = merge_maps([again, context! { stand => stand.collect::<Vec<_>>() }]);
            shown(&state, &visitor, StatusCode::CONFLICT, "", whole).await
        }
        Err(problem) => Err(problem.into()),
    }
}

fn shown_fault((line, what): &(Option<u64>, &'static str)) -> Value {
    context! { line => *line, what => *what }
}

/// A table as it was sent, with the line of each rate.
#[derive(Default)]
struct Table {
    rates: Vec<UploadRate>,
    lines: Vec<u64>,
    faults: Vec<(Option<u64>, &'static str)>,
}

impl Table {
    /// Reads a table whose cells are divided as its first line says: by tabs, as spreadsheets copy them, semicolons or commas. A first
    /// line that names the columns is none of a rate.
    fn read(text: &str) -> Self {
        let lines = (1..).zip(text.lines());
        let mut lines = lines.filter(|(_, line)| !line.trim().is_empty()).peekable();
        let first = lines.peek().map_or("", |(_, line)| *line);
        let mark = ['\t', ';'].into_iter().find(|mark| first.contains(*mark));
        let mark = mark.unwrap_or(',');
        if cells(first, mark)[0].eq_ignore_ascii_case("day") {
            lines.next();
        }
        let mut table = Self::default();
        for (line, text) in lines {
            match <[String; 4]>::try_from(cells(text, mark)) {
                Ok([day, from, to, rate]) => {
                    table.rates.push(UploadRate { day, from, to, rate });
                    table.lines.push(line);
                }
                Err(_) => table.faults.push((Some(line), COLUMNS)),
            }
        }
        table
    }
}

/// The cells of a line, of which there is one at least. None of them can hold a mark, so quotes say nothing.
fn cells(line: &str, mark: char) -> Vec<String> {
    let cells = line.split(mark);
    cells
        .map(|cell| cell.trim().trim_matches('"').trim().to_owned())
        .collect()
}

async fn shown(
    state: &HttpState,
    visitor: &Visitor,
    status: StatusCode,
    cursor: &str,
    told: Value,
) -> Result<HttpResponse, Stop> {
    let window = Window::of(None, Some(cursor).filter(|cursor| !cursor.is_empty()))?;
    let listed = rates::listed(state, &window).await?;
    let untold = context! { taken => (), faults => (), stand => (), source => "", table => "", replace => false };
    let whole = context! {
        section => "reports",
        rates => Value::from(Serde(&listed.data)),
        next => listed.next_cursor,
        first => cursor.is_empty(),
    };
    Ok(page(
        status,
        "rates.html",
        Some(visitor),
        &merge_maps([untold, told, whole]),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, Vec<u64>, Vec<Option<u64>>) {
        let table = Table::read(text);
        let rates = table.rates.iter();
        let rates = rates.map(|rate| format!("{} {}/{} {}", rate.day, rate.from, rate.to, rate.rate));
        let faults = table.faults.iter().map(|(line, _)| *line);
        (rates.collect(), table.lines, faults.collect())
    }

    #[test]
    fn a_table_is_read_with_its_lines_however_its_cells_are_divided() {
        for (mark, head) in [
            (",", ""),
            (";", "Day;from;to;rate\n"),
            ("\t", "day\tfrom\tto\trate\r\n"),
        ] {
            let lines = ["2026-03-04", "USD", "EUR", "0.92"].join(mark);
            let first = u64::from(!head.is_empty()) + 1;
            let (rates, lines, faults) = read(&format!("{head}{lines}\r\n\r\n \"2026-03-05\"{mark}x\n"));
            assert_eq!(rates, ["2026-03-04 USD/EUR 0.92"], "{mark}");
            assert_eq!((lines, faults), (vec![first], vec![Some(first + 2)]), "{mark}");
        }
        assert_eq!(read(""), (vec![], vec![], vec![]));
    }
}
