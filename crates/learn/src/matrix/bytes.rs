//! `matrix.bin`: a header in JSON, then the columns as little-endian values, without gaps.

use gristmill_types::Limits;
use serde::{Deserialize, Serialize};

use super::{BlockSlots, CategorySlot, Matrix, NumericSlot};
use crate::{LearnError, Task};

const MAGIC: &[u8; 8] = b"GMMATRIX";
const VERSION: u32 = 1;
/// Rows of one matrix at most, so that every row fits a u32.
const MAX_ROWS: u64 = u32::MAX as u64;
const MAX_HEADER: usize = 64 << 20;
/// Magic, version, header length.
const PREFIX: usize = 16;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    rows: u64,
    task: Task,
    labels: Vec<String>,
    blocks: Vec<BlockSlots>,
    numeric: Vec<NumericHeader>,
    category: Vec<CategoryHeader>,
    weighted: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NumericHeader {
    slot: u32,
    name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CategoryHeader {
    slot: u32,
    name: String,
    ids: u32,
}

impl Matrix {
    /// The matrix as bytes: the same bytes for the same matrix, on every machine.
    ///
    /// Layout: `GMMATRIX`, version u32, header length u32, header (JSON), then per numeric slot n × f32,
    /// per category slot n × u32, target n × f64, weight n × f64 if weighted, keys n × i64, units n × u32.
    ///
    /// # Errors
    /// [`LearnError::Matrix`] if a column has another number of rows or the header is too long.
    pub fn to_bytes(&self) -> Result<Vec<u8>, LearnError> {
        let rows = self.rows();
        let lengths = self
            .numeric
            .iter()
            .map(|s| s.values.len())
            .chain(self.category.iter().map(|s| s.values.len()))
            .chain(self.weight.iter().map(Vec::len))
            .chain([self.keys.len(), self.units.len()]);
        if lengths.into_iter().any(|length| length != rows) {
            return Err(LearnError::Matrix("its columns have different numbers of rows".into()));
        }
        let header = Header {
            rows: rows as u64,
            task: self.task,
            labels: self.labels.clone(),
            blocks: self.blocks.clone(),
            numeric: self.numeric.iter().map(|s| NumericHeader { slot: s.slot, name: s.name.clone() }).collect(),
            category: self
                .category
                .iter()
                .map(|s| CategoryHeader { slot: s.slot, name: s.name.clone(), ids: s.ids })
                .collect(),
            weighted: self.weight.is_some(),
        };
        let header = serde_json::to_vec(&header).map_err(|error| LearnError::Matrix(error.to_string()))?;
        let length = u32::try_from(header.len()).map_err(|_| LearnError::Matrix("its header is too long".into()))?;
        let mut out = Vec::with_capacity(PREFIX + header.len() + rows * self.row_bytes());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&header);
        for slot in &self.numeric {
            out.extend(slot.values.iter().flat_map(|v| v.to_le_bytes()));
        }
        for slot in &self.category {
            out.extend(slot.values.iter().flat_map(|v| v.to_le_bytes()));
        }
        out.extend(self.target.iter().flat_map(|v| v.to_le_bytes()));
        out.extend(self.weight.iter().flatten().flat_map(|v| v.to_le_bytes()));
        out.extend(self.keys.iter().flat_map(|v| v.to_le_bytes()));
        out.extend(self.units.iter().flat_map(|v| v.to_le_bytes()));
        Ok(out)
    }

    fn row_bytes(&self) -> usize {
        bytes_per_row(self.numeric.len(), self.category.len(), self.weight.is_some())
    }

    /// Reads a matrix. Sizes are checked against the bytes that are there before anything is
    /// allocated; no input makes it panic.
    ///
    /// # Errors
    /// [`LearnError::Matrix`] says what does not fit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LearnError> {
        let refuse = |reason: String| Err(LearnError::Matrix(reason));
        let mut reader = Reader(bytes);
        if reader.take(8)? != MAGIC {
            return refuse("these are not the bytes of a matrix".into());
        }
        let version = reader.u32()?;
        if version != VERSION {
            return refuse(format!("format version {version} where {VERSION} is read: prepare the data again"));
        }
        let length = reader.u32()? as usize;
        if length > MAX_HEADER {
            return refuse("its header is too long".into());
        }
        let header: Header =
            serde_json::from_slice(reader.take(length)?).map_err(|error| LearnError::Matrix(error.to_string()))?;
        header.check()?;
        let per_row = bytes_per_row(header.numeric.len(), header.category.len(), header.weighted) as u64;
        let expected = header.rows.checked_mul(per_row);
        if header.rows > MAX_ROWS || expected != u64::try_from(reader.0.len()).ok() {
            return refuse(format!("{} bytes of columns do not make {} rows", reader.0.len(), header.rows));
        }
        // At most u32::MAX, and as many bytes are there.
        let rows = header.rows as usize;
        let mut numeric = Vec::with_capacity(header.numeric.len());
        for NumericHeader { slot, name } in header.numeric {
            numeric.push(NumericSlot { slot, name, values: reader.column(rows, f32::from_le_bytes)? });
        }
        let mut category = Vec::with_capacity(header.category.len());
        for CategoryHeader { slot, name, ids } in header.category {
            let values = reader.column(rows, u32::from_le_bytes)?;
            if values.iter().any(|id| *id >= ids) {
                return refuse(format!("`{name}` has an id beyond its {ids}"));
            }
            category.push(CategorySlot { slot, name, ids, values });
        }
        let target = reader.column(rows, f64::from_le_bytes)?;
        let classes = header.labels.len();
        let fits = |v: &f64| match header.task {
            Task::Regression => v.is_finite(),
            _ => v.fract() == 0.0 && *v >= 0.0 && *v < classes as f64,
        };
        if !target.iter().all(fits) {
            return refuse("a target value is not finite or not a class".into());
        }
        let weight = if header.weighted { Some(reader.column(rows, f64::from_le_bytes)?) } else { None };
        if weight.iter().flatten().any(|w| !w.is_finite() || *w < 0.0) {
            return refuse("a weight is negative or not finite".into());
        }
        let keys = reader.column(rows, i64::from_le_bytes)?;
        let units = reader.column(rows, u32::from_le_bytes)?;
        let (task, labels, blocks) = (header.task, header.labels, header.blocks);
        Ok(Self { task, labels, blocks, numeric, category, target, weight, keys, units })
    }
}

