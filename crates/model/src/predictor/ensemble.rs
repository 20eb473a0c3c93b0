//! Weighted mean of members after their links.

use crate::output::{Link, Output};
use crate::slots::SlotsView;
use crate::transform::{RowSlots, SlotShape};
use crate::{ModelError, proto};

use super::{Cost, Predictor, RowSpace};

/// Members of one ensemble at most.
const MAX_MEMBERS: usize = 1_000;

#[derive(Debug, Clone)]
pub(super) struct Ensemble {
    members: Vec<Member>,
    output: Output,
    total: f64,
}

#[derive(Debug, Clone)]
struct Member {
    weight: f64,
    predictor: Predictor,
    link: Link,
}

impl Ensemble {
    pub(super) fn compile(
        message: &proto::Ensemble,
        shape: &SlotShape,
        output: &Output,
        at: &str,
        depth: usize,
    ) -> Result<Self, ModelError> {
        if message.members.is_empty() || message.members.len() > MAX_MEMBERS {
            return Err(ModelError::invalid(at, format!("needs 1 to {MAX_MEMBERS} members")));
        }
        let mut members = Vec::with_capacity(message.members.len());
        for (index, member) in message.members.iter().enumerate() {
            let at = format!("{at}.members[{index}]");
            if !(0.0..=super::MAX_MAGNITUDE).contains(&member.weight) {
                return Err(ModelError::invalid(at, "needs a weight of 0 or more"));
            }
            let inner = member.predictor.as_ref().ok_or_else(|| ModelError::invalid(&at, "has no predictor"))?;
            let predictor = Predictor::compile_at(inner, shape, output, &at, depth + 1)?;
            let link = Link::compile(member.link, &at)?;
            output.check_width(link, predictor.width(), &at)?;
            members.push(Member { weight: member.weight, predictor, link });
        }
        let total = members.iter().fold(0.0, |total, member| total + member.weight);
        if total <= 0.0 {
            return Err(ModelError::invalid(at, "needs a member with a weight above 0"));
        }
        Ok(Self { members, output: output.clone(), total })
    }

    pub(super) fn width(&self) -> usize {
        self.output.units()
    }

    pub(super) fn cost(&self) -> Cost {
        let members = self.members.iter().map(|member| member.predictor.cost());
        let own = Cost { nodes: 0, multiplications: (self.members.len() * self.width()) as u64 };
        members.fold(own, |total, cost| total + cost)
    }

    pub(super) fn scores(&self, slots: &SlotsView<'_>) -> Result<Vec<f64>, ModelError> {
        let width = self.width();
        let mut means = vec![0.0; slots.rows() * width];
        let mut units = Vec::with_capacity(width);
        for member in &self.members {
            let scores = member.predictor.scores(slots)?;
            for (mean, scores) in means.chunks_exact_mut(width).zip(scores.chunks_exact(member.predictor.width())) {
                self.output.units_of(member.link, scores, &mut units);
                add(member.weight, &units, mean);
            }
        }
        means.iter_mut().for_each(|mean| *mean /= self.total);
        Ok(means)
    }

    pub(super) fn row(&self, slots: &RowSlots, space: &mut RowSpace, out: &mut Vec<f64>) {
        out.resize(self.width(), 0.0);
        // Taken out while members of this one may be ensembles that need space of their own.
        let mut scores = space.members.pop().unwrap_or_default();
        let mut units = space.members.pop().unwrap_or_default();
        for member in &self.members {
            member.predictor.row(slots, space, &mut scores);
            self.output.units_of(member.link, &scores, &mut units);
            add(member.weight, &units, out);
        }
        out.iter_mut().for_each(|mean| *mean /= self.total);
        space.members.extend([scores, units]);
    }
}

fn add(weight: f64, units: &[f64], means: &mut [f64]) {
    for (mean, unit) in means.iter_mut().zip(units) {
        *mean += weight * unit;
    }
}
