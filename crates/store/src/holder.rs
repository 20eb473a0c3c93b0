//! Who holds artifacts: registered in the store, so that no sweep overlooks somebody it was not told of.

use std::fmt;
use std::str::FromStr;

use gristmill_types::Name;

use crate::key::Key;
use crate::{Store, StoreError};

/// Written into a registration, for people who look at the bucket.
const CONTENT: &[u8] = b"a stage whose tables may name artifacts of this store: a sweep must ask it\n";

/// The tables of one stage of one installation: all its processes and replicas are one holder, the same
/// stage over another database is another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// The stage, such as `ingestion`.
    pub stage: Name,
    /// The id of its tables.
    pub id: Name,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stage, self.id)
    }
}

/// Why a text names no holder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no holder: write `stage/id`, as the refusal of a sweep prints it")]
pub struct HolderError(String);

impl FromStr for Holder {
    type Err = HolderError;

    fn from_str(text: &str) -> Result<Self, HolderError> {
        let wrong = || HolderError(text.chars().take(160).collect());
        let (stage, id) = text.split_once('/').ok_or_else(wrong)?;
        Ok(Self { stage: Name::new(stage).map_err(|_| wrong())?, id: Name::new(id).map_err(|_| wrong())? })
    }
}

impl Store {
    /// Registers a holder, before it names its first artifact. Durable when this returns; a second time
    /// changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the store does not answer or cannot be written.
    pub async fn register(&self, holder: &Holder) -> Result<(), StoreError> {
        self.inner.backend.leave(&Key::holder(holder), CONTENT).await
    }

    /// Everybody registered, sorted.
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the store does not answer, [`StoreError::HolderUnknown`] if there is a
    /// registration that this version cannot read.
    pub async fn holders(&self) -> Result<Vec<Holder>, StoreError> {
        let found = self.inner.backend.list(&Key::holders()).await?;
        let read = |path| Key::parse_holder(path).ok_or_else(|| StoreError::HolderUnknown(path.to_string()));
        let mut holders = found.iter().map(|meta| read(&meta.location)).collect::<Result<Vec<_>, _>>()?;
        holders.sort();
        Ok(holders)
    }

    /// Strikes a holder off: what only it holds is garbage from now on. One that was not registered is
    /// left as it is.
    ///
    /// # Errors
    /// [`StoreError::Backend`] if the store does not answer.
    pub async fn forget(&self, holder: &Holder) -> Result<(), StoreError> {
        self.inner.backend.delete_path(&Key::holder(holder)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_read_as_it_is_written() {
        let holder: Holder = "ingestion/i0f".parse().unwrap();
        assert_eq!(
            (holder.to_string().as_str(), Key::parse_holder(&Key::holder(&holder))),
            ("ingestion/i0f", Some(holder))
        );
        for text in ["", "ingestion", "ingestion/", "/i", "ingestion/a/b", "../probes/i", "Ingestion/i"] {
            assert!(text.parse::<Holder>().is_err(), "{text}");
        }
    }
}
