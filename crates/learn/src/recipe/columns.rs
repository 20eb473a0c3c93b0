//! One column: its summary and what to do with it.

use std::collections::{BTreeMap, HashSet};

use gristmill_types::{Column, ColumnType, Columns, Limits, Values};

use super::options::{Override, RecipeOptions};
use super::season::Season;
use super::{ColumnPlan, Treatment, dates};
use crate::task::category_text;
use crate::{LearnError, TargetPlan, Task};

/// Categories with at most this many values become indicator columns for linear models.
const ONE_HOT_VALUES: usize = 128;
/// Categories with more values than this get a target encoding. Where ids and indicators say the same, it is left out:
/// on the flights (16 to 105 values, split by time) it gained 0.003 of log loss on validation (one seed) and cost
/// 0.005 in the two months after (mean of five).
const ENCODE_ABOVE: usize = ONE_HOT_VALUES;
/// Whole numbers with at most this many values are also read as categories by linear models.
const FEW_NUMBERS: usize = 12;
/// Multiclass targets with more classes get no target encodings: one column per class each.
const ENCODE_CLASSES: usize = 10;
/// Whole numbers of a range up to this are counted without sorting: the table fits a core's cache.
const NARROW: usize = 1 << 14;
/// Text whose share of distinct values is above this names its rows.
const NEAR_UNIQUE: f64 = 0.5;

/// What every column is decided with.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub table: &'a Columns,
    pub target: &'a TargetPlan,
    pub options: &'a RecipeOptions,
    pub season: &'a Season,
}

/// Facts about one column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Summary {
    pub rows: usize,
    pub nulls: usize,
    pub distinct: usize,
    /// Values that occur at least twice.
    pub repeated: usize,
    /// Whole numbers without gaps, each once: a row number.
    pub consecutive: bool,
}

impl Summary {
    pub(super) fn of(column: &Column) -> Self {
        let rows = column.len();
        // NaN is a value of a float column and missing to a learner.
        let (nulls, counts) = match &column.values {
            Values::Float(values) => {
                let valid = |row: usize| column.is_valid(row);
                let keys: Vec<u64> = values
                    .iter()
                    .enumerate()
                    .filter(|(row, value)| valid(*row) && !value.is_nan())
                    .map(|(_, value)| (value + 0.0).to_bits())
                    .collect();
                (rows - keys.len(), runs(keys))
            }
            Values::Text(text) => {
                let mut counts = vec![0; text.values.len()];
                for (row, code) in text.codes.iter().enumerate() {
                    if column.is_valid(row)
                        && let Some(count) = counts.get_mut(*code as usize)
                    {
                        *count += 1;
                    }
                }
                counts.retain(|count| *count > 0);
                (column.null_count(), counts)
            }
            Values::Int(values) => (column.null_count(), whole_runs(present(column, values))),
            Values::Bool(values) => (column.null_count(), runs(present(column, values))),
            Values::Date(values) => (column.null_count(), runs(present(column, values))),
            Values::Decimal { unscaled, .. } => (column.null_count(), runs(present(column, unscaled))),
            Values::Timestamp { micros, .. } => (column.null_count(), runs(present(column, micros))),
        };
        let consecutive = match &column.values {
            Values::Int(values) if nulls == 0 && counts.len() == rows && rows > 2 => {
                let (low, high) = (values.iter().min(), values.iter().max());
                matches!((low, high), (Some(low), Some(high)) if high.checked_sub(*low) == i64::try_from(rows - 1).ok())
            }
            _ => false,
        };
        let repeated = counts.iter().filter(|count| **count > 1).count();
        Self { rows, nulls, distinct: counts.len(), repeated, consecutive }
    }

    fn share_distinct(self) -> f64 {
        self.distinct as f64 / (self.rows - self.nulls).max(1) as f64
    }

    /// Values rarer than this share one id.
    fn min_count(self) -> usize {
        (self.rows / 1_000).clamp(2, 50)
    }
}

fn present<T: Copy>(column: &Column, values: &[T]) -> Vec<T> {
    values.iter().enumerate().filter(|(row, _)| column.is_valid(*row)).map(|(_, value)| *value).collect()
}

/// As [`runs`]; numbers of a narrow range are counted in a table instead of sorted.
fn whole_runs(keys: Vec<i64>) -> Vec<usize> {
    let (Some(low), Some(high)) = (keys.iter().min().copied(), keys.iter().max().copied()) else { return Vec::new() };
    let range = high.checked_sub(low).and_then(|range| usize::try_from(range).ok());
    let Some(range) = range.filter(|range| *range <= NARROW) else { return runs(keys) };
    let mut counts = vec![0_usize; range + 1];
    for key in keys {
        if let Some(count) = usize::try_from(key - low).ok().and_then(|at| counts.get_mut(at)) {
            *count += 1;
        }
    }
    counts.retain(|count| *count > 0);
    counts
}

