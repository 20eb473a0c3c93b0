//! Whether a store can be used, asked once when it is opened.

use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use super::Backend;
use crate::StoreError;
use crate::error::Problem;
use crate::key::Key;

const CONTENT: &[u8] = b"written to see whether this store can be written, and what time it has\n";

/// Makes sure that objects can be listed, written and read; gives back whether a put can be refused
/// because the object exists.
///
/// Servers that ignore that condition, or refuse it, are common. They are as safe for us: a key is the
/// digest of its bytes, so a second put of it writes the same again.
pub(super) async fn usable(backend: &Backend, place: &str) -> Result<bool, StoreError> {
    let unusable = |otherwise: Problem| {
        move |source: Error| {
            let problem = problem(&source).unwrap_or(otherwise);
            StoreError::Unusable { place: place.to_owned(), problem, source }
        }
    };
    let Backend { objects, patience, .. } = backend;
    let probes = Key::probes();
    let listed = patience.call("listing the store", || objects.list_with_delimiter(Some(&probes))).await;
    listed.map_err(unusable(Problem::NotListable))?;

    let probe = probe();
    let conditional = match put(backend, &probe, PutMode::Create).await {
        // A first try whose answer was lost may have left it.
        Ok(()) | Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
            match put(backend, &probe, PutMode::Create).await {
                Ok(()) => false,
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => true,
                Err(e) => return Err(unusable(Problem::NotWritable)(e)),
            }
        }
        Err(e @ (Error::PermissionDenied { .. } | Error::Unauthenticated { .. } | Error::NotFound { .. })) => {
            return Err(unusable(Problem::NotWritable)(e));
        }
        Err(_) => {
            put(backend, &probe, PutMode::Overwrite).await.map_err(unusable(Problem::NotWritable))?;
            false
        }
    };
    if !conditional {
        tracing::info!(place, "the object store knows no conditional put; what is there is looked for before each put");
    }
    let read = patience.call("reading from the store", || async { objects.get(&probe).await?.bytes().await }).await;
    if read.map_err(unusable(Problem::NotReadable))? != CONTENT {
        let source = "what was written came back as something else".into();
        return Err(unusable(Problem::NotReadable)(Error::Generic { store: "artifact store", source }));
    }
    drop_probe(backend, &probe).await;
    Ok(conditional)
}

/// Writes an object and says when the store thinks that was, in microseconds since the epoch.
pub(crate) async fn store_time(backend: &Backend) -> Result<i64, StoreError> {
    const DOING: &str = "asking the store for its time";
    let Backend { objects, patience, .. } = backend;
    let probe = probe();
    let mut tried = 1;
    let dated = loop {
        let written = patience.limit(put_once(backend, &probe, PutMode::Overwrite)).await;
        // Looked at whatever the put said: its answer may be lost, but not the date of what it wrote.
        let error = match patience.call(DOING, || objects.head(&probe)).await {
            Ok(meta) => break Ok(meta.last_modified.timestamp_micros()),
            Err(missing) => written.err().unwrap_or(missing),
        };
        if tried >= patience.tries() || matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. })
        {
            break Err(StoreError::backend(DOING)(error));
        }
        patience.wait(tried).await;
        tried += 1;
    };
    drop_probe(backend, &probe).await;
    dated
}

async fn put(backend: &Backend, probe: &Path, mode: PutMode) -> object_store::Result<()> {
    backend.patience.call("writing to the store", || put_once(backend, probe, mode.clone())).await
}

async fn put_once(backend: &Backend, probe: &Path, mode: PutMode) -> object_store::Result<()> {
    let payload = PutPayload::from_bytes(Bytes::from_static(CONTENT));
    backend.objects.put_opts(probe, payload, mode.into()).await.map(drop)
}

/// What cannot be removed now is removed by a sweep; a worker may well be denied deletion.
async fn drop_probe(backend: &Backend, probe: &Path) {
    match backend.patience.call("deleting from the store", || backend.objects.delete(probe)).await {
        Ok(()) | Err(Error::NotFound { .. }) => {}
        Err(e) => {
            tracing::warn!(error = %e, "what was written to check the store cannot be deleted, and garbage cannot either")
        }
    }
}

/// A key that no other process has at this moment.
fn probe() -> Path {
    Key::probes().join(format!("{:016x}", RandomState::new().hash_one(std::process::id())))
}

/// Services say in the answer's text what the client's error no longer tells; the codes are their protocols'.
fn problem(error: &Error) -> Option<Problem> {
    let text = error.to_string();
    let says = |codes: &[&str]| codes.iter().any(|code| text.contains(code));
    if says(&["RequestTimeTooSkewed"]) {
        Some(Problem::Clock)
    } else if says(&["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"]) {
        Some(Problem::NoBucket)
    } else if matches!(error, Error::Unauthenticated { .. })
        || says(&[
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "NotSignedUp",
            "InvalidToken",
            "ExpiredToken",
            "AuthenticationFailed",
        ])
    {
        Some(Problem::Credentials)
    } else if says(&["PermanentRedirect", "AuthorizationHeaderMalformed", "redirect without LOCATION"]) {
        Some(Problem::Region)
    } else if matches!(error, Error::PermissionDenied { .. }) || says(&["status code: 403"]) {
        None
    } else if says(&["status code: "]) {
        Some(Problem::NotAStore)
    } else if matches!(error, Error::Generic { .. })
        && says(&["HTTP error", "no answer within", "error sending request"])
    {
        Some(Problem::Unreachable)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the clients put it: the variant they choose, and the service's answer as text.
    fn answer(status: &str, code: &str) -> Error {
        let source =
            format!("Server returned non-2xx status code: {status}: <Error><Code>{code}</Code></Error>").into();
        match status.get(..3) {
            Some("403") => Error::PermissionDenied { path: "probes".into(), source },
            Some("404") => Error::NotFound { path: "probes".into(), source },
            _ => Error::Generic { store: "S3", source },
        }
    }

    #[test]
    fn codes_of_the_protocols_are_understood() {
        for (status, code, expected) in [
            ("403 Forbidden", "RequestTimeTooSkewed", Some(Problem::Clock)),
            ("400 Bad Request", "AuthorizationHeaderMalformed", Some(Problem::Region)),
            ("301 Moved Permanently", "PermanentRedirect", Some(Problem::Region)),
            ("404 Not Found", "NoSuchBucket", Some(Problem::NoBucket)),
            ("404 Not Found", "ContainerNotFound", Some(Problem::NoBucket)),
            ("403 Forbidden", "InvalidAccessKeyId", Some(Problem::Credentials)),
            ("400 Bad Request", "ExpiredToken", Some(Problem::Credentials)),
            ("403 Forbidden", "AccessDenied", None),
            ("503 Slow Down", "SlowDown", Some(Problem::NotAStore)),
        ] {
            assert_eq!(problem(&answer(status, code)), expected, "{status} {code}");
        }
    }
}
