//! The file of token hashes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::principal::NAME_CHARS;
use super::{Principal, Rights};

/// Largest token file, bytes.
const FILE_BYTES: u64 = 4 << 20;

/// A token file that cannot be used. Hashes are not secrets, tokens never come near it.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The file cannot be read.
    #[error("token file {path}: {message}")]
    File {
        /// The file as it was named.
        path: String,
        /// What was wrong.
        message: String,
    },
    /// An entry is wrong.
    #[error("token of `{name}`: {message}")]
    Entry {
        /// The principal's name.
        name: String,
        /// What was wrong and what to write instead.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tokens: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    /// Without it the principal shows a client certificate, or is only spoken for.
    sha256: Option<String>,
    #[serde(default)]
    service: bool,
    projects: BTreeMap<String, Vec<String>>,
}

/// Known tokens by their hash.
#[derive(Debug, Default)]
pub struct Tokens {
    by_hash: BTreeMap<[u8; 32], Arc<Principal>>,
    by_name: BTreeMap<String, Arc<Principal>>,
}

impl Tokens {
    /// Reads a token file.
    ///
    /// # Errors
    /// [`TokensError`] names the file or the entry.
    pub fn read(path: &Path) -> Result<Self, TokensError> {
        let failed = |message: String| TokensError::File { path: path.display().to_string(), message };
        let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
        if size > FILE_BYTES {
            return Err(failed(format!("it has {size} bytes, a token file has at most {FILE_BYTES}")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let file: File = serde_saphyr::from_str(&text).map_err(|error| failed(error.to_string()))?;
        let mut tokens = Self::default();
        for entry in file.tokens {
            tokens.add(entry)?;
        }
        Ok(tokens)
    }

    fn add(&mut self, entry: Entry) -> Result<(), TokensError> {
        let name = entry.name.clone();
        let wrong = |message: String| TokensError::Entry { name: name.clone(), message };
        if !is_name(&name) {
            return Err(wrong("a name is 1 to 128 visible ASCII characters".into()));
        }
        let mut rights = Rights::default();
        for (project, roles) in &entry.projects {
            roles.iter().try_for_each(|role| rights.grant_named(project, role)).map_err(wrong)?;
        }
        let principal = Arc::new(Principal::new(name.clone(), rights, entry.service));
        if self.by_name.insert(name.clone(), Arc::clone(&principal)).is_some() {
            return Err(wrong("the name is there twice: give a principal's second token a name of its own".into()));
        }
        let Some(sha256) = &entry.sha256 else { return Ok(()) };
        let mut hash = [0; 32];
        hex::decode_to_slice(sha256, &mut hash)
            .map_err(|_| wrong("sha256 is 64 hexadecimal digits: `printf %s TOKEN | sha256sum`".into()))?;
        if self.by_hash.insert(hash, principal).is_some() {
            return Err(wrong("another principal has the same token".into()));
        }
        Ok(())
    }

    /// The principal of a token. The lookup is by the token's hash, so its time tells nothing of use.
    pub(crate) fn find(&self, token: &str) -> Option<Arc<Principal>> {
        self.by_hash.get(&<[u8; 32]>::from(Sha256::digest(token))).cloned()
    }

    /// The principal called `name`.
    pub fn named(&self, name: &str) -> Option<Arc<Principal>> {
        self.by_name.get(name).cloned()
    }
}

/// Whether a principal may be called `name`: it must fit into a header.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_CHARS && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The hash under which a token is written into the file.
pub fn token_hash(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}
