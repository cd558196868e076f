//! Where in a file of TOML something stands.

use toml::de::{DeTable, DeValue};

/// A place in a text, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Place {
    /// The place of a byte.
    pub(super) fn of_byte(text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }

    /// The place of a value by its path, such as `ladder.0.days`; of what is missing, the place of the nearest that is there.
    pub(super) fn of_path(text: &str, path: &str) -> Option<Self> {
        let table = DeTable::parse(text).ok()?;
        let mut found = table.span().start;
        let mut value: Option<&DeValue<'_>> = None;
        for part in path.split('.').filter(|part| !part.is_empty()) {
            let next = match value {
                None => member(table.get_ref(), part),
                Some(DeValue::Table(table)) => member(table, part),
                Some(DeValue::Array(array)) => {
                    let nth: usize = part.parse().ok()?;
                    array.get(nth).map(|value| (value.span().start, value.get_ref()))
                }
                Some(_) => None,
            };
            let Some((start, inner)) = next else { break };
            (found, value) = (start, Some(inner));
        }
        Some(Self::of_byte(text, found))
    }
}

fn member<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<(usize, &'a DeValue<'i>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    Some((key.span().start, value.get_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_path() {
        let text = "name = \"ä\" # é\n\n[[ladder]]\nkinds = [\"limit\"]\n[[ladder]]\nkinds = []\ndays = [1, 3]\n\n[final]\nat = \"09:00\"\n";
        let at = |path| Place::of_path(text, path).map(|place| place.to_string());
        assert_eq!(at("name").as_deref(), Some("1:1"));
        assert_eq!(at("ladder.1.days").as_deref(), Some("7:1"));
        assert_eq!(at("ladder.1.days.1").as_deref(), Some("7:12"));
        assert_eq!(at("ladder.1.hours").as_deref(), Some("5:1"));
        assert_eq!(at("final.at").as_deref(), Some("10:1"));
        assert_eq!(Place::of_path("name = ", "name"), None);
        assert_eq!(Place::of_byte("aé\nb", 5), Place { line: 2, column: 2 });
    }
}
