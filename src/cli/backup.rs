//! `recoup backup`.

use std::path::PathBuf;

use anyhow::Context;
use secrecy::ExposeSecret;

use crate::clock::Clock;
use crate::config::Config;
use crate::engine::BIRTHMARK;
use crate::store::{Dialect, Store, backup, settings};

/// What can be given to `backup`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The file to write; it must not be there yet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Copies a SQLite database while it is in use. The copy knows that it is one.
pub async fn run(config: &Config, given: &Arguments) -> anyhow::Result<()> {
    let store = Store::connect(config.database.url.expose_secret(), 1)
        .await
        .context("database.url: the database cannot be opened")?;
    anyhow::ensure!(
        store.dialect() == Dialect::Sqlite,
        "a PostgreSQL database is copied by its own tools: `pg_dump --format=custom --file=FILE DATABASE`, and \
         `pg_restore --dbname=DATABASE FILE` brings it back"
    );
    let file = given.file.to_str().context("the name of the file is not UTF-8")?;
    anyhow::ensure!(!given.file.exists(), "{file} is there already; name another file");
    backup::copy(&store, file).await.context("the copy cannot be written")?;
    store.close().await?;
    let copy = Store::connect(&format!("sqlite://{file}"), 1).await?;
    let mark = format!("a copy of {}", Clock::System.now());
    settings::set(copy.conn(), BIRTHMARK, &mark).await?;
    copy.close().await?;
    println!("copied to {file}");
    Ok(())
}
