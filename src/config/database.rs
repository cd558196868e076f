//! `[database]`: where the state is kept.

use secrecy::SecretString;
use url::Url;

use super::values::{Values, switch};

/// Where the state is kept.
#[derive(Clone, Debug)]
pub struct Database {
    /// `sqlite://PATH` or `postgres://...`; secret, for it may carry a password.
    pub url: SecretString,
    /// Whether `serve` brings the schema up to date before it starts.
    pub migrate: bool,
}

pub(super) fn read(values: &mut Values) -> Option<Database> {
    let url = values.required("database.url", database_url);
    let migrate = values.required("database.migrate", switch);
    Some(Database {
        url: url?,
        migrate: migrate?,
    })
}

fn database_url(text: &str) -> Result<SecretString, String> {
    let form = "write sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME";
    let scheme = text.split(':').next().unwrap_or_default();
    match scheme {
        "sqlite" if text.trim_start_matches("sqlite:").trim_matches('/').is_empty() => {
            Err(format!("names no file; {form}"))
        }
        "sqlite" => Ok(text.into()),
        "postgres" | "postgresql" => match Url::parse(text) {
            Ok(_) => Ok(text.into()),
            Err(error) => Err(format!(
                "is not a URL ({error}); {form}, special characters of the password as %XX"
            )),
        },
        _ => Err(format!("is neither a SQLite nor a PostgreSQL URL; {form}")),
    }
}
