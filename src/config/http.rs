//! `[http]`: where and under which address we serve.

use std::net::SocketAddr;

use url::{Host, Url};

use super::values::Values;

/// Where and under which address we serve.
#[derive(Clone, Debug)]
pub struct Http {
    /// The address to bind; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Base of the links in mails; without it, the address of the request.
    pub public_url: Option<Url>,
}

pub(super) fn read(values: &mut Values) -> Option<Http> {
    let listen = values.required("http.listen", |text| {
        text.parse()
            .map_err(|_| "is not a socket address; write an IP address and a port, like 127.0.0.1:8080".to_owned())
    });
    let public_url = values.optional("http.public_url", web_url);
    Some(Http {
        listen: listen?,
        public_url,
    })
}

/// Reads an address of the web that paths can be appended to.
pub(super) fn web_url(text: &str) -> Result<Url, String> {
    let form = "write it like https://billing.example.com";
    let url = Url::parse(text).map_err(|error| format!("is not a URL ({error}); {form}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("is not an http or https URL; {form}"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("carries more than host, port and path; {form}"));
    }
    Ok(url)
}

/// Whether what is sent to an address stays between it and us: over TLS, or on this machine.
pub(super) fn keeps_secrets(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || loopback
}
