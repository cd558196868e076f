//! `recoup check`.

use std::path::PathBuf;

use crate::app::{campaign_files, load_campaigns, mailer};
use crate::config::Config;
use crate::domain::campaign::{Campaign, EMBEDDED};
use crate::domain::case::Collector;
use crate::mailer::Templates;

/// Checks what the configuration names: the campaigns, the templates, the way mails leave. Faults are told all at once.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let mut faults = Vec::new();
    if let Err(error) = load_campaigns(config.campaigns.dir.as_deref()) {
        faults.push(format!("{error:#}"));
    } else {
        faults.extend(lints(config)?);
    }
    match Templates::new().and_then(|templates| templates.check()) {
        Ok(()) => println!("templates: good"),
        Err(error) => faults.push(format!("templates: {error}")),
    }
    if let Err(error) = mailer(config) {
        faults.push(error.to_string());
    }
    anyhow::ensure!(faults.is_empty(), "{}", faults.join("\n"));
    println!("configuration: good");
    if config.stripe.is_none() {
        println!(
            "note: no connection is configured; set stripe.api_key and stripe.webhook_secrets to receive webhooks"
        );
    }
    Ok(())
}

/// What campaigns say that they cannot mean, and what the configuration keeps them from; of the others, that they are good.
fn lints(config: &Config) -> anyhow::Result<Vec<String>> {
    let files = match config.campaigns.dir.as_deref() {
        Some(dir) => campaign_files(dir)?,
        None => vec![(PathBuf::from("the built-in campaign"), EMBEDDED.to_owned())],
    };
    let provider_collects = config
        .stripe
        .as_ref()
        .is_some_and(|stripe| stripe.collector == Collector::Provider);
    let mut lints = Vec::new();
    let mut read = Vec::new();
    for (path, text) in files {
        // What cannot be read at all was told before.
        if let Ok((campaign, faults)) = Campaign::read(&text) {
            read.push((path, text, campaign, faults));
        }
    }
    let all: Vec<&Campaign> = read.iter().map(|(_, _, campaign, _)| campaign).collect();
    for (path, text, campaign, faults) in &read {
        let mut faults = faults.clone();
        faults.extend(campaign.faults_among(&all, text));
        if provider_collects && !campaign.ladders.is_empty() {
            faults.push(campaign.idle_ladder(text));
        }
        if faults.is_empty() {
            println!("campaign {} version {}: good", campaign.name, campaign.version);
        }
        lints.extend(faults.iter().map(|fault| fault.in_file(path)));
    }
    Ok(lints)
}