/// Lengths of the runs of equal keys once sorted.
fn runs<K: Ord + Copy>(mut keys: Vec<K>) -> Vec<usize> {
    keys.sort_unstable();
    keys.chunk_by(|a, b| a == b).map(<[K]>::len).collect()
}

/// The table's column names for a message.
pub(super) fn names(table: &Columns) -> String {
    let names: Vec<String> = table
        .columns()
        .iter()
        .filter(|column| !column.name.starts_with('_'))
        .take(30)
        .map(|column| format!("`{}`", column.name))
        .collect();
    names.join(", ")
}

/// Decides one column.
pub(super) fn plan(column: &Column, summary: &Summary, context: &Context<'_>) -> Result<ColumnPlan, LearnError> {
    let (treatment, why) = seasonal(column, context, decide(column, summary, context)?);
    Ok(ColumnPlan {
        column: column.name.clone(),
        column_type: column.column_type(),
        nulls: summary.nulls,
        distinct: summary.distinct,
        what: in_words(&treatment, summary),
        treatment,
        why,
    })
}

/// Keeps a column that tells the season of a short training period from becoming a feature, or says that it is one
/// because it was asked for.
fn seasonal(column: &Column, context: &Context<'_>, decided: (Treatment, String)) -> (Treatment, String) {
    let (treatment, why) = decided;
    // Calendar parts of a timestamp leave the season out by themselves.
    if matches!(treatment, Treatment::Drop | Treatment::DateParts { .. }) {
        return (treatment, why);
    }
    let Some(told) = context.season.told_by(column) else { return (treatment, why) };
    let asked = context.options.include.contains(&column.name) || context.options.overrides.contains_key(&column.name);
    if asked {
        (treatment, format!("{why}; warning: {told}, and was kept because it was asked for"))
    } else {
        (Treatment::Drop, format!("{told}; name it among the features or override it to keep it"))
    }
}

fn decide(column: &Column, summary: &Summary, context: &Context<'_>) -> Result<(Treatment, String), LearnError> {
    let Context { table, target, options, .. } = *context;
    let name = &column.name;
    let asked = options.overrides.get(name).copied();
    if options.id_columns.contains(name) {
        return Ok((Treatment::Drop, "it names a row (declared an id column)".into()));
    }
    if options.exclude.contains(name) {
        return Ok((Treatment::Drop, "it was excluded".into()));
    }
    if !options.include.is_empty() && !options.include.contains(name) {
        return Ok((Treatment::Drop, "it is not among the included columns".into()));
    }
    if asked == Some(Override::Drop) {
        return Ok((Treatment::Drop, "it was overridden to be dropped".into()));
    }
    if summary.nulls == summary.rows {
        return Ok((Treatment::Drop, "every row is null".into()));
    }
    if summary.distinct < 2 && summary.nulls == 0 {
        return Ok((Treatment::Drop, "every row has the same value".into()));
    }
    if let Some(asked) = asked {
        return overridden(column, summary, context, asked);
    }
    match column.column_type() {
        ColumnType::Text => Ok(text(summary, target)),
        ColumnType::Bool | ColumnType::Float | ColumnType::Decimal { .. } => Ok(number(summary, "it is a number")),
        ColumnType::Int => Ok(whole_number(name, summary)),
        ColumnType::Date | ColumnType::Timestamp { .. } => dates::plan(column, table, options),
    }
}

fn overridden(
    column: &Column,
    summary: &Summary,
    context: &Context<'_>,
    asked: Override,
) -> Result<(Treatment, String), LearnError> {
    let Context { table, target, options, .. } = *context;
    let column_type = column.column_type();
    let refuse = |what: &str| {
        Err(LearnError::column(&column.name, format!("cannot be used as {what}: it is a {column_type} column")))
    };
    let why = "it was overridden".to_owned();
    match asked {
        Override::Drop => Ok((Treatment::Drop, why)),
        Override::Number if column_type.is_numeric() || column_type == ColumnType::Bool => {
            Ok((Treatment::Number { indicator: summary.nulls > 0 }, why))
        }
        Override::Number => refuse("a number"),
        Override::Category | Override::TargetEncoding => match column_type {
            ColumnType::Text | ColumnType::Bool | ColumnType::Int | ColumnType::Date => {
                let encode = asked == Override::TargetEncoding;
                if encode && target.task == Task::Multiclass && target.classes() > ENCODE_CLASSES {
                    return Err(LearnError::column(
                        &column.name,
                        format!("target encodings are made for at most {ENCODE_CLASSES} classes"),
                    ));
                }
                Ok((category(summary, encode), why))
            }
            _ => refuse("a category"),
        },
        Override::DateParts if matches!(column_type, ColumnType::Date | ColumnType::Timestamp { .. }) => {
            dates::plan(column, table, options)
        }
        Override::DateParts => refuse("calendar parts"),
    }
}

fn number(summary: &Summary, why: &str) -> (Treatment, String) {
    (Treatment::Number { indicator: summary.nulls > 0 }, why.into())
}

