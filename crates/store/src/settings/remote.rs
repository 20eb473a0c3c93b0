//! How a store that is not a folder is reached: configured, then checked, then used.

use std::path::PathBuf;
use std::time::Duration;

use gristmill_types::{Secret, SecretRef};
use serde::{Deserialize, Serialize};

use super::{Location, Service};
use crate::StoreError;

/// Endpoint, credentials and patience of a store behind a network.
///
/// What is not given is taken from the service's own environment variables (`AWS_…`, `GOOGLE_…`,
/// `AZURE_…`) and from the machine's role; `allow_http` and the limits never are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteConfig {
    /// Another address than the service's own, such as `http://minio:9000`.
    pub endpoint: Option<String>,
    /// The region (S3).
    pub region: Option<String>,
    /// Allows an endpoint without TLS: whoever can listen reads the artifacts.
    pub allow_http: bool,
    /// Puts the bucket into the host name instead of the path (S3).
    pub virtual_hosted: bool,
    /// A PEM file of certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The access key's name (S3).
    pub access_key_id: Option<SecretRef>,
    /// The access key's secret (S3).
    pub secret_access_key: Option<SecretRef>,
    /// The token of temporary keys (S3).
    pub session_token: Option<SecretRef>,
    /// The JSON of a service account's key (Google).
    pub service_account: Option<SecretRef>,
    /// The storage account's name (Azure).
    pub account: Option<String>,
    /// The storage account's key (Azure).
    pub account_key: Option<SecretRef>,
    /// How long a connection may take to be made.
    pub connect_timeout_ms: u64,
    /// How long one request may take, its bytes included (8 MiB at most).
    pub request_timeout_ms: u64,
    /// How often a request is tried in all.
    pub tries: u32,
    /// The pause before the second try; each further one is twice as long, up to five seconds.
    pub pause_ms: u64,
    /// Requests under way at once.
    pub max_requests: usize,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            allow_http: false,
            virtual_hosted: false,
            ca_file: None,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            service_account: None,
            account: None,
            account_key: None,
            connect_timeout_ms: 5_000,
            request_timeout_ms: 60_000,
            tries: 4,
            pause_ms: 200,
            max_requests: 32,
        }
    }
}

/// The same, checked, with the secrets read.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) allow_http: bool,
    pub(crate) virtual_hosted: bool,
    pub(crate) ca: Option<Vec<u8>>,
    pub(crate) credentials: Credentials,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) tries: u32,
    pub(crate) pause: Duration,
    pub(crate) max_requests: usize,
}

/// What requests are signed with.
#[derive(Debug, Clone)]
pub(crate) enum Credentials {
    /// From the environment or the machine's role.
    Surroundings,
    /// An S3 key.
    Key { id: Secret, secret: Secret, token: Option<Secret> },
    /// A Google service account's JSON.
    ServiceAccount(Secret),
    /// An Azure account and, if given, its key.
    Account { name: String, key: Option<Secret> },
}

impl RemoteConfig {
    /// Checks what was written and reads the secrets and certificates it names. Blocking.
    pub(crate) fn check(&self, location: &Location) -> Result<Remote, StoreError> {
        let service = match location {
            Location::Bucket(bucket) => Some(bucket.service),
            Location::Local(_) | Location::Memory => None,
        };
        self.only_what_fits(service)?;
        self.check_bounds()?;
        let endpoint = self.endpoint.as_deref().map(|text| check_endpoint(text, self.allow_http)).transpose()?;
        let ca = self.ca_file.as_ref().map(std::fs::read).transpose();
        let ca = ca.map_err(|error| settings(format!("ca_file cannot be read: {error}")))?;
        Ok(Remote {
            endpoint,
            region: self.region.clone(),
            allow_http: self.allow_http,
            virtual_hosted: self.virtual_hosted,
            ca,
            credentials: self.credentials()?,
            connect_timeout: Duration::from_millis(self.connect_timeout_ms),
            request_timeout: Duration::from_millis(self.request_timeout_ms),
            tries: self.tries,
            pause: Duration::from_millis(self.pause_ms),
            max_requests: self.max_requests,
        })
    }

