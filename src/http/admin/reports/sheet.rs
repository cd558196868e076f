//! Tables as CSV files, in which no cell is taken for a formula.

use actix_web::HttpResponse;
use csv::Writer;

use super::asked;
use crate::domain::report::Rate;
use crate::http::error::Problem;

/// A table as a file of that name.
pub(super) fn file(name: &str, head: &[&str], lines: Vec<Vec<String>>) -> Result<HttpResponse, Problem> {
    let text = text(head, lines).ok_or_else(Problem::internal)?;
    Ok(asked::csv(name, text))
}

/// Nothing where it cannot be written, which memory alone could cause.
fn text(head: &[&str], lines: Vec<Vec<String>>) -> Option<String> {
    let mut writer = Writer::from_writer(Vec::new());
    writer.write_record(head).ok()?;
    for line in lines {
        let cells = line.iter().map(|cell| harmless(cell));
        writer.write_record(cells).ok()?;
    }
    String::from_utf8(writer.into_inner().ok()?).ok()
}

/// A cell that no spreadsheet takes for a formula; a number is none.
pub(super) fn harmless(cell: &str) -> String {
    let is_number = cell
        .strip_prefix('-')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
    if !is_number && cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

/// A rate as a cell.
pub(super) fn percent(rate: Option<&Rate>) -> String {
    rate.map_or_else(String::new, |rate| rate.percent.clone())
}

/// A value as a cell; empty where there is none.
pub(super) fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_only_text_and_a_number_stays_one() {
        for start in ["=1", "+1", "-1+2", "-", "@a", "\tx", "\rx", "\nx"] {
            assert_eq!(harmless(start), format!("'{start}"));
        }
        for plain in ["-12", "-0.50", "12", "a=b", ""] {
            assert_eq!(harmless(plain), plain);
        }
        let text = text(&["a", "b"], vec![vec!["=x".to_owned(), "-5".to_owned()]]).unwrap();
        assert_eq!(text, "a,b\n'=x,-5\n");
    }
}
