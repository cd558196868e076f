//! `recoup check`.

use crate::app::load_campaigns;
use crate::config::Config;
use crate::mailer::{Mailer, Templates};

/// Checks what the configuration names: the campaigns, the templates, the way mails leave. Faults are told all at once.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let mut faults = Vec::new();
    match load_campaigns(config.campaigns.dir.as_deref()) {
        Ok(campaigns) => {
            for campaign in campaigns {
                println!("campaign {} version {}: good", campaign.name, campaign.version);
            }
        }
        Err(error) => faults.push(format!("{error:#}")),
    }
    match Templates::new().and_then(|templates| templates.check()) {
        Ok(()) => println!("templates: good"),
        Err(error) => faults.push(format!("templates: {error}")),
    }
    let from = config.mail.from.as_ref().map(ToString::to_string);
    let ca_file = config.mail.smtp_ca_file.as_deref();
    if let Err(error) = Mailer::trusting(ca_file, config.mail.smtp_url.as_ref(), from.as_deref()) {
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
