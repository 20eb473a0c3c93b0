//! Checks the steps of a transform message.

use gristmill_types::{ColumnType, Limits};

use super::{Category, Numeric, Steps, is_moment};
use crate::calendar::Zone;
use crate::vocabulary::Vocabulary;
use crate::{ModelError, Signature, proto, read};

/// Steps of one kind at most, per column of the columns limit.
const STEPS_PER_COLUMN: usize = 16;
/// Transitions of one zone at most (the longest in the IANA database up to 2100 has under 400).
const MAX_TRANSITIONS: usize = 4_096;
/// No zone was ever a day away from UTC.
const MAX_OFFSET: i64 = 86_400;

impl Steps {
    pub(super) fn compile(signature: &Signature, message: &proto::Transform) -> Result<Self, ModelError> {
        let limit = Limits::DEFAULT.columns * STEPS_PER_COLUMN;
        for (at, count) in [
            ("transform.numeric", message.numeric.len()),
            ("transform.category", message.category.len()),
            ("transform.zones", message.zones.len()),
            ("transform.blocks", message.blocks.len()),
        ] {
            if count > limit {
                return Err(ModelError::invalid(at, format!("has more than {limit} entries")));
            }
        }
        let zones = compile_all("transform.zones", &message.zones, |_, zone| compile_zone(zone))?;
        let category = compile_all("transform.category", &message.category, |_, step| {
            input(signature, step.input, |_| true, "")?;
            Ok(Category { input: step.input as usize, vocabulary: Vocabulary::compile(step)? })
        })?;
        let check = Check { signature, zones: zones.len(), category: &category };
        let numeric = compile_all("transform.numeric", &message.numeric, |index, step| check.numeric(index, step))?;
        Ok(Self {
            numeric,
            numeric_names: message.numeric.iter().map(|step| step.name.clone()).collect(),
            category,
            category_names: message.category.iter().map(|step| step.name.clone()).collect(),
            zones,
        })
    }
}

fn compile_all<M, T>(
    at: &str,
    messages: &[M],
    compile: impl Fn(usize, &M) -> Result<T, String>,
) -> Result<Vec<T>, ModelError> {
    let compiled = messages.iter().enumerate().map(|(index, message)| {
        compile(index, message).map_err(|reason| ModelError::invalid(format!("{at}[{index}]"), reason))
    });
    compiled.collect()
}

/// What numeric steps are checked against.
struct Check<'a> {
    signature: &'a Signature,
    zones: usize,
    category: &'a [Category],
}

