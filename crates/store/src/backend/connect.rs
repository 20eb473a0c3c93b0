//! Clients of the services.

use std::sync::{Arc, Once};
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::limit::LimitStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Certificate, ClientOptions, ObjectStore, RetryConfig};

use crate::StoreError;
use crate::settings::{Bucket, Credentials, Remote, Service, check_endpoint};

const OPENING: &str = "preparing the client of the object store";

/// A client of a bucket. Nothing is asked of the service yet.
pub(super) fn connect(bucket: &Bucket, remote: &Remote) -> Result<Arc<dyn ObjectStore>, StoreError> {
    use_ring();
    let objects = match bucket.service {
        Service::S3 => s3(bucket, remote)?,
        Service::Google => google(bucket, remote)?,
        Service::Azure => azure(bucket, remote)?,
    };
    let limited = LimitStore::new(objects, remote.max_requests);
    Ok(if bucket.prefix.is_empty() {
        Arc::new(limited)
    } else {
        Arc::new(PrefixStore::new(limited, Path::from(bucket.prefix.as_str())))
    })
}

/// The HTTP client takes the process's TLS provider, and has none of its own.
fn use_ring() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Somebody else may have chosen before, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}

fn options(remote: &Remote, plain: bool) -> Result<ClientOptions, StoreError> {
    let mut options = ClientOptions::new()
        .with_allow_http(remote.allow_http)
        .with_connect_timeout(remote.connect_timeout)
        .with_timeout(remote.request_timeout)
        .with_pool_max_idle_per_host(remote.max_requests);
    if plain {
        // Without TLS there is nothing to verify, and the system's certificates (which a small image may
        // lack) need not be read.
        options = options.with_no_system_certificates(true);
    }
    if let Some(pem) = &remote.ca {
        let certificates = Certificate::from_pem_bundle(pem).map_err(StoreError::backend("reading ca_file"))?;
        options = certificates.into_iter().fold(options, ClientOptions::with_root_certificate);
    }
    Ok(options)
}

/// Tries are counted by the caller, see `Patience`.
fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: Duration::ZERO, ..RetryConfig::default() }
}

fn s3(bucket: &Bucket, remote: &Remote) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let surroundings = AmazonS3Builder::from_env();
    let found = |key: AmazonS3ConfigKey| surroundings.get_config_value(&key);
    let region = remote.region.clone().or_else(|| found(AmazonS3ConfigKey::Region));
    let region = region.or_else(|| found(AmazonS3ConfigKey::DefaultRegion));
    let endpoint = match &remote.endpoint {
        Some(endpoint) => Some(endpoint.clone()),
        None => found(AmazonS3ConfigKey::S3Endpoint)
            .or_else(|| found(AmazonS3ConfigKey::Endpoint))
            .map(|text| check_endpoint(&text, remote.allow_http))
            .transpose()?,
    };
    let mut plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let mut builder = match &remote.credentials {
        Credentials::Key { id, secret, token } => {
            // Not mixed with what the environment holds: a token of other keys would spoil these.
            let builder =
                AmazonS3Builder::new().with_access_key_id(id.expose()).with_secret_access_key(secret.expose());
            token.iter().fold(builder, |builder, token| builder.with_token(token.expose()))
        }
        _ => {
            let has_key = found(AmazonS3ConfigKey::AccessKeyId).is_some();
            let elsewhere = endpoint.as_ref().is_some_and(|endpoint| !endpoint.contains(".amazonaws.com"));
            if elsewhere && !has_key && found(AmazonS3ConfigKey::WebIdentityTokenFile).is_none() {
                // The client would ask Amazon's metadata service, which is not there, until it gives up.
                return Err(StoreError::Settings(
                    "there are no credentials for the endpoint: give remote.access_key_id and \
                     remote.secret_access_key, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                        .into(),
                ));
            }
            plain &= has_key;
            surroundings
        }
    };
    builder = region.into_iter().fold(builder, AmazonS3Builder::with_region);
    builder = endpoint.into_iter().fold(builder, AmazonS3Builder::with_endpoint);
    let store = builder
        .with_bucket_name(&bucket.name)
        .with_virtual_hosted_style_request(remote.virtual_hosted)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // One object is deleted at a time anyway, and not every server knows the other request.
        .with_disable_bulk_delete(true)
        .with_client_options(options(remote, plain)?)
        .with_retry(no_retries())
        .build();
    Ok(Arc::new(store.map_err(StoreError::backend(OPENING))?))
}

fn google(bucket: &Bucket, remote: &Remote) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let mut builder = match &remote.credentials {
        Credentials::ServiceAccount(json) => GoogleCloudStorageBuilder::new().with_service_account_key(json.expose()),
        _ => GoogleCloudStorageBuilder::from_env(),
    };
    if let Some(endpoint) = &remote.endpoint {
        builder = builder.with_base_url(endpoint);
    }
    let store = builder
        .with_bucket_name(&bucket.name)
        .with_client_options(options(remote, false)?)
        .with_retry(no_retries())
        .build();
    Ok(Arc::new(store.map_err(StoreError::backend(OPENING))?))
}

fn azure(bucket: &Bucket, remote: &Remote) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let mut builder = match &remote.credentials {
        Credentials::Account { name, key: Some(key) } => {
            MicrosoftAzureBuilder::new().with_account(name).with_access_key(key.expose())
        }
        Credentials::Account { name, key: None } => MicrosoftAzureBuilder::from_env().with_account(name),
        _ => MicrosoftAzureBuilder::from_env(),
    };
    if let Some(endpoint) = &remote.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    let store = builder
        .with_container_name(&bucket.name)
        .with_client_options(options(remote, false)?)
        .with_retry(no_retries())
        .build();
    Ok(Arc::new(store.map_err(StoreError::backend(OPENING))?))
}