const fn bytes_per_row(numeric: usize, category: usize, weighted: bool) -> usize {
    // f32 and u32 slots, target, weight, key, unit.
    4 * numeric + 4 * category + 8 + if weighted { 8 } else { 0 } + 8 + 4
}

impl Header {
    fn check(&self) -> Result<(), LearnError> {
        // Impute, indicator, standardise and encodings: several slots per column.
        let most = Limits::DEFAULT.columns * 16;
        let refuse = |reason: &str| Err(LearnError::Matrix(reason.into()));
        if self.numeric.len() > most || self.category.len() > most {
            return refuse("it has too many slots");
        }
        if !self.numeric.is_sorted_by(|a, b| a.slot < b.slot) || !self.category.is_sorted_by(|a, b| a.slot < b.slot) {
            return refuse("its slots are not in ascending order");
        }
        let highest = self.numeric.iter().map(|s| s.slot).chain(self.category.iter().map(|s| s.slot)).max();
        if highest.is_some_and(|slot| slot as usize > most) {
            return refuse("a slot's number is too great");
        }
        let classes = self.labels.len();
        let fits = match self.task {
            Task::Regression => classes == 0,
            Task::Binary => classes == 2,
            Task::Multiclass => (2..=crate::task::MAX_CLASSES).contains(&classes),
        };
        if !fits {
            return refuse("its labels do not fit its task");
        }
        Ok(())
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], LearnError> {
        let (taken, rest) =
            self.0.split_at_checked(length).ok_or_else(|| LearnError::Matrix("its bytes end too early".into()))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, LearnError> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }

    fn column<T, const N: usize>(&mut self, rows: usize, value: fn([u8; N]) -> T) -> Result<Vec<T>, LearnError> {
        let bytes = self.take(rows.saturating_mul(N))?;
        Ok(bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect())
    }
}
