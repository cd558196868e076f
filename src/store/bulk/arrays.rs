//! Rows as arrays, one for each column. Each row is written as JSON would be, and its fields are led apart on the way: so no
//! tree is built of it.

use std::io::{self, Write};

use sea_orm::Value;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CharEscape, Formatter};

use super::{Column, Kind};
use crate::store::StoreError;

/// What stands for NULL in an array of texts, since the driver's arrays have none; nobody is called so.
pub(super) const NO_TEXT: &str = "\u{1}NULL";
/// What stands for NULL in an array of numbers: no amount, count or instant comes near it.
pub(super) const NO_INT: i64 = -0x7fff_ffff_ffff_ffff;

/// The arrays of the columns, in their order. A field that a row leaves out is NULL; one that is no column is left out.
pub(super) fn arrays<R: Serialize>(columns: &[Column], rows: &[R]) -> Result<Vec<Value>, StoreError> {
    let of = |(column, kind): &Column| Array {
        column,
        cells: match kind {
            Kind::Text => Cells::Texts(Vec::with_capacity(rows.len())),
            Kind::Int => Cells::Ints(Vec::with_capacity(rows.len())),
        },
        filled: false,
    };
    let mut arrays: Vec<Array> = columns.iter().map(of).collect();
    let fields = Fields {
        arrays: &mut arrays,
        name: String::new(),
        names: false,
        text: String::new(),
        at: None,
    };
    let mut serializer = Serializer::with_formatter(io::sink(), fields);
    for row in rows {
        row.serialize(&mut serializer)
            .map_err(|error| StoreError::Other(error.to_string()))?;
    }
    let value = |array: Array| match array.cells {
        Cells::Texts(texts) => texts.into(),
        Cells::Ints(ints) => ints.into(),
    };
    Ok(arrays.into_iter().map(value).collect())
}

/// The array of one column, as far as it is written.
struct Array {
    column: &'static str,
    cells: Cells,
    /// Whether the present row has its element.
    filled: bool,
}

enum Cells {
    Texts(Vec<String>),
    Ints(Vec<i64>),
}

impl Array {
    fn null(&mut self) {
        self.filled = true;
        match &mut self.cells {
            Cells::Texts(texts) => texts.push(NO_TEXT.to_owned()),
            Cells::Ints(ints) => ints.push(NO_INT),
        }
    }
}

/// What a field holds that its column cannot.
fn misfit(column: &str) -> io::Error {
    io::Error::other(format!("the field {column} is not what its column holds"))
}

/// Leads the fields of rows to the arrays.
struct Fields<'a> {
    arrays: &'a mut [Array],
    /// The name of the present field.
    name: String,
    /// Whether it is that name which is written.
    names: bool,
    /// The present text.
    text: String,
    /// Which array the present value belongs to.
    at: Option<usize>,
}

impl Fields<'_> {
    fn array(&mut self) -> Option<&mut Array> {
        self.at.and_then(|at| self.arrays.get_mut(at))
    }

    fn push(&mut self, text: &str) {
        if self.names {
            self.name.push_str(text);
        } else {
            self.text.push_str(text);
        }
    }

    fn number(&mut self, number: Option<i64>) -> io::Result<()> {
        let Some(array) = self.array() else { return Ok(()) };
        match (&mut array.cells, number) {
            (Cells::Ints(ints), Some(number)) => ints.push(number),
            (Cells::Texts(_), _) | (_, None) => return Err(misfit(array.column)),
        }
        array.filled = true;
        Ok(())
    }
}

impl Formatter for Fields<'_> {
    fn begin_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        for array in &mut *self.arrays {
            array.filled = false;
        }
        Ok(())
    }

    fn end_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        for array in self.arrays.iter_mut().filter(|array| !array.filled) {
            array.null();
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
        Ok(())
    }

    fn end_string<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        if self.names {
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        let Some(array) = self.array() else { return Ok(()) };
        match &mut array.cells {
            Cells::Texts(texts) => texts.push(text),
            Cells::Ints(_) => return Err(misfit(array.column)),
        }
        array.filled = true;
        Ok(())
    }

    fn begin_string<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, _: &mut W, fragment: &str) -> io::Result<()> {
        self.push(fragment);
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, _: &mut W, escape: CharEscape) -> io::Result<()> {
        let letter = match escape {
            CharEscape::Quote => '"',
            CharEscape::ReverseSolidus => '\\',
            CharEscape::Solidus => '/',
            CharEscape::Backspace => '\u{8}',
            CharEscape::FormFeed => '\u{c}',
            CharEscape::LineFeed => '\n',
            CharEscape::CarriageReturn => '\r',
            CharEscape::Tab => '\t',
            CharEscape::AsciiControl(byte) => char::from(byte),
        };
        self.push(letter.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn write_null<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        if let Some(array) = self.array() {
            array.null();
        }
        Ok(())
    }

    fn write_i64<W: ?Sized + Write>(&mut self, _: &mut W, number: i64) -> io::Result<()> {
        self.number(Some(number))
    }

    fn write_u32<W: ?Sized + Write>(&mut self, _: &mut W, number: u32) -> io::Result<()> {
        self.number(Some(number.into()))
    }

    fn write_u64<W: ?Sized + Write>(&mut self, _: &mut W, number: u64) -> io::Result<()> {
        self.number(i64::try_from(number).ok())
    }
}
