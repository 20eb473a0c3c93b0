//! Category ids: 0 missing, 1 unknown or rare, then the vocabulary, then hashed buckets.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use gristmill_types::{Cell, Limits};

use crate::{proto, read};

/// Id of a missing value.
pub const MISSING: u32 = 0;
/// Id of a value that is not in the vocabulary, where no buckets are.
pub const UNKNOWN: u32 = 1;
/// Id of the first value of the vocabulary.
pub const FIRST: u32 = 2;
/// Hashed ids of one column at most.
pub(crate) const MAX_BUCKETS: u32 = 65_536;

/// The ids of one category slot.
#[derive(Debug, Clone)]
pub(crate) struct Vocabulary {
    ids: HashMap<Box<str>, u32, BuildHasherDefault<Fnv>>,
    /// Values whose text form is that of an integer, so that integers need not be written out.
    integers: HashMap<i64, u32>,
    known: u32,
    buckets: u32,
}

impl Vocabulary {
    /// Checks and indexes a vocabulary.
    pub(crate) fn compile(step: &proto::CategoryStep) -> Result<Self, String> {
        if step.values.len() > Limits::DEFAULT.categories {
            return Err(format!("has more than {} values", Limits::DEFAULT.categories));
        }
        if step.hash_buckets > MAX_BUCKETS {
            return Err(format!("has more than {MAX_BUCKETS} hash buckets"));
        }
        let mut ids = HashMap::with_capacity_and_hasher(step.values.len(), BuildHasherDefault::default());
        let mut integers = HashMap::new();
        for (id, value) in (FIRST..).zip(&step.values) {
            if ids.insert(value.as_str().into(), id).is_some() {
                let value: String = value.chars().take(40).collect();
                return Err(format!("repeats the value `{value}`"));
            }
            if let Some(integer) = value.parse::<i64>().ok().filter(|integer| integer.to_string() == *value) {
                integers.insert(integer, id);
            }
        }
        let known = FIRST + u32::try_from(step.values.len()).map_err(|_| "has too many values")?;
        Ok(Self { ids, integers, known, buckets: step.hash_buckets })
    }

    /// Number of ids, the fixed ones included.
    pub(crate) const fn size(&self) -> u32 {
        self.known + self.buckets
    }

    /// Id of a typed cell; `text` is scratch space.
    pub(crate) fn id(&self, cell: Cell<'_>, text: &mut String) -> u32 {
        match cell {
            Cell::Missing => MISSING,
            Cell::Text(value) => self.text_id(value),
            Cell::Int(value) if self.buckets == 0 => self.integers.get(&value).copied().unwrap_or(UNKNOWN),
            cell => {
                if read::write_text(text, cell) {
                    self.text_id(text)
                } else {
                    MISSING
                }
            }
        }
    }

    /// Id of a text.
    pub(crate) fn text_id(&self, value: &str) -> u32 {
        match self.ids.get(value) {
            Some(id) => *id,
            None if self.buckets == 0 => UNKNOWN,
            // The remainder is below `buckets`, a u32.
            None => self.known + (fnv(value.as_bytes()) % u64::from(self.buckets)) as u32,
        }
    }
}

/// FNV-1a, 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>): decides buckets, so it is part of the
/// file format.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    let mut hasher = Fnv::default();
    hasher.write(bytes);
    hasher.finish()
}

/// FNV-1a as a [`Hasher`]: vocabularies come from the model, never from a caller, so nobody can make
/// them collide.
#[derive(Debug, Clone)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(values: &[&str], hash_buckets: u32) -> Vocabulary {
        let values = values.iter().map(|v| (*v).to_owned()).collect();
        Vocabulary::compile(&proto::CategoryStep { name: "c".into(), input: 0, values, hash_buckets }).unwrap()
    }

    #[test]
    fn the_hash_is_that_of_its_authors_test_vectors() {
        assert_eq!(fnv(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn ids_have_one_meaning_whatever_the_type() {
        let known = vocabulary(&["7", "x", "07"], 0);
        let mut text = String::new();
        assert_eq!(known.size(), 5);
        assert_eq!(known.id(Cell::Missing, &mut text), MISSING);
        assert_eq!(known.id(Cell::Text(""), &mut text), UNKNOWN);
        for cell in [Cell::Int(7), Cell::Text("7"), Cell::Float(7.0), Cell::Decimal { scale: 1, unscaled: 70 }] {
            assert_eq!(known.id(cell, &mut text), 2);
        }
        assert_eq!(known.id(Cell::Text("07"), &mut text), 4);
        assert_eq!(known.id(Cell::Int(8), &mut text), UNKNOWN);
    }

    #[test]
    fn unknown_values_are_hashed_where_there_are_buckets() {
        let hashed = vocabulary(&["7"], 10);
        let mut text = String::new();
        let id = hashed.id(Cell::Text("8"), &mut text);
        assert_eq!(id, 3 + u32::try_from(fnv(b"8") % 10).unwrap());
        assert_eq!(hashed.id(Cell::Int(8), &mut text), id);
        assert!(hashed.size() == 13 && id < hashed.size());
    }
}
