//! Verified memory maps, shared while anybody holds them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::key::Key;
use crate::map::Mapping;

/// Maps whose bytes were verified; a second reader of the same part shares the first one's map and need
/// not hash it again (I7).
#[derive(Debug, Default)]
pub(crate) struct Mapped(Mutex<HashMap<Key, Weak<Mapping>>>);

impl Mapped {
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Mapping>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key)?.upgrade()
    }

    pub(crate) fn put(&self, key: Key, mapping: &Arc<Mapping>) {
        let mut maps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        maps.retain(|_, map| map.strong_count() > 0);
        maps.insert(key, Arc::downgrade(mapping));
    }
}
