//! Steps from decisions: first what reads cells, then what is fitted on it.

use std::collections::BTreeMap;

use gristmill_model::proto::{self, numeric_step::Step};
use gristmill_model::{Slots, Transformer};
use gristmill_types::{Cell, Column, Columns, Values};
use rayon::prelude::*;

use super::{FittedTransform, assemble, encode, keys_of, labels_of, model, stats, units_of};
use crate::folds::{Assigned, Folds};
use crate::matrix::BlockKind;
use crate::recipe::{ColumnPlan, Recipe, Treatment};
use crate::task::number;
use crate::{LearnError, TargetPlan, zone};

/// Texts of at most this many values are recorded in the signature.
const DOMAIN_VALUES: usize = 64;

/// A column read as a number, to be prepared for linear models.
struct Raw {
    slot: u32,
    indicator: bool,
}

/// A category to be encoded by the target.
struct Encode {
    category: u32,
    name: String,
}

#[derive(Default)]
struct Builder {
    inputs: Vec<proto::InputColumn>,
    numeric: Vec<proto::NumericStep>,
    category: Vec<proto::CategoryStep>,
    zones: Vec<proto::ZoneTable>,
    to_prepare: Vec<Raw>,
    to_encode: Vec<Encode>,
    raw: Vec<u32>,
    prepared: Vec<u32>,
    categories: Vec<u32>,
    one_hot: Vec<u32>,
    ids: Vec<(u32, String)>,
    /// Cross-fitted values that stand in the training matrix for what the full fit gives.
    cross_fitted: BTreeMap<u32, Vec<f32>>,
}

pub(super) fn fit(recipe: &Recipe, train: &Columns, folds: &Folds) -> Result<FittedTransform, LearnError> {
    let target = labels_of(&recipe.target, train)?;
    let keys = keys_of(train);
    let units = units_of(train);
    let mut builder = Builder::default();
    builder.read_cells(recipe, train)?;
    let signature = proto::Signature {
        inputs: std::mem::take(&mut builder.inputs),
        id_columns: recipe.id_columns.clone(),
        target: recipe.target.name.clone(),
    };
    let first = Transformer::compile(&signature, &builder.transform()).map_err(model)?;
    let slots = first.transform(train).map_err(model)?;
    builder.number_ids();
    builder.prepare(&slots);
    if !builder.to_encode.is_empty() {
        let folds = folds.assign(train, &keys, &units, recipe.encoding.folds)?;
        builder.encode(recipe, &slots, &target, &folds);
    }
    if builder.raw.is_empty() && builder.categories.is_empty() {
        return Err(LearnError::Recipe("no feature is left: every column turned out constant".into()));
    }
    let transform = builder.transform();
    let full = Transformer::compile(&signature, &transform).map_err(model)?;
    let mut slots = full.complete(slots).map_err(model)?;
    for (slot, values) in std::mem::take(&mut builder.cross_fitted) {
        if let Some(place) = slots.numeric.get_mut(slot as usize) {
            *place = values;
        }
    }
    let matrix = assemble(&full, slots, &recipe.target, target, train)?;
    Ok(FittedTransform { signature, transform, matrix })
}

impl Builder {
    /// Steps that read input cells.
    fn read_cells(&mut self, recipe: &Recipe, train: &Columns) -> Result<(), LearnError> {
        let names = recipe.inputs();
        let made: Vec<Option<proto::InputColumn>> =
            names.par_iter().map(|name| train.get(name).map(input_column)).collect();
        let mut position = BTreeMap::new();
        for (name, made) in names.into_iter().zip(made) {
            let plan = recipe.columns.iter().find(|plan| plan.column == name);
            let (Some(plan), Some(column)) = (plan, train.get(name)) else {
                return Err(LearnError::column(name, "the recipe uses it, but the table does not have it"));
            };
            if column.column_type() != plan.column_type {
                let reason =
                    format!("the recipe was made for {}, the table has {}", plan.column_type, column.column_type());
                return Err(LearnError::column(name, reason));
            }
            // Inputs are at most the columns limit.
            let input = self.inputs.len() as u32;
            position.insert(name, input);
            self.inputs.extend(made);
            self.read_column(plan, column, input)?;
        }
        for elapsed in &recipe.elapsed {
            if let (Some(from), Some(to)) = (position.get(elapsed.from.as_str()), position.get(elapsed.to.as_str())) {
                let step = Step::Elapsed(proto::Elapsed { from_input: *from, to_input: *to });
                let slot = self.push(format!("{} - {}", elapsed.to, elapsed.from), step);
                self.raw.push(slot);
                self.to_prepare.push(Raw { slot, indicator: false });
            }
        }
        Ok(())
    }

