//! Rows as arrays, one for each column, as PostgreSQL writes arrays. Each row is written as JSON would be, and its fields
//! are led apart on the way: so no tree is built of it.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CharEscape, Formatter};

use super::Column;
use crate::store::StoreError;

/// The arrays of the columns, in their order. A field that a row leaves out is NULL; one that is no column is left out.
pub(super) fn arrays<R: Serialize>(columns: &[Column], rows: &[R]) -> Result<Vec<String>, StoreError> {
    let mut arrays: Vec<Array> = columns.iter().map(|(name, _)| Array::of(name)).collect();
    let fields = Fields {
        arrays: &mut arrays,
        name: String::new(),
        names: false,
        at: None,
    };
    let mut serializer = Serializer::with_formatter(io::sink(), fields);
    for row in rows {
        row.serialize(&mut serializer)
            .map_err(|error| StoreError::Other(error.to_string()))?;
    }
    Ok(arrays.into_iter().map(Array::end).collect())
}

/// The array of one column, as far as it is written.
struct Array {
    column: &'static str,
    text: String,
    /// Whether the present row has its element.
    filled: bool,
}

impl Array {
    fn of(column: &'static str) -> Self {
        Self {
            column,
            text: "{".to_owned(),
            filled: false,
        }
    }

    fn begin(&mut self) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.filled = true;
    }

    fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// Leads the fields of rows to the arrays.
struct Fields<'a> {
    arrays: &'a mut [Array],
    /// The name of the present field.
    name: String,
    /// Whether it is that name which is written.
    names: bool,
    /// Which array the present value belongs to.
    at: Option<usize>,
}

impl Fields<'_> {
    fn push(&mut self, text: &str) {
        if self.names {
            self.name.push_str(text);
        } else if let Some(array) = self.at.and_then(|at| self.arrays.get_mut(at)) {
            array.text.push_str(text);
        }
    }

    /// Opens or closes the quotes of a value.
    fn quote(&mut self) {
        if !self.names {
            self.push("\"");
        }
    }
}

/// Numbers as they are.
macro_rules! numbers {
    ($($write:ident: $number:ty),+) => {
        $(fn $write<W: ?Sized + Write>(&mut self, _: &mut W, number: $number) -> io::Result<()> {
            self.push(&number.to_string());
            Ok(())
        })+
    };
}

impl Formatter for Fields<'_> {
    numbers!(write_i64: i64, write_u32: u32, write_u64: u64);

    fn begin_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        for array in &mut *self.arrays {
            array.filled = false;
        }
        Ok(())
    }

    fn end_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        for array in self.arrays.iter_mut().filter(|array| !array.filled) {
            array.begin();
            array.text.push_str("NULL");
        }
        Ok(())
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, _: &mut W, _: bool) -> io::Result<()> {
        self.name.clear();
        self.names = true;
        Ok(())
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.names = false;
        let is_it = |array: &Array| array.column == self.name;
        // Most rows name their fields in the order of the columns.
        let next = self.at.map_or(0, |at| at + 1);
        self.at = match self.arrays.get(next) {
            Some(array) if is_it(array) => Some(next),
            Some(_) | None => self.arrays.iter().position(is_it),
        };
        if let Some(array) = self.at.and_then(|at| self.arrays.get_mut(at)) {
            array.begin();
        }
        Ok(())
    }

    fn begin_string<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.quote();
        Ok(())
    }

    fn end_string<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.quote();
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, _: &mut W, fragment: &str) -> io::Result<()> {
        self.push(fragment);
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, _: &mut W, escape: CharEscape) -> io::Result<()> {
        match escape {
            CharEscape::Quote => self.push("\\\""),
            CharEscape::ReverseSolidus => self.push("\\\\"),
            CharEscape::Solidus => self.push("/"),
            CharEscape::Backspace => self.push("\u{8}"),
            CharEscape::FormFeed => self.push("\u{c}"),
            CharEscape::LineFeed => self.push("\n"),
            CharEscape::CarriageReturn => self.push("\r"),
            CharEscape::Tab => self.push("\t"),
            CharEscape::AsciiControl(byte) => self.push(char::from(byte).encode_utf8(&mut [0; 4])),
        }
        Ok(())
    }

    fn write_null<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.push("NULL");
        Ok(())
    }

    fn write_bool<W: ?Sized + Write>(&mut self, _: &mut W, value: bool) -> io::Result<()> {
        self.push(if value { "true" } else { "false" });
        Ok(())
    }
}
