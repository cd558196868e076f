//! How values are written into HTML.

use minijinja::{AutoEscape, Output, State, Value, escape_formatter};

/// Writes a value, in HTML with what has a meaning there escaped. A slash has none, and whoever looks for a link in a mail finds it as
/// it is.
pub fn write_escaped(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    let text = value
        .as_str()
        .filter(|_| *state.auto_escape() == AutoEscape::Html && !value.is_safe());
    let Some(text) = text else {
        return escape_formatter(out, state, value);
    };
    for part in text.split_inclusive(['&', '<', '>', '"', '\'']) {
        let (plain, end) = match part.char_indices().next_back() {
            Some((at, '&')) => (&part[..at], "&amp;"),
            Some((at, '<')) => (&part[..at], "&lt;"),
            Some((at, '>')) => (&part[..at], "&gt;"),
            Some((at, '"')) => (&part[..at], "&quot;"),
            Some((at, '\'')) => (&part[..at], "&#39;"),
            Some(_) | None => (part, ""),
        };
        out.write_str(plain)
            .and_then(|()| out.write_str(end))
            .map_err(minijinja::Error::from)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use minijinja::{Environment, context};

    use super::*;

    #[test]
    fn what_has_a_meaning_in_html_is_escaped_and_a_slash_has_none() {
        let mut environment = Environment::new();
        environment.set_formatter(write_escaped);
        environment
            .add_template("x.html", "{{ text }}|{{ ready }}|{{ number }}")
            .unwrap();
        environment.add_template("x.txt", "{{ text }}").unwrap();
        let context = context! {
            text => "<a href=\"/x?a=1&b=2\">é'</a>",
            ready => Value::from_safe_string("<b>".to_owned()),
            number => 7,
        };
        let written = |name: &str| environment.get_template(name).unwrap().render(&context).unwrap();
        assert_eq!(
            written("x.html"),
            "&lt;a href=&quot;/x?a=1&amp;b=2&quot;&gt;é&#39;&lt;/a&gt;|<b>|7"
        );
        assert_eq!(written("x.txt"), "<a href=\"/x?a=1&b=2\">é'</a>");
    }
}