    fn read_column(&mut self, plan: &ColumnPlan, column: &Column, input: u32) -> Result<(), LearnError> {
        let name = plan.column.as_str();
        match &plan.treatment {
            Treatment::Drop => {}
            Treatment::Number { indicator } => self.read_number(name, input, *indicator),
            Treatment::FewNumbers { indicator } => {
                self.read_number(name, input, *indicator);
                let values = crate::recipe::vocabulary(column, usize::MAX, 1);
                let slot = self.push_category(name, input, values);
                self.one_hot.push(slot);
            }
            Treatment::Category { keep, min_count, one_hot, ids, target_encoding } => {
                let values = crate::recipe::vocabulary(column, *keep, *min_count);
                let slot = self.push_category(name, input, values);
                self.categories.push(slot);
                if *one_hot {
                    self.one_hot.push(slot);
                }
                if *ids {
                    self.ids.push((slot, name.to_owned()));
                }
                if *target_encoding {
                    self.to_encode.push(Encode { category: slot, name: name.to_owned() });
                }
            }
            Treatment::DateParts { parts, zone } => {
                let zone = self.zone(name, zone.as_deref())?;
                for part in parts {
                    let step = proto::DatePart { input, part: part.to_proto().into(), zone };
                    let slot = self.push(format!("{name}.{}", part.suffix()), Step::DatePart(step));
                    self.raw.push(slot);
                    self.to_prepare.push(Raw { slot, indicator: false });
                }
            }
        }
        Ok(())
    }

    fn read_number(&mut self, name: &str, input: u32, indicator: bool) {
        let slot = self.push(name.to_owned(), Step::Number(proto::NumberInput { input }));
        self.raw.push(slot);
        self.to_prepare.push(Raw { slot, indicator });
    }

    /// Category ids that trees read as numbers.
    fn number_ids(&mut self) {
        for (category, name) in std::mem::take(&mut self.ids) {
            let slot = self.push(name, Step::CategoryId(proto::CategoryId { category }));
            self.raw.push(slot);
        }
    }

    /// Imputed and standardised twins of the raw numbers.
    fn prepare(&mut self, slots: &Slots) {
        let to_prepare = std::mem::take(&mut self.to_prepare);
        let fitted = |raw: &Raw| {
            let values = slots.numeric.get(raw.slot as usize)?;
            let fill = stats::median(values)?;
            let filled = values.iter().map(|v| f64::from(if v.is_nan() { fill } else { *v }));
            Some((fill, stats::moments(filled)))
        };
        let fitted: Vec<_> = to_prepare.par_iter().map(fitted).collect();
        for (Raw { slot, indicator }, fitted) in to_prepare.into_iter().zip(fitted) {
            let Some((fill, (mean, scale))) = fitted else { continue };
            let name = self.numeric.get(slot as usize).map(|step| step.name.clone()).unwrap_or_default();
            if indicator {
                let step = Step::Indicator(proto::Indicator { slot });
                let indicator = self.push(format!("{name} is missing"), step);
                self.prepared.push(indicator);
            }
            if scale <= f64::EPSILON * mean.abs() || !scale.is_finite() {
                continue;
            }
            let imputed = self.push(name.clone(), Step::Impute(proto::Impute { slot, value: fill }));
            let step = Step::Standardise(proto::Standardise { slot: imputed, mean, scale });
            let standardised = self.push(name, step);
            self.prepared.push(standardised);
        }
    }

    /// Target encodings: full tables for unseen rows, cross-fitted columns for the training matrix.
    fn encode(&mut self, recipe: &Recipe, slots: &Slots, target: &[f64], folds: &Assigned) {
        let smoothing = recipe.encoding.smoothing;
        for Encode { category, name } in std::mem::take(&mut self.to_encode) {
            let Some(ids) = slots.category.get(category as usize) else { continue };
            let sizes = self.category.get(category as usize).map_or(0, |step| step.values.len() + 2);
            for (label, target) in encoded_targets(&recipe.target, target) {
                let name = match label {
                    None => format!("{name}: mean of {}", recipe.target.name),
                    Some(label) => format!("{name}: share of {label}"),
                };
                let values = encode::table(ids, sizes, &target, smoothing);
                let own = encode::cross_fitted(ids, sizes, &target, folds, smoothing);
                let slot = self.push(name.clone(), Step::CategoryTable(proto::CategoryTable { category, values }));
                self.raw.push(slot);
                let (mean, scale) = stats::moments(own.iter().map(|v| f64::from(*v)));
                if scale > f64::EPSILON * mean.abs() && scale.is_finite() {
                    let step = Step::Standardise(proto::Standardise { slot, mean, scale });
                    let standardised = self.push(name, step);
                    self.prepared.push(standardised);
                    let scaled = own.iter().map(|v| ((f64::from(*v) - mean) / scale) as f32).collect();
                    self.cross_fitted.insert(standardised, scaled);
                }
                self.cross_fitted.insert(slot, own);
            }
        }
    }

