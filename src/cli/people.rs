//! `recoup people`.

use anyhow::Context;

use crate::app::open_store;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::role::Role;
use crate::http::people::{self, LINK_HOURS, Link, NewPerson};
use crate::store;

/// Under which name the audit log has what is done here.
const ACTOR: &str = "command line";

/// What can be done about people.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print a link by which one more person can sign in.
    Invite {
        /// Their mail address; nothing is sent to it.
        #[arg(long)]
        email: String,
        /// Their name, under which acts are recorded.
        #[arg(long)]
        name: String,
        /// What they may do: viewer, marketing, billing or admin.
        #[arg(long)]
        role: Role,
    },
    /// Print a link by which a person who forgot their password can choose another.
    Reset {
        /// Their mail address.
        #[arg(long)]
        email: String,
    },
}

/// Carries out a command.
pub async fn run(config: &Config, command: &Command) -> anyhow::Result<()> {
    let store = open_store(config).await?;
    let now = Clock::System.now();
    let (_, link) = match command {
        Command::Invite { email, name, role } => {
            let new = NewPerson {
                name: name.clone(),
                email: email.clone(),
                role: *role,
            };
            people::invite(&store, ACTOR, new, now).await?
        }
        Command::Reset { email } => {
            let email = email.trim().to_lowercase();
            let found = store::people::find_by_email(store.conn(), &email).await?;
            let found = found.context("nobody has this address")?;
            people::reset(&store, ACTOR, &found.id, now).await?
        }
    };
    println!("{}", shown(config, &link));
    eprintln!("The link is good once, for {LINK_HOURS} hours. This is the only time it is shown.");
    store.close().await?;
    Ok(())
}

fn shown(config: &Config, link: &Link) -> String {
    let base = match &config.http.public_url {
        Some(url) => url.to_string(),
        None => format!("http://{}", config.http.listen),
    };
    link.url(&base)
}