impl Check<'_> {
    fn numeric(&self, index: usize, message: &proto::NumericStep) -> Result<Numeric, String> {
        use proto::numeric_step::Step;
        let earlier = |slot: u32| {
            let slot = slot as usize;
            if slot < index { Ok(slot) } else { Err(format!("reads slot {slot}, which does not come before it")) }
        };
        let number = |value: f32| if value.is_finite() { Ok(value) } else { Err("has a value that is not finite") };
        match message.step.as_ref().ok_or("has no step")? {
            Step::Number(step) => {
                let numeric = |column_type: &ColumnType| column_type.is_numeric() || *column_type == ColumnType::Bool;
                Ok(Numeric::Number { input: input(self.signature, step.input, numeric, "a number or boolean")? })
            }
            Step::DatePart(step) => self.date_part(step),
            Step::Elapsed(step) => self.elapsed(step),
            Step::Impute(step) => Ok(Numeric::Impute { slot: earlier(step.slot)?, value: number(step.value)? }),
            Step::Indicator(step) => Ok(Numeric::Indicator { slot: earlier(step.slot)? }),
            Step::Standardise(step) => {
                if !step.mean.is_finite() || !step.scale.is_finite() || step.scale <= 0.0 {
                    return Err("needs a finite mean and a positive, finite scale".into());
                }
                Ok(Numeric::Standardise { slot: earlier(step.slot)?, mean: step.mean, scale: step.scale })
            }
            Step::CategoryTable(step) => self.category_table(step),
            Step::CategoryId(step) => Ok(Numeric::CategoryId { category: self.category(step.category)?.0 }),
            Step::Clip(step) => {
                // Also false for NaN.
                if step.low <= step.high {
                    Ok(Numeric::Clip { slot: earlier(step.slot)?, low: step.low, high: step.high })
                } else {
                    Err("needs low ≤ high".into())
                }
            }
        }
    }

    fn date_part(&self, step: &proto::DatePart) -> Result<Numeric, String> {
        use proto::date_part::Part;
        let index = input(self.signature, step.input, is_moment, "a date or timestamp")?;
        let part =
            Part::try_from(step.part).ok().filter(|part| *part != Part::Unspecified).ok_or("has no known part")?;
        let zone = (step.zone as usize).checked_sub(1);
        if zone.is_some_and(|zone| zone >= self.zones) {
            return Err(format!("names zone {}, there are {}", step.zone, self.zones));
        }
        let zoned = matches!(self.column_type(index), Some(ColumnType::Timestamp { zone: Some(_) }));
        if zone.is_some() && !zoned {
            return Err("reads a date or a timestamp without zone in a zone: only a moment has local parts".into());
        }
        Ok(Numeric::DatePart { input: index, part, zone })
    }

    fn elapsed(&self, step: &proto::Elapsed) -> Result<Numeric, String> {
        let from = input(self.signature, step.from_input, is_moment, "a date or timestamp")?;
        let to = input(self.signature, step.to_input, is_moment, "a date or timestamp")?;
        let kind = |index| match self.column_type(index) {
            Some(ColumnType::Timestamp { zone }) => Some(zone.is_some()),
            _ => None,
        };
        if kind(from) != kind(to) {
            return Err("subtracts a date, a wall-clock time and a moment from one another".into());
        }
        Ok(Numeric::Elapsed { from, to })
    }

    fn category_table(&self, step: &proto::CategoryTable) -> Result<Numeric, String> {
        let (category, size) = self.category(step.category)?;
        if step.values.len() != size {
            return Err(format!("has {} values for {size} category ids", step.values.len()));
        }
        if step.values.iter().any(|value| !value.is_finite()) {
            return Err("has a value that is not finite".into());
        }
        Ok(Numeric::CategoryTable { category, values: step.values.iter().map(|v| read::to_f32(*v)).collect() })
    }

    /// A category slot and its number of ids.
    fn category(&self, index: u32) -> Result<(usize, usize), String> {
        let slot = index as usize;
        let step = self.category.get(slot).ok_or_else(|| format!("reads category {slot}, which is not there"))?;
        Ok((slot, step.vocabulary.size() as usize))
    }

    fn column_type(&self, input: usize) -> Option<&ColumnType> {
        self.signature.inputs().get(input).map(|input| &input.column_type)
    }
}

fn input(
    signature: &Signature,
    index: u32,
    allowed: impl Fn(&ColumnType) -> bool,
    needs: &str,
) -> Result<usize, String> {
    let index = index as usize;
    let input = signature.inputs().get(index).ok_or_else(|| format!("reads input {index}, which is not there"))?;
    if allowed(&input.column_type) {
        Ok(index)
    } else {
        Err(format!("needs {needs}, `{}` is {}", input.name, input.column_type))
    }
}

fn compile_zone(message: &proto::ZoneTable) -> Result<Zone, String> {
    if message.at.len() != message.offset.len() || message.at.len() > MAX_TRANSITIONS {
        return Err(format!("needs one offset per transition, {MAX_TRANSITIONS} at most"));
    }
    if message.at.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err("has transitions out of order".into());
    }
    let first = i64::from(message.first_offset);
    let transitions: Vec<_> = message.at.iter().copied().zip(message.offset.iter().map(|o| i64::from(*o))).collect();
    if transitions.iter().map(|(_, offset)| *offset).chain([first]).any(|offset| offset.abs() > MAX_OFFSET) {
        return Err("has an offset of more than a day".into());
    }
    Ok(Zone::new(first, transitions))
}
