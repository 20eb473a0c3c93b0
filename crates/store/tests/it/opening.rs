//! A bucket that cannot be used is refused when it is opened, with the reason.

use std::error::Error;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use gristmill_s3server::{Account, BLIND, ConditionalPuts, READER, S3Server, WRITER};
use gristmill_store::{Location, Problem, Store, StoreConfig, StoreError};
use gristmill_types::{ErrorCode, Project, SecretRef, SystemClock};

use super::bench::{PAUSE_MS, s3_config, write_one};

async fn open(config: &StoreConfig) -> Result<Store, StoreError> {
    Store::open(config, Arc::new(SystemClock)).await
}

/// The problem, after making sure that no secret stands in the message or its causes.
async fn problem(config: &StoreConfig) -> Problem {
    let error = open(config).await.unwrap_err();
    let mut told = format!("{error} {error:?}");
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(this) = cause {
        told.push_str(&this.to_string());
        cause = this.source();
    }
    assert!(!told.contains("secret-of-"), "{told}");
    match error {
        StoreError::Unusable { problem, .. } => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_way_of_being_wrong_is_told_apart() {
    let server = S3Server::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let good = s3_config(&server, WRITER, folder.path());
    open(&good).await.unwrap();

    let mut bucket = good.clone();
    bucket.url = "s3://another-bucket".parse().unwrap();
    assert_eq!(problem(&bucket).await, Problem::NoBucket);

    let wrong = Account { key_id: WRITER.key_id, secret: "secret-of-nobody" };
    assert_eq!(problem(&s3_config(&server, wrong, folder.path())).await, Problem::Credentials);
    let unknown = Account { key_id: "NOBODY", secret: WRITER.secret };
    assert_eq!(problem(&s3_config(&server, unknown, folder.path())).await, Problem::Credentials);

    assert_eq!(problem(&s3_config(&server, READER, folder.path())).await, Problem::NotWritable);
    assert_eq!(problem(&s3_config(&server, BLIND, folder.path())).await, Problem::NotReadable);

    // TLS is asked of a port that does not speak it.
    let mut tls = s3_config(&server, WRITER, folder.path());
    tls.remote.endpoint = Some(server.endpoint().replace("http://", "https://"));
    assert_eq!(problem(&tls).await, Problem::Unreachable);
}

#[tokio::test]
async fn over_tls_only_a_certificate_that_is_vouched_for_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let server = S3Server::start_tls(&ca).await.unwrap();
    let mut config = s3_config(&server, WRITER, folder.path());
    config.remote.allow_http = false;
    config.remote.tries = 1;
    assert_eq!(problem(&config).await, Problem::Unreachable);
    assert_eq!(server.requests(), 0, "no request went to a server that nobody vouches for");
    config.remote.ca_file = Some(ca);
    let project = open(&config).await.unwrap().project(&Project::default());
    let artifact = write_one(&project, b"rows", &[]).await;
    project.verify(&artifact).await.unwrap();
}

/// A configuration for this address, and nothing there yet.
fn at(address: &str, folder: &Path) -> StoreConfig {
    let key = folder.join("key");
    std::fs::write(&key, "secret-of-somebody").unwrap();
    let mut config = StoreConfig::new("s3://artifacts".parse().unwrap(), folder.join("cache"));
    config.remote.endpoint = Some(format!("http://{address}"));
    config.remote.allow_http = true;
    config.remote.access_key_id = Some(SecretRef::File(key.to_str().unwrap().into()));
    config.remote.secret_access_key = config.remote.access_key_id.clone();
    config.remote.pause_ms = PAUSE_MS;
    config
}

#[tokio::test]
async fn an_address_without_a_store_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap().to_string();
    drop(closed);
    let config = at(&address, folder.path());
    assert_eq!(problem(&config).await, Problem::Unreachable);
    let error = open(&config).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert!(error.to_string().contains(&format!("s3://artifacts at http://{address}")), "{error}");

    // Connections are taken by the kernel, and nobody ever answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = at(&silent.local_addr().unwrap().to_string(), folder.path());
    config.remote.request_timeout_ms = 100;
    config.remote.tries = 2;
    assert_eq!(problem(&config).await, Problem::Unreachable);

    // Somebody else's web server.
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        while let Ok((mut socket, _)) = other.accept().await {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut request = [0; 4096];
            drop(socket.read(&mut request).await);
            let page = b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\nconnection: close\r\n\r\n<p>no</p>";
            drop(socket.write_all(page).await);
        }
    });
    assert_eq!(problem(&at(&address, folder.path())).await, Problem::NotAStore);
    serving.abort();
}

