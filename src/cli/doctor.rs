//! `recoup doctor`: what is wrong, and what to do about it.

use secrecy::ExposeSecret;
use serde::Serialize;

use crate::config::Config;
use crate::store::Store;

mod books;
mod outside;
mod queues;

/// What can be given to `doctor`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// How one check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Good,
    /// Worth knowing, and nothing is wrong.
    Note,
    Bad,
}

/// One check, as it is told.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    says: String,
    /// What to do; empty where nothing is wrong.
    mend: &'static str,
}

/// The findings so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn tell(&mut self, check: &'static str, verdict: Verdict, says: impl Into<String>, mend: &'static str) {
        let mend = if verdict == Verdict::Good { "" } else { mend };
        self.0.push(Finding {
            check,
            verdict,
            says: says.into(),
            mend,
        });
    }

    /// Bad where there is something, good where there is nothing.
    fn count(&mut self, check: &'static str, count: u64, what: &str, mend: &'static str) {
        let verdict = if count == 0 { Verdict::Good } else { Verdict::Bad };
        self.tell(check, verdict, format!("{count} {what}"), mend);
    }
}

/// Checks all there is to check and prints it; an error where something is bad.
pub async fn run(config: &Config, given: &Arguments) -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut findings = Findings::default();
    findings.tell("configuration", Verdict::Good, "it is valid", "");
    if let Some(store) = database(config, &mut findings).await {
        let looked = async {
            queues::check(config, &store, &mut findings).await?;
            books::check(&store, &mut findings).await
        };
        if let Err(error) = looked.await {
            findings.tell(
                "database",
                Verdict::Bad,
                error.to_string(),
                "see the log of the database",
            );
        }
        store.close().await?;
    }
    outside::check(config, &mut findings).await;
    print(&findings, given.json)?;
    let bad = findings.0.iter().filter(|one| one.verdict == Verdict::Bad).count();
    anyhow::ensure!(bad == 0, "{bad} of {} checks went wrong", findings.0.len());
    Ok(())
}

/// The database, where it answers with a schema that this binary can work on.
async fn database(config: &Config, findings: &mut Findings) -> Option<Store> {
    let mend = "check database.url, and that the database runs";
    let store = match Store::connect(config.database.url.expose_secret(), 2).await {
        Ok(store) => store,
        Err(error) => {
            findings.tell("database", Verdict::Bad, error.to_string(), mend);
            return None;
        }
    };
    let pending = async {
        store.ping().await?;
        store.migrations_pending().await
    };
    match pending.await {
        Ok(false) => {
            findings.tell("database", Verdict::Good, "it answers", "");
            findings.tell("schema", Verdict::Good, "it is current", "");
            Some(store)
        }
        Ok(true) => {
            findings.tell("database", Verdict::Good, "it answers", "");
            findings.tell("schema", Verdict::Bad, "it lacks a migration", "run `recoup migrate`");
            None
        }
        Err(error) => {
            findings.tell("database", Verdict::Bad, error.to_string(), mend);
            None
        }
    }
}

fn print(findings: &Findings, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(&findings.0)?);
        return Ok(());
    }
    let widest = findings.0.iter().map(|one| one.check.len()).max().unwrap_or(0);
    for Finding {
        check,
        verdict,
        says,
        mend,
    } in &findings.0
    {
        let word = match verdict {
            Verdict::Good => "good",
            Verdict::Note => "note",
            Verdict::Bad => "BAD ",
        };
        println!("{word}  {check:<widest$}  {says}");
        if !mend.is_empty() {
            println!("      {:<widest$}  -> {mend}", "");
        }
    }
    Ok(())
}