fn whole_number(name: &str, summary: &Summary) -> (Treatment, String) {
    if summary.consecutive {
        return (Treatment::Drop, "it numbers the rows: consecutive whole numbers, each once".into());
    }
    let lower = name.to_ascii_lowercase();
    let id_name = lower == "id" || lower.ends_with("_id") || lower.ends_with("_key") || lower == "index";
    if id_name && summary.share_distinct() > NEAR_UNIQUE {
        return (Treatment::Drop, format!("its name and {} distinct values say that it names a row", summary.distinct));
    }
    if (3..=FEW_NUMBERS).contains(&summary.distinct) {
        let why = format!("it is a whole number with only {} values", summary.distinct);
        return (Treatment::FewNumbers { indicator: summary.nulls > 0 }, why);
    }
    number(summary, "it is a whole number")
}

fn text(summary: &Summary, target: &TargetPlan) -> (Treatment, String) {
    if summary.share_distinct() > NEAR_UNIQUE && summary.distinct > 20 {
        let why = format!(
            "{} of {} values are distinct: it names rows rather than groups them",
            summary.distinct,
            summary.rows - summary.nulls
        );
        return (Treatment::Drop, why);
    }
    if summary.repeated == 0 {
        return (Treatment::Drop, "no value occurs twice".into());
    }
    let encodable = target.task != Task::Multiclass || target.classes() <= ENCODE_CLASSES;
    let encode = summary.distinct > ENCODE_ABOVE && encodable;
    let why = if encode {
        format!("it is text of {} values, too many for ids alone", summary.distinct)
    } else {
        format!("it is text of {} values", summary.distinct)
    };
    (category(summary, encode), why)
}

fn category(summary: &Summary, target_encoding: bool) -> Treatment {
    // Two ids are fixed: missing and unknown.
    let keep = Limits::DEFAULT.categories - 2;
    let one_hot = summary.distinct <= ONE_HOT_VALUES;
    // Ids of many values carry no order a tree could use; the target's mean does.
    let ids = one_hot || !target_encoding;
    Treatment::Category { keep, min_count: summary.min_count(), one_hot, ids, target_encoding }
}

fn in_words(treatment: &Treatment, summary: &Summary) -> String {
    let missing = |indicator: bool| if indicator { ", with a column saying where it was missing" } else { "" };
    match treatment {
        Treatment::Number { indicator } => format!(
            "raw for trees; median for missing values and standardised for linear models{}",
            missing(*indicator)
        ),
        Treatment::FewNumbers { indicator } => format!(
            "raw for trees; median for missing values, standardised, and one indicator per value for linear models{}",
            missing(*indicator)
        ),
        Treatment::Category { min_count, one_hot, ids, target_encoding, keep } => {
            let mut parts = Vec::new();
            if *ids {
                parts.push("ids by frequency".to_owned());
            }
            if *one_hot {
                parts.push("one indicator per value for linear models".to_owned());
            }
            if *target_encoding {
                parts.push("the target's mean per value, cross-fitted on training rows".to_owned());
            }
            let capped =
                if summary.distinct > *keep { format!(", the {keep} most frequent kept") } else { String::new() };
            format!("{}; values seen fewer than {min_count} times count as unknown{capped}", parts.join(", "))
        }
        Treatment::DateParts { parts, zone } => {
            let names: BTreeMap<_, _> = parts.iter().enumerate().map(|(i, part)| (i, part.words())).collect();
            let names: Vec<&str> = names.into_values().collect();
            let zone = zone.as_deref().map_or(String::new(), |zone| format!(" in {zone}"));
            format!("calendar parts{zone}: {}", names.join(", "))
        }
        Treatment::Drop => "dropped".into(),
    }
}

/// Values of an int or text column by frequency, then value: those that get an id of their own.
pub(crate) fn vocabulary(column: &Column, keep: usize, min_count: usize) -> Vec<String> {
    let mut counts: Vec<(String, usize)> = match &column.values {
        Values::Text(text) => {
            let mut by_code = vec![0_usize; text.values.len()];
            for row in (0..column.len()).filter(|row| column.is_valid(*row)) {
                if let Some(count) = text.codes.get(row).and_then(|code| by_code.get_mut(*code as usize)) {
                    *count += 1;
                }
            }
            // Two codes of one value would give it two ids.
            let mut seen = HashSet::new();
            text.values
                .iter()
                .zip(by_code)
                .filter(|(value, _)| seen.insert(value.as_str()))
                .map(|(value, count)| (value.clone(), count))
                .collect()
        }
        _ => {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for row in 0..column.len() {
                if let Some(text) = category_text(column.cell(row)) {
                    *counts.entry(text).or_default() += 1;
                }
            }
            counts.into_iter().collect()
        }
    };
    counts.retain(|(_, count)| *count >= min_count);
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.truncate(keep);
    counts.into_iter().map(|(value, _)| value).collect()
}
