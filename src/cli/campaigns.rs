//! `recoup campaigns`: campaigns as files that are reviewed, compared and published.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::app::open_store;
use crate::clock::{Clock, entropy};
use crate::config::Config;
use crate::domain::campaign::review::difference;
use crate::domain::campaign::{BadCampaign, Campaign};
use crate::domain::case::CampaignRef;
use crate::domain::ids::AuditId;
use crate::store::audit::{self, AuditRow};
use crate::store::{Store, campaigns, cases};

/// Who publishes from the command line, for the audit log.
const ACTOR: &str = "command line";

/// What can be done with campaigns.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show what changes from one version to another.
    Diff {
        /// A version such as `default@2`, the newest of `default`, or a file.
        from: String,
        /// The same.
        to: String,
    },
    /// Print a version as it was written, or write all of them into a folder.
    Export {
        /// A version such as `default@2`, or the newest of `default`; without it, all campaigns.
        #[arg(required_unless_present = "dir")]
        campaign: Option<String>,
        /// The folder to write `NAME@VERSION.toml` into.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Check files and publish them, all or none.
    Apply {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Only say what would change.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Carries out a command.
pub async fn run(config: &Config, command: &Command) -> anyhow::Result<()> {
    let store = open_store(config).await?;
    let done = match command {
        Command::Diff { from, to } => diff(&store, from, to).await,
        Command::Export { campaign, dir } => export(&store, campaign.as_deref(), dir.as_deref()).await,
        Command::Apply { files, dry_run } => apply(&store, files, *dry_run).await,
    };
    store.close().await?;
    done
}

async fn diff(store: &Store, from: &str, to: &str) -> anyhow::Result<()> {
    let (from, to) = (text_of(store, from).await?, text_of(store, to).await?);
    let diff = difference((&from.0, &from.1), (&to.0, &to.1));
    if diff.is_empty() {
        println!("{} and {} are alike", from.0, to.0);
    } else {
        print!("{diff}");
    }
    Ok(())
}

async fn export(store: &Store, campaign: Option<&str>, dir: Option<&Path>) -> anyhow::Result<()> {
    let wanted = match campaign {
        Some(name) => vec![known(store, name).await?],
        None => campaigns::versions(store.conn()).await?,
    };
    for version in wanted {
        let text = stored(store, &version).await?;
        let Some(dir) = dir else {
            print!("{text}");
            continue;
        };
        let path = dir.join(format!("{}.toml", file_name(&version)));
        match std::fs::read_to_string(&path) {
            Ok(there) if there == text => {}
            Ok(_) => anyhow::bail!("{} has other content: move it away, then export again", path.display()),
            Err(_) => std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?,
        }
        println!("{}", path.display());
    }
    Ok(())
}

/// A name that every file system takes.
fn file_name(version: &CampaignRef) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
    let name: String = version
        .name
        .chars()
        .map(|letter| if plain(letter) { letter } else { '_' })
        .collect();
    format!("{name}@{}", version.version)
}

async fn apply(store: &Store, files: &[PathBuf], dry_run: bool) -> anyhow::Result<()> {
    let tx = store.begin().await?;
    let mut all = campaigns::list(tx.conn()).await?;
    let mut faults = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let campaign = match Campaign::review(&text, &all) {
            Ok(campaign) => campaign,
            Err(BadCampaign(found)) => {
                faults.extend(found.iter().map(|fault| fault.in_file(path)));
                continue;
            }
        };
        let version = CampaignRef::of(&campaign);
        if all.contains(&campaign) {
            println!("{version} is there already");
            continue;
        }
        let before = all
            .iter()
            .filter(|other| other.name == campaign.name)
            .max_by_key(|other| other.version);
        let before = before.map(CampaignRef::of);
        let now = Clock::System.now();
        campaigns::publish(tx.conn(), &campaign, &text, now)
            .await
            .with_context(|| path.display().to_string())?;
        if let Some(before) = before {
            let old = campaigns::text(tx.conn(), &before).await?.unwrap_or_default();
            print!(
                "{}",
                difference((&before.to_string(), &old), (&version.to_string(), &text))
            );
            let running = cases::open_with(tx.conn(), &before).await?;
            println!("{running} running cases keep {before}; migrate moves them");
        }
        let entry = AuditRow {
            id: AuditId::new(now.as_millisecond(), entropy()),
            at: now,
            actor: ACTOR.to_owned(),
            action: "campaigns.create".to_owned(),
            object: version.to_string(),
            comment: None,
        };
        audit::append(&tx, &entry).await?;
        println!(
            "{version} {}",
            if dry_run { "can be published" } else { "is published" }
        );
        all.push(campaign);
    }
    anyhow::ensure!(faults.is_empty(), "{}", faults.join("\n"));
    if !dry_run {
        tx.commit().await?;
    }
    Ok(())
}

/// A file, or a stored version, with the name to show.
async fn text_of(store: &Store, what: &str) -> anyhow::Result<(String, String)> {
    if Path::new(what).is_file() {
        let text = std::fs::read_to_string(what).with_context(|| format!("{what} cannot be read"))?;
        return Ok((what.to_owned(), text));
    }
    let version = known(store, what).await?;
    let text = stored(store, &version).await?;
    Ok((version.to_string(), text))
}

async fn stored(store: &Store, version: &CampaignRef) -> anyhow::Result<String> {
    let text = campaigns::text(store.conn(), version).await?;
    text.with_context(|| format!("there is no campaign {version}"))
}

/// The version that somebody names, or the newest of that name.
async fn known(store: &Store, what: &str) -> anyhow::Result<CampaignRef> {
    if let Ok(version) = what.parse() {
        return Ok(version);
    }
    let all = campaigns::versions(store.conn()).await?;
    let named = all.into_iter().filter(|version| version.name == what);
    let newest = named.max_by_key(|version| version.version);
    newest.with_context(|| format!("there is no file and no campaign {what}; name a version such as default@2"))
}
