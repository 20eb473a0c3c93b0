//! Who may do what, and what the server makes of conditions.

use std::sync::{Arc, Mutex, PoisonError};

use s3s::access::{S3Access, S3AccessContext};
use s3s::dto::PutObjectInput;
use s3s::{S3Request, S3Result, s3_error};

/// An access key and its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// The access key's public name.
    pub key_id: &'static str,
    /// What requests are signed with.
    pub secret: &'static str,
}

/// May do everything.
pub const WRITER: Account = Account { key_id: "WRITERKEY", secret: "secret-of-the-writer" };
/// May list and read.
pub const READER: Account = Account { key_id: "READERKEY", secret: "secret-of-the-reader" };
/// May list and write, but not read.
pub const BLIND: Account = Account { key_id: "BLINDKEY", secret: "secret-of-the-blind" };

/// How the server treats `If-None-Match` on a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConditionalPuts {
    /// As S3 does since 2024: a put over an existing object is refused with 412.
    #[default]
    Obeyed,
    /// As if the header were not there.
    Ignored,
    /// With 501, whether the object exists or not.
    Refused,
}

/// Allows by account and operation.
#[derive(Debug, Default)]
pub(crate) struct Access {
    pub(crate) conditional: Arc<Mutex<ConditionalPuts>>,
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name();
        let reads = operation.starts_with("List") || operation.starts_with("Get") || operation.starts_with("Head");
        let allowed = match context.credentials().map(|credentials| credentials.access_key.as_str()) {
            Some(key) if key == WRITER.key_id => true,
            Some(key) if key == READER.key_id => reads,
            Some(key) if key == BLIND.key_id => operation != "GetObject",
            _ => false,
        };
        if allowed { Ok(()) } else { Err(s3_error!(AccessDenied, "this account may not do that")) }
    }
    // Here and not in the HTTP layer, because the header is part of what the client has signed.
    async fn put_object(&self, request: &mut S3Request<PutObjectInput>) -> S3Result<()> {
        match *self.conditional.lock().unwrap_or_else(PoisonError::into_inner) {
            ConditionalPuts::Refused if request.input.if_none_match.is_some() => {
                Err(s3_error!(NotImplemented, "conditions are not supported"))
            }
            ConditionalPuts::Ignored => {
                request.input.if_none_match = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
