//! How a remote server is reached, and its address checked.

use std::time::Duration;

use ::http::Uri;
use gristmill_types::SecretRef;
use serde::{Deserialize, Serialize};

use crate::error::Problem;
use crate::tls::ClientTlsConfig;

/// A server, or the replicas of one, over the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RemoteConfig {
    /// `http://host:port`, with TLS `https://host:port`; several hosts are divided by commas. A name with
    /// several addresses (a headless service) is called on all of them in turn.
    pub endpoint: String,
    /// The token that calls carry, `env:NAME` or `file:PATH`; a file is read again when it changes.
    pub token: Option<SecretRef>,
    /// What the server's certificate is checked against, and this client's own.
    pub tls: ClientTlsConfig,
    /// How long one connection may take to come about.
    pub connect_seconds: u64,
    /// How often names are resolved again.
    pub resolve_seconds: u64,
    /// How long a connection may be silent before it is asked for life.
    pub keep_alive_seconds: u64,
    /// Most times one call is sent: 1 is without retries. Only rpcs that may be repeated are.
    pub attempts: u32,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            token: None,
            tls: ClientTlsConfig::default(),
            connect_seconds: 5,
            resolve_seconds: 30,
            keep_alive_seconds: 30,
            attempts: 4,
        }
    }
}

impl RemoteConfig {
    /// The server at `endpoint`, everything else by default.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), ..Self::default() }
    }
}

/// One host of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// Without brackets.
    pub(super) name: String,
    pub(super) port: u16,
}

/// An endpoint as it was checked.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) hosts: Vec<Host>,
    pub(super) tls: bool,
    /// What requests name as their server.
    pub(super) authority: String,
    /// As it was written, for messages.
    pub(super) text: String,
}

impl Endpoint {
    /// # Errors
    /// INVALID_ARGUMENT says how an endpoint is written.
    pub(super) fn parse(config: &RemoteConfig) -> Result<Self, Problem> {
        let text = &config.endpoint;
        let wrong = |why: &str| {
            let message = format!("`{text}` is not an address{why}: write `http://host:port` or `https://host:port`");
            Problem::invalid("INVALID_ENDPOINT", message)
        };
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None if config.tls.is_set() => ("https", text.as_str()),
            None => ("http", text.as_str()),
        };
        let tls = match scheme {
            "http" if config.tls.is_set() => return Err(wrong(" with TLS, although `tls` is configured for it")),
            "http" => false,
            "https" => true,
            _ => return Err(wrong("")),
        };
        let list = rest.strip_suffix('/').unwrap_or(rest);
        let hosts: Option<Vec<Host>> = list.split(',').map(|each| host(each.trim(), tls)).collect();
        let hosts = hosts.ok_or_else(|| wrong(""))?;
        let authority = list.split(',').next().unwrap_or_default().trim().to_owned();
        Ok(Self { hosts, tls, authority, text: text.clone() })
    }
}

fn host(text: &str, tls: bool) -> Option<Host> {
    let uri: Uri = format!("http://{text}/").parse().ok()?;
    if uri.path() != "/" || uri.query().is_some() || text.contains(['@', '/', '?', '#']) {
        return None;
    }
    let name = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = match uri.port() {
        Some(port) => port.as_u16(),
        None if text.ends_with(|c: char| c.is_ascii_digit()) && text.contains(':') && !text.contains(']') => {
            return None;
        }
        None => {
            if tls {
                443
            } else {
                80
            }
        }
    };
    (!name.is_empty()).then_some(Host { name, port })
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Endpoint, Problem> {
        Endpoint::parse(&RemoteConfig::new(text))
    }

    #[test]
    fn endpoints_are_read_with_their_hosts() {
        let cases = [
            ("127.0.0.1:7700", false, vec![("127.0.0.1", 7700)]),
            ("http://mill:7700/", false, vec![("mill", 7700)]),
            ("https://[::1]:7", true, vec![("::1", 7)]),
            ("https://mill", true, vec![("mill", 443)]),
            ("https://a:1, b:2", true, vec![("a", 1), ("b", 2)]),
        ];
        for (text, tls, hosts) in cases {
            let endpoint = parse(text).unwrap();
            assert_eq!(endpoint.tls, tls, "{text}");
            let found: Vec<_> = endpoint.hosts.iter().map(|host| (host.name.as_str(), host.port)).collect();
            assert_eq!(found, hosts, "{text}");
        }
        let config = RemoteConfig {
            tls: ClientTlsConfig { domain: Some("mill".into()), ..ClientTlsConfig::default() },
            ..RemoteConfig::new("mill:7700")
        };
        assert!(Endpoint::parse(&config).unwrap().tls, "tls without a scheme");
        let config = RemoteConfig { endpoint: "http://mill:7700".into(), ..config };
        assert!(Endpoint::parse(&config).unwrap_err().message.contains("although `tls` is configured"));
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "ftp://mill:1",
            "http://",
            "http://mill:99999",
            "http://mill/x",
            "http://u@mill:1",
            "a:1,,b:2",
            "http://mill:1?x",
        ] {
            let problem = parse(text).unwrap_err();
            assert_eq!(problem.reason, "INVALID_ENDPOINT", "{text}");
        }
    }
}
