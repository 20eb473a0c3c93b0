//! Host and Origin checks: a browser that was lured here is no caller.

use ::http::{HeaderMap, Uri, header};
use gristmill_types::ErrorCode;

use crate::error::Problem;

/// Hosts that requests may name, without ports. A page of another site cannot forge these headers.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    /// `None`: any host (callers show tokens, which a lured browser does not have).
    allowed: Option<Vec<String>>,
}

impl Hosts {
    /// Loopback names and `extra`; without `closed`, only when something is listed.
    pub(crate) fn new(closed: bool, extra: &[String]) -> Self {
        if !closed && extra.is_empty() {
            return Self { allowed: None };
        }
        let mut allowed: Vec<String> = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).into();
        allowed.extend(extra.iter().map(|host| host.to_ascii_lowercase()));
        Self { allowed: Some(allowed) }
    }

    /// Refuses a foreign `Host` (DNS rebinding), `Origin` or `Sec-Fetch-Site` (cross-site request).
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        if let Some(allowed) = &self.allowed {
            let host = uri.authority().map(|authority| authority.as_str()).or_else(|| text(header::HOST));
            let named = host.map(without_port).map(str::to_ascii_lowercase);
            if !named.as_ref().is_some_and(|host| allowed.contains(host)) {
                let message = "this server does not answer under that host name: list it in `allowed_hosts`";
                return Err(Problem::new(ErrorCode::PermissionDenied, "FOREIGN_HOST", message));
            }
        }
        if let Some(origin) = text(header::ORIGIN) {
            let host = uri.authority().map(|authority| authority.as_str()).or_else(|| text(header::HOST));
            let from = origin.split_once("://").map(|(_, rest)| rest);
            let same = from.is_some() && from == host;
            let listed = self.allowed.as_ref().zip(from).is_some_and(|(allowed, from)| {
                // A listed host on another port is another program: only the exact name is let through.
                allowed.iter().any(|host| host.eq_ignore_ascii_case(from))
            });
            if !same && !listed {
                return Err(foreign_origin());
            }
        }
        match headers.get("sec-fetch-site").map(|value| value.as_bytes()) {
            Some(b"cross-site") => Err(foreign_origin()),
            _ => Ok(()),
        }
    }
}

fn foreign_origin() -> Problem {
    let message = "requests from pages of other sites are refused";
    Problem::new(ErrorCode::PermissionDenied, "FOREIGN_ORIGIN", message)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(hosts: &Hosts, headers: &[(&'static str, &str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        hosts.check(&Uri::from_static("/"), &map).err().map(|problem| problem.reason.into_owned())
    }

    #[test]
    fn loopback_names_pass_and_foreign_ones_do_not() {
        let hosts = Hosts::new(true, &["Mill.example".into()]);
        for host in
            ["localhost", "localhost:7780", "127.0.0.1:7780", "[::1]:7780", "[::1]", "LOCALHOST:1", "mill.example"]
        {
            assert_eq!(reason(&hosts, &[("host", host)]), None, "{host}");
        }
        for host in ["evil.example", "evil.example:7780", "127.0.0.1.evil.example", "", "localhost.evil"] {
            assert_eq!(reason(&hosts, &[("host", host)]).as_deref(), Some("FOREIGN_HOST"), "{host}");
        }
        assert_eq!(reason(&hosts, &[]).as_deref(), Some("FOREIGN_HOST"));
    }

    #[test]
    fn pages_of_other_sites_are_refused_with_and_without_a_list() {
        for hosts in [Hosts::new(true, &[]), Hosts::new(false, &[])] {
            let host = ("host", "localhost:7780");
            assert_eq!(reason(&hosts, &[host, ("origin", "http://localhost:7780")]), None);
            for origin in ["http://evil.example", "null", "http://localhost:9999"] {
                assert_eq!(reason(&hosts, &[host, ("origin", origin)]).as_deref(), Some("FOREIGN_ORIGIN"), "{origin}");
            }
            assert_eq!(reason(&hosts, &[host, ("sec-fetch-site", "cross-site")]).as_deref(), Some("FOREIGN_ORIGIN"));
            assert_eq!(reason(&hosts, &[host, ("sec-fetch-site", "same-origin")]), None);
        }
    }
}
