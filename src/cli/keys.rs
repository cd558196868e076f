//! `recoup keys`.

use secrecy::ExposeSecret;

use crate::app::open_store;
use crate::clock::{Clock, entropy};
use crate::config::Config;
use crate::domain::role::Role;
use crate::http::keys::{Entropy, mint};
use crate::store::keys;

/// What can be done with API keys.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print a new API key once.
    Create {
        /// What it may do: viewer, marketing, billing or admin.
        #[arg(long)]
        role: Role,
        /// Whom or what it is for.
        #[arg(long)]
        name: String,
    },
}

/// Carries out a command.
pub async fn run(config: &Config, command: &Command) -> anyhow::Result<()> {
    let Command::Create { role, name } = command;
    let store = open_store(config).await?;
    let (row, secret) = mint(
        name,
        *role,
        Clock::System.now(),
        Entropy([entropy(), entropy(), entropy()]),
    );
    keys::insert(store.conn(), &row).await?;
    println!("{}", secret.expose_secret());
    eprintln!("This is the only time the key is shown; it is kept as a digest only.");
    store.close().await?;
    Ok(())
}
