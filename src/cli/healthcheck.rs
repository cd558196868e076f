//! `recoup healthcheck`.

use std::time::Duration;

use anyhow::Context;

/// What can be given to `healthcheck`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The address of the service.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
}

/// Asks `/readyz`; an error unless it answers 200 within five seconds.
pub async fn run(given: &Arguments) -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(5))
        .build()?;
    let url = format!("{}/readyz", given.url.trim_end_matches('/'));
    let status = client
        .get(&url)
        .send()
        .await
        .with_context(|| format!("{url} does not answer"))?
        .status();
    anyhow::ensure!(status.is_success(), "{url} answers {status}");
    Ok(())
}
