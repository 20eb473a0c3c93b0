//! What is predicted: the task, its labels and the encoded target.

use std::collections::BTreeMap;

use gristmill_stats::metric::Task;
use gristmill_types::{Cell, Column, Values};
use serde::{Deserialize, Serialize};

use crate::LearnError;

/// More classes than this are refused: the target is more likely a name than a class.
pub const MAX_CLASSES: usize = 100;

/// How the target is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetPlan {
    /// The target column.
    pub name: String,
    /// The task.
    pub task: Task,
    /// Labels in the order of their class index; for a binary task the second is the positive one.
    /// Empty for regression.
    pub labels: Vec<String>,
    /// Why this task and this order.
    pub why: String,
}

/// A target column as numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EncodedTarget {
    /// Class index or value per row; NaN where there is none.
    pub values: Vec<f64>,
    /// Rows without a value.
    pub missing: usize,
    /// Rows per label that training did not have.
    pub unseen: BTreeMap<String, usize>,
}

impl TargetPlan {
    /// Decides the task from training rows: a declared task wins; otherwise two values make a binary
    /// task, text of more values a multiclass one, whole numbers 0…k or 1…k with k ≤ 10 a multiclass
    /// one, and other numbers a regression. The positive class is the declared one, else `true`,
    /// `yes` or 1, else the rarer of the two.
    ///
    /// # Errors
    /// [`LearnError::Target`] if the column is all null, constant, of a type that cannot be
    /// predicted, has too many classes, or contradicts what was declared.
    pub fn decide(column: &Column, task: Option<Task>, positive: Option<&str>) -> Result<Self, LearnError> {
        let refuse = |reason: String| Err(LearnError::target(&column.name, reason));
        if column.is_empty() || column.null_count() == column.len() {
            return refuse("every row is null: there is nothing to learn from".into());
        }
        if matches!(column.values, Values::Date(_) | Values::Timestamp { .. }) {
            return refuse("dates and times cannot be predicted: derive a number or a class from it".into());
        }
        let counts = count_labels(column);
        if counts.len() < 2 {
            let only = counts.keys().next().map_or("nothing", String::as_str);
            return refuse(format!("every row is `{only}`: a constant target leaves nothing to learn"));
        }
        let (detected, reason) = detect(column, &counts);
        let (task, mut why) = match task {
            Some(declared) => (declared, format!("{declared} was declared")),
            None => (detected, reason),
        };
        match task {
            Task::Regression => {
                if !column.column_type().is_numeric() {
                    return refuse(format!("regression needs numbers, this column is {}", column.column_type()));
                }
                if positive.is_some() {
                    return refuse("a positive class was declared, but the task is regression".into());
                }
                Ok(Self { name: column.name.clone(), task, labels: Vec::new(), why })
            }
            Task::Binary => {
                if counts.len() != 2 {
                    return refuse(format!("a binary target has two values, this one has {}", counts.len()));
                }
                let (labels, reason) = order_binary(&column.name, &counts, positive)?;
                why = format!("{why}; {reason}");
                Ok(Self { name: column.name.clone(), task, labels, why })
            }
            Task::Multiclass => {
                if counts.len() < 3 {
                    return refuse(
                        "a multiclass target has three or more values, this one has two: declare it binary".into(),
                    );
                }
                if counts.len() > MAX_CLASSES {
                    return refuse(format!(
                        "{} distinct values are more than the {MAX_CLASSES} classes allowed: pool rare classes, or predict a number",
                        counts.len()
                    ));
                }
                if positive.is_some() {
                    return refuse(format!(
                        "a positive class was declared, but there are {} classes: derive a true/false target",
                        counts.len()
                    ));
                }
                Ok(Self { name: column.name.clone(), task, labels: order_labels(counts), why })
            }
        }
    }

    /// Number of classes, 0 for regression.
    pub fn classes(&self) -> usize {
        self.labels.len()
    }

    /// Number of scores a predictor gives: one, or one per class of a multiclass task.
    pub fn outputs(&self) -> usize {
        if self.task == Task::Multiclass { self.labels.len() } else { 1 }
    }

