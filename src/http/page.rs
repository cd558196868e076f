//! Lists: `limit`, an opaque `cursor`, and the answer around them.

use actix_web::error::QueryPayloadError;
use serde::{Deserialize, Serialize};

use super::error::Problem;

/// How many items a list gives unless asked.
const LIMIT_DEFAULT: u64 = 50;
/// The most items a list gives.
pub const LIMIT_MAX: u64 = 200;
/// The longest text that is looked up.
const TEXT_CHARS_MAX: usize = 255;

/// A page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T: utoipa::ToSchema> {
    /// The items.
    pub data: Vec<T>,
    /// Give it as `cursor` to go on; null on the last page.
    pub next_cursor: Option<String>,
}

/// The part of a list's query that every list has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// How many items.
    pub limit: u64,
    /// The id after which the page begins.
    pub after: Option<String>,
}

impl Window {
    /// Checks what was asked for.
    pub fn of(limit: Option<u64>, cursor: Option<&str>) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Problem::bad_request(
                "bad_query",
                format!("limit must be 1 to {LIMIT_MAX}"),
            ));
        }
        let after = cursor.map(decode_cursor).transpose()?;
        Ok(Self { limit, after })
    }

    /// How many rows to ask the store for: one more than shown, to see whether there is a next page.
    pub fn rows(&self) -> u64 {
        self.limit + 1
    }

    /// Cuts the rows to the page and makes the next cursor from the id of its last row.
    pub fn page<R, T: utoipa::ToSchema>(
        &self,
        rows: Vec<R>,
        id: impl Fn(&R) -> &str,
        show: impl Fn(&R) -> T,
    ) -> Page<T> {
        let (rows, next_cursor) = self.cut(rows, id);
        Page {
            data: rows.iter().map(show).collect(),
            next_cursor,
        }
    }

    /// The rows of the page, and the next cursor.
    pub fn cut<R>(&self, mut rows: Vec<R>, id: impl Fn(&R) -> &str) -> (Vec<R>, Option<String>) {
        let limit = usize::try_from(self.limit).expect("a limit is at most a few hundred");
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more).map(|row| hex::encode(id(row)));
        (rows, last)
    }
}

fn decode_cursor(cursor: &str) -> Result<String, Problem> {
    let text = hex::decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.filter(|text| is_plain(text))
        .ok_or_else(|| Problem::bad_request("bad_cursor", "the cursor is none that a list gave out"))
}

/// Whether a text may be looked up: printable, of sensible length. (PostgreSQL refuses a NUL with an error.)
pub(crate) fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= TEXT_CHARS_MAX && !text.chars().any(char::is_control)
}

/// Refuses a text of the query that cannot be looked up.
pub(crate) fn plain(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if !is_plain(&text) => Err(Problem::bad_request(
            "bad_query",
            format!("{name} must be 1 to {TEXT_CHARS_MAX} printable characters"),
        )),
        text => Ok(text),
    }
}

/// A text of the path that cannot be looked up names nothing.
pub(crate) fn known(text: String) -> Result<String, Problem> {
    if is_plain(&text) {
        Ok(text)
    } else {
        Err(Problem::not_found("there is no such thing"))
    }
}

/// The problem for a query that cannot be read.
pub(crate) fn bad_query(bad: &QueryPayloadError) -> Problem {
    Problem::bad_request("bad_query", format!("the query cannot be read: {bad}"))
}

/// The query of a list without filters.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// How many items, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u64>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_where_the_one_before_ended() {
        let window = Window::of(Some(2), None).unwrap();
        let rows = vec!["c".to_owned(), "b".to_owned(), "a".to_owned()];
        let page = window.page(rows, |row| row, Clone::clone);
        assert_eq!(page.data, ["c", "b"]);
        let next = Window::of(None, page.next_cursor.as_deref()).unwrap();
        assert_eq!((next.limit, next.after.as_deref()), (50, Some("b")));
        let last = next.page(vec!["a".to_owned()], |row| row, Clone::clone);
        assert_eq!(last.next_cursor, None);
    }

    #[test]
    fn odd_limits_and_cursors_are_refused() {
        for limit in [0, 201, u64::MAX] {
            assert_eq!(Window::of(Some(limit), None).unwrap_err().code, "bad_query");
        }
        for cursor in ["", "x", "00", "ff", &"61".repeat(300)] {
            assert_eq!(
                Window::of(None, Some(cursor)).unwrap_err().code,
                "bad_cursor",
                "{cursor}"
            );
        }
    }
}