#[tokio::test]
async fn servers_without_conditional_puts_are_used_all_the_same() {
    for how in [ConditionalPuts::Ignored, ConditionalPuts::Refused] {
        let server = S3Server::start().await.unwrap();
        server.conditional_puts(how);
        let folder = tempfile::tempdir().unwrap();
        let store = open(&s3_config(&server, WRITER, folder.path())).await.unwrap();
        let project = store.project(&Project::default());
        let artifact = write_one(&project, b"rows", &[]).await;
        assert_eq!(write_one(&project, b"rows", &[]).await, artifact);
        project.verify(&artifact).await.unwrap();
    }
}

fn refused(config: Result<StoreConfig, StoreError>) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = match config {
        Ok(config) => runtime.block_on(open(&config)).unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, StoreError::Settings(_)), "{error:?}");
    error.to_string()
}

#[test]
fn impossible_settings_are_refused_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let good = at("127.0.0.1:9", folder.path());
    let with = |change: &dyn Fn(&mut StoreConfig)| {
        let mut config = good.clone();
        change(&mut config);
        refused(Ok(config))
    };
    assert!(with(&|c| c.remote.allow_http = false).contains("remote.allow_http"));
    assert!(with(&|c| c.remote.endpoint = Some("minio:9000".into())).contains("https://"));
    let told = with(&|c| c.remote.endpoint = Some("https://key:hunter2@minio".into()));
    assert!(!told.contains("hunter2"), "{told}");
    assert!(with(&|c| c.remote.secret_access_key = None).contains("go together"));
    let unset = Some(SecretRef::Env("GRISTMILL_TEST_NEVER_SET".into()));
    assert!(with(&|c| c.remote.secret_access_key = unset.clone()).contains("GRISTMILL_TEST_NEVER_SET"));
    assert!(with(&|c| c.remote.tries = 0).contains("remote.tries is 0"));
    assert!(with(&|c| c.remote.ca_file = Some("/nowhere.pem".into())).contains("ca_file"));
    assert!(with(&|c| c.remote.account = Some("x".into())).contains("az://"));
    assert!(with(&|c| c.url = "gs://artifacts".parse().unwrap()).contains("s3://"));
    let anonymous = with(&|c| (c.remote.access_key_id, c.remote.secret_access_key) = (None, None));
    assert!(anonymous.contains("no credentials"), "{anonymous}");
}

#[test]
fn places_are_read_and_shown() {
    for text in
        ["s3://bucket", "s3://a.bucket-1/team/x", "gs://bucket_1/p", "az://container/a=b", "memory://", "file:///x/y"]
    {
        assert_eq!(text.parse::<Location>().unwrap().to_string(), text);
    }
    assert_eq!("s3://bucket/team/".parse::<Location>().unwrap().to_string(), "s3://bucket/team");
    for text in [
        "s3://",
        "s3://b",
        "s3://Bucket",
        "s3://bucket/../x",
        "s3://bucket//x",
        "s3://bucket/./x",
        "gs://bucket/a b",
        "az://-bad",
        "s3://bucket/%2e%2e",
        "http://bucket",
    ] {
        assert!(matches!(text.parse::<Location>(), Err(StoreError::Settings(_))), "{text}");
    }
    for text in ["s3://AKIA:hunter2@bucket", "az://container?sig=hunter2", "s4://x:hunter2@y"] {
        let told = text.parse::<Location>().unwrap_err().to_string();
        assert!(!told.contains("hunter2"), "{told}");
    }
}

/// There is no emulator of these two here: their settings are read, their clients are made and asked, and
/// what is asked of a closed port fails as it should.
#[tokio::test]
async fn google_and_azure_are_configured_and_asked() {
    let folder = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap().to_string();
    drop(closed);
    let secret = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(SecretRef::File(path.to_str().unwrap().to_owned()))
    };
    let common = |url: &str| {
        let mut config = StoreConfig::new(url.parse().unwrap(), folder.path().join("cache"));
        config.remote.endpoint = Some(format!("http://{address}"));
        config.remote.allow_http = true;
        config.remote.pause_ms = PAUSE_MS;
        config
    };
    let mut google = common("gs://artifacts/team");
    let json = r#"{"disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": ""}"#;
    google.remote.service_account = secret("google.json", json);
    assert_eq!(problem(&google).await, Problem::Unreachable);
    google.remote.service_account = secret("google.json", "not json: secret-of-google");
    let told = open(&google).await.unwrap_err();
    assert!(!format!("{told} {told:?}").contains("secret-of-google"), "{told:?}");

    let mut azure = common("az://artifacts/team");
    azure.remote.account = Some("account".into());
    azure.remote.account_key = secret("azure.key", "c2VjcmV0LW9mLWF6dXJl");
    assert_eq!(problem(&azure).await, Problem::Unreachable);
}