    /// The column as numbers by this plan.
    ///
    /// # Errors
    /// [`LearnError::Target`] if a regression target is not numeric.
    pub fn encode(&self, column: &Column) -> Result<EncodedTarget, LearnError> {
        let mut out = EncodedTarget { values: Vec::with_capacity(column.len()), ..EncodedTarget::default() };
        if self.task == Task::Regression {
            if !column.column_type().is_numeric() {
                return Err(LearnError::target(
                    &self.name,
                    format!("numbers are needed, not {}", column.column_type()),
                ));
            }
            for row in 0..column.len() {
                let value = number(column.cell(row)).filter(|v| v.is_finite());
                out.missing += usize::from(value.is_none());
                out.values.push(value.unwrap_or(f64::NAN));
            }
            return Ok(out);
        }
        let index: BTreeMap<&str, usize> = self.labels.iter().enumerate().map(|(i, l)| (l.as_str(), i)).collect();
        if let Values::Bool(values) = &column.values
            && let (Some(no), Some(yes)) = (index.get("false"), index.get("true"))
            && column.valid.is_none()
        {
            out.values.extend(values.iter().map(|v| if *v { *yes as f64 } else { *no as f64 }));
            return Ok(out);
        }
        for row in 0..column.len() {
            let Some(label) = label(column.cell(row)) else {
                out.missing += 1;
                out.values.push(f64::NAN);
                continue;
            };
            match index.get(label.as_str()) {
                Some(class) => out.values.push(*class as f64),
                None => {
                    *out.unseen.entry(label).or_default() += 1;
                    out.values.push(f64::NAN);
                }
            }
        }
        Ok(out)
    }
}

/// A cell as a number, if it is one.
pub(crate) fn number(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Bool(v) => Some(f64::from(u8::from(v))),
        Cell::Int(v) => Some(v as f64),
        Cell::Float(v) if v.is_nan() => None,
        Cell::Float(v) => Some(v),
        Cell::Decimal { scale, unscaled } => {
            // Written out and read back: correctly rounded once, whatever the scale.
            format!("{unscaled}e-{scale}").parse().ok()
        }
        _ => None,
    }
}

/// A cell's text form as categories are compared by it, for the types a recipe makes categories of.
pub(crate) fn category_text(cell: Cell<'_>) -> Option<String> {
    match cell {
        Cell::Bool(v) => Some(v.to_string()),
        Cell::Int(v) => Some(v.to_string()),
        Cell::Text(v) => Some(v.to_owned()),
        Cell::Date(days) => {
            let day = chrono::DateTime::from_timestamp(i64::from(days) * 86_400, 0)?;
            Some(day.format("%Y-%m-%d").to_string())
        }
        _ => None,
    }
}

/// A cell as a label.
fn label(cell: Cell<'_>) -> Option<String> {
    match cell {
        Cell::Missing | Cell::Date(_) | Cell::Timestamp(_) => None,
        Cell::Bool(v) => Some(v.to_string()),
        Cell::Int(v) => Some(v.to_string()),
        Cell::Text(v) => Some(v.to_owned()),
        other => number(other).map(|v| v.to_string()),
    }
}

fn count_labels(column: &Column) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    match &column.values {
        Values::Text(text) => {
            let mut by_code = vec![0_usize; text.values.len()];
            for row in 0..column.len() {
                if column.is_valid(row)
                    && let Some(count) = text.codes.get(row).and_then(|code| by_code.get_mut(*code as usize))
                {
                    *count += 1;
                }
            }
            counts.extend(text.values.iter().cloned().zip(by_code).filter(|(_, count)| *count > 0));
        }
        Values::Bool(values) => {
            for flag in [false, true] {
                let rows = values.iter().enumerate().filter(|(row, v)| **v == flag && column.is_valid(*row)).count();
                if rows > 0 {
                    counts.insert(flag.to_string(), rows);
                }
            }
        }
        _ => {
            for row in 0..column.len() {
                if let Some(label) = label(column.cell(row)) {
                    *counts.entry(label).or_default() += 1;
                }
            }
        }
    }
    counts
}

fn detect(column: &Column, counts: &BTreeMap<String, usize>) -> (Task, String) {
    let distinct = counts.len();
    match &column.values {
        Values::Bool(_) => (Task::Binary, "the target is true or false".into()),
        Values::Text(_) if distinct == 2 => (Task::Binary, "the target is text of two values".into()),
        Values::Text(_) => (Task::Multiclass, format!("the target is text of {distinct} values")),
        _ => {
            let whole: Option<Vec<i64>> = counts.keys().map(|label| label.parse().ok()).collect();
            match whole {
                Some(_) if distinct == 2 => (Task::Binary, "the target has two whole numbers".into()),
                Some(mut values) if distinct <= 10 => {
                    values.sort_unstable();
                    let first = values.first().copied().unwrap_or(0);
                    let last = values.last().copied().unwrap_or(0);
                    if (first == 0 || first == 1) && last - first == distinct as i64 - 1 {
                        (Task::Multiclass, format!("the target is the whole numbers {first} to {last}"))
                    } else {
                        (Task::Regression, format!("the target is a number with {distinct} values"))
                    }
                }
                _ => (Task::Regression, format!("the target is a number with {distinct} values")),
            }
        }
    }
}

