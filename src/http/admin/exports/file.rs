//! A table as a file of Apache Parquet.

use std::fs;
use std::io::{Seek, SeekFrom};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

use crate::store::exports::{Column, Kind, Part, Table, Values};

/// A file that is being written.
pub(super) struct File {
    writer: SerializedFileWriter<fs::File>,
}

impl File {
    /// Begins a file without rows.
    pub(super) fn begin(table: Table) -> anyhow::Result<Self> {
        let fields: String = table.columns().iter().map(field).collect();
        let schema = parse_message_type(&format!("message recoup {{ {fields} }}"))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("recoup {}", env!("CARGO_PKG_VERSION")))
            .build();
        let writer = SerializedFileWriter::new(tempfile::tempfile()?, Arc::new(schema), Arc::new(properties))?;
        Ok(Self { writer })
    }

    /// Adds the rows as a group.
    pub(super) fn add(mut self, part: &Part) -> anyhow::Result<Self> {
        let mut group = self.writer.next_row_group()?;
        for values in &part.columns {
            let mut column = group.next_column()?.expect("as many columns as the schema has");
            write(&mut column, values)?;
            column.close()?;
        }
        group.close()?;
        Ok(self)
    }

    /// Ends the file; it is read from its begin.
    pub(super) fn end(self) -> anyhow::Result<fs::File> {
        let mut file = self.writer.into_inner()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }
}

fn field((name, _, kind): &Column) -> String {
    match kind {
        Kind::Text | Kind::Pseudonym => format!("OPTIONAL BYTE_ARRAY {name} (UTF8); "),
        Kind::Whole => format!("OPTIONAL INT64 {name}; "),
        Kind::Instant => format!("OPTIONAL INT64 {name} (TIMESTAMP(MILLIS,true)); "),
    }
}

fn write(column: &mut SerializedColumnWriter<'_>, values: &Values) -> anyhow::Result<()> {
    match values {
        Values::Texts(texts) => {
            let known: Vec<ByteArray> = texts.iter().flatten().map(|text| text.as_str().into()).collect();
            let typed = column.typed::<ByteArrayType>();
            typed.write_batch(&known, Some(&levels(texts)), None)?;
        }
        Values::Wholes(wholes) => {
            let known: Vec<i64> = wholes.iter().flatten().copied().collect();
            let typed = column.typed::<Int64Type>();
            typed.write_batch(&known, Some(&levels(wholes)), None)?;
        }
    }
    Ok(())
}

/// Which values there are.
fn levels<T>(values: &[Option<T>]) -> Vec<i16> {
    values.iter().map(|value| i16::from(value.is_some())).collect()
}
