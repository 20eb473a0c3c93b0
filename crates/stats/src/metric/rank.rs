//! Areas under curves from one sort of the scores.

/// Rows in descending order of their scores, ties marked, so that the areas for any weights take one pass.
#[derive(Debug, Clone)]
pub(crate) struct Ranking {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// What the caller's multiplicity function is asked for.
    key: u32,
    positive: f64,
    negative: f64,
    /// Last of a run of equal scores.
    closes: bool,
}

/// Areas for one set of weights; none where a class has no weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Areas {
    pub(crate) roc_auc: f64,
    pub(crate) average_precision: f64,
}

impl Ranking {
    /// Sorts once. `row(i)` gives the key, whether the row is positive, and its weight; rows of weight zero are dropped.
    pub(crate) fn new(score: &[f64], row: impl Fn(usize) -> (u32, bool, f64)) -> Self {
        let mut order: Vec<u32> = (0..score.len() as u32).collect();
        // Stable, so that equal scores stay in row order and sums have one order.
        order.sort_by(|a, b| score[*b as usize].total_cmp(&score[*a as usize]));
        let mut entries: Vec<Entry> = Vec::with_capacity(order.len());
        let mut last = f64::NAN;
        for i in order {
            let i = i as usize;
            let (key, positive, weight) = row(i);
            if weight == 0.0 {
                continue;
            }
            // -0.0 and 0.0 are the same score, and neighbours in the total order.
            if score[i] != last
                && let Some(previous) = entries.last_mut()
            {
                previous.closes = true;
            }
            last = score[i];
            let (positive, negative) = if positive { (weight, 0.0) } else { (0.0, weight) };
            entries.push(Entry { key, positive, negative, closes: false });
        }
        if let Some(previous) = entries.last_mut() {
            previous.closes = true;
        }
        Self { entries }
    }

    /// Areas with every row's weight multiplied by `multiplicity(key)`.
    pub(crate) fn areas(&self, multiplicity: impl Fn(u32) -> f64) -> Option<Areas> {
        let (mut positives, mut negatives) = (0.0, 0.0);
        let (mut group_positives, mut group_negatives) = (0.0, 0.0);
        let (mut area, mut precision) = (0.0, 0.0);
        for entry in &self.entries {
            let times = multiplicity(entry.key);
            group_positives += times * entry.positive;
            group_negatives += times * entry.negative;
            if entry.closes {
                area += group_negatives * (positives + 0.5 * group_positives);
                positives += group_positives;
                negatives += group_negatives;
                if group_positives > 0.0 {
                    precision += group_positives * positives / (positives + negatives);
                }
                (group_positives, group_negatives) = (0.0, 0.0);
            }
        }
        (positives > 0.0 && negatives > 0.0)
            .then(|| Areas { roc_auc: area / (positives * negatives), average_precision: precision / positives })
    }
}