/// The two labels, negative first, and why.
fn order_binary(
    target: &str,
    counts: &BTreeMap<String, usize>,
    positive: Option<&str>,
) -> Result<(Vec<String>, String), LearnError> {
    let labels: Vec<(&String, usize)> = counts.iter().map(|(label, count)| (label, *count)).collect();
    let [(a, a_count), (b, b_count)] = labels[..] else {
        return Err(LearnError::target(target, "a binary target has two values"));
    };
    let ordered = |positive: &String| {
        let negative = if positive == a { b } else { a };
        vec![negative.clone(), positive.clone()]
    };
    if let Some(positive) = positive {
        let found = [a, b].into_iter().find(|label| label.as_str() == positive).ok_or_else(|| {
            LearnError::target(
                target,
                format!("the positive class `{positive}` does not occur: it has `{a}` and `{b}`"),
            )
        })?;
        return Ok((ordered(found), format!("`{found}` was declared positive")));
    }
    let says_yes = |label: &str| matches!(label.to_ascii_lowercase().as_str(), "true" | "yes" | "y" | "t" | "1");
    let yes: Vec<&String> = [a, b].into_iter().filter(|label| says_yes(label)).collect();
    if let [positive] = yes[..] {
        return Ok((ordered(positive), format!("`{positive}` is the positive class")));
    }
    match a_count.cmp(&b_count) {
        std::cmp::Ordering::Less => Ok((ordered(a), format!("`{a}` is the rarer class and taken as positive"))),
        std::cmp::Ordering::Greater => Ok((ordered(b), format!("`{b}` is the rarer class and taken as positive"))),
        std::cmp::Ordering::Equal => Err(LearnError::target(
            target,
            format!("`{a}` and `{b}` are equally frequent and neither says yes: declare the positive class"),
        )),
    }
}

/// Labels in numeric order if all are whole numbers, else in text order.
fn order_labels(counts: BTreeMap<String, usize>) -> Vec<String> {
    let mut labels: Vec<String> = counts.into_keys().collect();
    if labels.iter().all(|label| label.parse::<i64>().is_ok()) {
        labels.sort_by_key(|label| label.parse::<i64>().unwrap_or(i64::MAX));
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_types::Column;

    #[test]
    fn positive_class_is_never_label_order() {
        let column = Column::text("y", ["yes", "zz", "zz", "yes"].map(Some));
        let plan = TargetPlan::decide(&column, None, None).unwrap();
        assert_eq!(plan.labels, ["zz", "yes"]);
        let column = Column::text("y", ["a", "b", "b"].map(Some));
        assert_eq!(TargetPlan::decide(&column, None, None).unwrap().labels, ["b", "a"]);
        assert_eq!(TargetPlan::decide(&column, None, Some("b")).unwrap().labels, ["a", "b"]);
        let column = Column::text("y", ["a", "b"].map(Some));
        assert!(TargetPlan::decide(&column, None, None).unwrap_err().to_string().contains("declare the positive"));
    }

    #[test]
    fn tasks_are_detected() {
        let task = |column: Column| TargetPlan::decide(&column, None, None).unwrap();
        assert_eq!(task(Column::int("y", [0, 1, 1].map(Some))).labels, ["0", "1"]);
        let wine = task(Column::int("y", [2, 0, 1, 10].map(|v| Some(v % 3))));
        assert_eq!((wine.task, wine.labels.len()), (Task::Multiclass, 3));
        assert_eq!(task(Column::int("y", [3, 5, 9].map(Some))).task, Task::Regression);
        assert_eq!(task(Column::float("y", [0.5, 1.5].map(Some))).task, Task::Regression);
        assert_eq!(task(Column::text("y", ["a", "b", "c"].map(Some))).task, Task::Multiclass);
    }

    #[test]
    fn refusals_are_clear() {
        let refusal = |column: Column| TargetPlan::decide(&column, None, None).unwrap_err().to_string();
        assert!(refusal(Column::int("y", [None, None])).contains("every row is null"));
        assert!(refusal(Column::int("y", [Some(4), Some(4), None])).contains("every row is `4`"));
        let names: Vec<String> = (0..200).map(|i| format!("n{i}")).collect();
        assert!(refusal(Column::text("y", names.iter().map(|n| Some(n.as_str())))).contains("200 distinct"));
    }

    #[test]
    fn unseen_labels_are_counted() {
        let plan = TargetPlan::decide(&Column::text("y", ["no", "yes"].map(Some)), None, None).unwrap();
        let got = plan.encode(&Column::text("y", [Some("yes"), Some("maybe"), None])).unwrap();
        assert_eq!((got.values[0], got.missing, got.unseen["maybe"]), (1.0, 1, 1));
        assert!(got.values[1].is_nan() && got.values[2].is_nan());
    }
}
