//! What a webhook costs without us: a handler that only reads the body, and one that also verifies it, with the settings
//! of the service. And a provider that answers after a while.

use std::io::Write;
use std::time::Duration;

use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, post};
use recoup::clock::Clock;
use recoup::http::webhooks::BODY_BYTES_MAX;
use recoup::providers::signature;
use secrecy::SecretString;

use crate::support::event::SECRET;

/// Where nothing but the body is read.
pub const BARE: &str = "/bare";
/// Where the signature is verified.
pub const VERIFIED: &str = "/verified";

/// Where a charge takes a millisecond.
pub const CHARGE: &str = "/charge";
const CHARGE_TIME: Duration = Duration::from_millis(1);

const ACCEPTED: &str = r#"{"status":"accepted"}"#;

#[post("/bare")]
async fn bare(body: Bytes) -> HttpResponse {
    std::hint::black_box(body);
    HttpResponse::Ok().content_type("application/json").body(ACCEPTED)
}

#[post("/verified")]
async fn verified(request: HttpRequest, body: Bytes, secrets: Data<Vec<SecretString>>) -> HttpResponse {
    let header = request.headers().get("stripe-signature");
    let header = header.and_then(|value| value.to_str().ok());
    match signature::verify(header, &body, &secrets, Clock::System.now()) {
        Ok(()) => HttpResponse::Ok().content_type("application/json").body(ACCEPTED),
        Err(bad) => HttpResponse::BadRequest().body(bad.as_str()),
    }
}

#[post("/charge")]
async fn charge() -> HttpResponse {
    tokio::time::sleep(CHARGE_TIME).await;
    HttpResponse::Ok().content_type("application/json").body(ACCEPTED)
}

/// Serves until it is killed.
pub async fn serve() -> anyhow::Result<()> {
    let secrets = Data::new(vec![SecretString::from(SECRET)]);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(secrets.clone())
            .app_data(actix_web::web::PayloadConfig::new(BODY_BYTES_MAX))
            .service(bare)
            .service(verified)
            .service(charge)
    })
    .client_request_timeout(Duration::from_secs(5))
    .keep_alive(Duration::from_secs(30))
    .max_connections(2_000)
    .bind("127.0.0.1:0")?;
    println!("listening on http://{}", server.addrs()[0]);
    std::io::stdout().flush()?;
    Ok(server.run().await?)
}