    fn push(&mut self, name: String, step: Step) -> u32 {
        self.numeric.push(proto::NumericStep { name, step: Some(step) });
        // The interpreter refuses more steps than a small multiple of the columns limit.
        (self.numeric.len() - 1) as u32
    }

    fn push_category(&mut self, name: &str, input: u32, values: Vec<String>) -> u32 {
        self.category.push(proto::CategoryStep { name: name.to_owned(), input, values, hash_buckets: 0 });
        (self.category.len() - 1) as u32
    }

    /// Index of a zone's table plus one; 0 for wall clock and UTC.
    fn zone(&mut self, column: &str, zone: Option<&str>) -> Result<u32, LearnError> {
        let Some(name) = zone.filter(|name| !matches!(*name, "UTC" | "Etc/UTC")) else { return Ok(0) };
        let found = match self.zones.iter().position(|table| table.name == name) {
            Some(index) => index,
            None => {
                self.zones.push(zone::zone_table(column, name)?);
                self.zones.len() - 1
            }
        };
        Ok(found as u32 + 1)
    }

    fn transform(&self) -> proto::Transform {
        let blocks = [
            ("raw", BlockKind::NumericRaw, &self.raw),
            ("prepared", BlockKind::NumericPrepared, &self.prepared),
            ("category", BlockKind::Category, &self.categories),
            ("one_hot", BlockKind::OneHot, &self.one_hot),
        ];
        proto::Transform {
            numeric: self.numeric.clone(),
            category: self.category.clone(),
            zones: self.zones.clone(),
            blocks: blocks
                .into_iter()
                .filter(|(_, _, slots)| !slots.is_empty())
                .map(|(name, kind, slots)| proto::Block {
                    name: name.into(),
                    kind: kind.to_proto().into(),
                    slots: slots.clone(),
                })
                .collect(),
        }
    }
}

/// The target itself, or for several classes one 0/1 target per class.
fn encoded_targets<'a>(plan: &'a TargetPlan, target: &[f64]) -> Vec<(Option<&'a str>, Vec<f64>)> {
    if plan.outputs() == 1 {
        return vec![(None, target.to_vec())];
    }
    let one = |class: usize| target.iter().map(|v| f64::from(u8::from(*v == class as f64))).collect();
    plan.labels.iter().enumerate().map(|(class, label)| (Some(label.as_str()), one(class))).collect()
}

/// What the signature records about a column.
fn input_column(column: &Column) -> proto::InputColumn {
    let mut out = proto::InputColumn {
        name: column.name.clone(),
        r#type: column.column_type().to_string(),
        nullable: column.null_count() > 0,
        ..proto::InputColumn::default()
    };
    if column.column_type().is_numeric() {
        let (range, missing) = match &column.values {
            Values::Int(values) => range(column, values, |v| Some(*v as f64)),
            Values::Float(values) => range(column, values, |v| Some(*v).filter(|v| !v.is_nan())),
            Values::Decimal { scale, unscaled } => {
                range(column, unscaled, |v| number(Cell::Decimal { scale: *scale, unscaled: *v }))
            }
            _ => (None, false),
        };
        (out.min, out.max) = range.unzip();
        out.nullable |= missing;
    }
    if matches!(column.column_type(), gristmill_types::ColumnType::Text) {
        let values = texts(column);
        if values.len() <= DOMAIN_VALUES {
            out.values = values;
        }
    }
    out
}

/// Smallest and largest finite number of the rows that have one, and whether some row has none.
fn range<T>(column: &Column, values: &[T], number: impl Fn(&T) -> Option<f64>) -> (Option<(f64, f64)>, bool) {
    let (mut range, mut missing) = (None, false);
    for (row, value) in values.iter().enumerate() {
        match number(value).filter(|_| column.is_valid(row)) {
            None => missing = true,
            Some(value) if value.is_finite() => {
                let (low, high) = range.unwrap_or((value, value));
                range = Some((f64::min(low, value), f64::max(high, value)));
            }
            Some(_) => {}
        }
    }
    (range, missing)
}

/// The distinct texts of the rows, in order.
fn texts(column: &Column) -> Vec<String> {
    let Values::Text(text) = &column.values else { return Vec::new() };
    let mut seen = vec![false; text.values.len()];
    for (row, code) in text.codes.iter().enumerate() {
        if column.is_valid(row)
            && let Some(place) = seen.get_mut(*code as usize)
        {
            *place = true;
        }
    }
    let mut values: Vec<String> =
        text.values.iter().zip(seen).filter(|(_, seen)| *seen).map(|(value, _)| value.clone()).collect();
    values.sort_unstable();
    values.dedup();
    values
}