    fn check_bounds(&self) -> Result<(), StoreError> {
        let bounds = [
            ("connect_timeout_ms", self.connect_timeout_ms, 1, 600_000),
            ("request_timeout_ms", self.request_timeout_ms, 1, 3_600_000),
            ("tries", u64::from(self.tries), 1, 20),
            ("pause_ms", self.pause_ms, 1, 60_000),
            ("max_requests", self.max_requests as u64, 1, 10_000),
        ];
        for (name, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                return Err(settings(format!("remote.{name} is {value}: write {least} to {most}")));
            }
        }
        Ok(())
    }

    /// A key for another service than the URL's is a mistake that would otherwise only show as a refusal.
    fn only_what_fits(&self, service: Option<Service>) -> Result<(), StoreError> {
        let given = [
            ("endpoint", self.endpoint.is_some(), &[Service::S3, Service::Google, Service::Azure][..]),
            ("region", self.region.is_some(), &[Service::S3]),
            ("virtual_hosted", self.virtual_hosted, &[Service::S3]),
            ("access_key_id", self.access_key_id.is_some(), &[Service::S3]),
            ("secret_access_key", self.secret_access_key.is_some(), &[Service::S3]),
            ("session_token", self.session_token.is_some(), &[Service::S3]),
            ("service_account", self.service_account.is_some(), &[Service::Google]),
            ("account", self.account.is_some(), &[Service::Azure]),
            ("account_key", self.account_key.is_some(), &[Service::Azure]),
        ];
        for (name, is_given, services) in given {
            if is_given && !service.is_some_and(|service| services.contains(&service)) {
                let schemes: Vec<String> = services.iter().map(|service| format!("{}://", service.scheme())).collect();
                return Err(settings(format!(
                    "remote.{name} is given, but it belongs to {}: remove it, or change the url",
                    schemes.join(", ")
                )));
            }
        }
        Ok(())
    }

    fn credentials(&self) -> Result<Credentials, StoreError> {
        let read = |reference: &Option<SecretRef>| {
            let read = reference.as_ref().map(gristmill_runtime::config::resolve).transpose();
            read.map_err(|error| settings(error.to_string()))
        };
        match (read(&self.access_key_id)?, read(&self.secret_access_key)?, read(&self.session_token)?) {
            (Some(id), Some(secret), token) => return Ok(Credentials::Key { id, secret, token }),
            (None, None, None) => {}
            _ => {
                return Err(settings("remote.access_key_id and remote.secret_access_key go together".into()));
            }
        }
        if let Some(json) = read(&self.service_account)? {
            return Ok(Credentials::ServiceAccount(json));
        }
        match (&self.account, read(&self.account_key)?) {
            (Some(name), key) => Ok(Credentials::Account { name: name.clone(), key }),
            (None, Some(_)) => Err(settings("remote.account_key needs remote.account beside it".into())),
            (None, None) => Ok(Credentials::Surroundings),
        }
    }
}

/// An address of a service: scheme, host and perhaps a path, without credentials.
pub(crate) fn check_endpoint(text: &str, allow_http: bool) -> Result<String, StoreError> {
    let rest = match text.split_once("://") {
        Some(("https", rest)) => rest,
        Some(("http", rest)) if allow_http => rest,
        Some(("http", _)) => {
            return Err(settings(
                "the endpoint is http://: artifacts would travel in the clear; use https://, or set \
                 remote.allow_http if the network is yours alone"
                    .into(),
            ));
        }
        _ => return Err(settings("remote.endpoint must start with https:// (or http://)".into())),
    };
    if rest.is_empty() || rest.starts_with('/') || rest.contains(['@', '?', '#', ' ']) {
        return Err(settings("remote.endpoint must be https://host:port, without credentials or query".into()));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn settings(message: String) -> StoreError {
    StoreError::Settings(message)
}
