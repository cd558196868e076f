//! `recoup migrate`.

use anyhow::Context;
use secrecy::ExposeSecret;

use crate::config::Config;
use crate::store::Store;

/// Brings the schema up to date, whatever `database.migrate` says.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    let store = Store::connect(config.database.url.expose_secret(), 1)
        .await
        .context("database.url: the database cannot be opened")?;
    let pending = store.migrations_pending().await?;
    store
        .migrate()
        .await
        .context("the schema cannot be brought up to date")?;
    println!(
        "{}",
        if pending {
            "the schema was brought up to date"
        } else {
            "the schema is up to date"
        }
    );
    store.close().await?;
    Ok(())
}
