//! Whether a calibrator is kept.

use gristmill_model::proto::{self, calibration::Calibration};
use gristmill_stats::calibration::{Calibrator, choose_calibrator};
use gristmill_stats::interval::Units;
use gristmill_stats::metric::Scores;

use crate::{Matrix, Task};

/// Rows of each class below which nothing can be said.
const LEAST_ROWS: usize = 100;

/// A calibrator if it lowers the log loss out of fold, and what was decided in words.
///
/// The scores are those of a predictor that has not seen these rows.
pub(super) fn choose(scores: &Scores, matrix: &Matrix) -> (Option<proto::Calibration>, String) {
    if matrix.task != Task::Binary {
        return (None, "calibration is for binary tasks".into());
    }
    let positives = matrix.target.iter().filter(|class| **class == 1.0).count();
    if positives.min(matrix.rows() - positives) < LEAST_ROWS {
        return (None, format!("fewer than {LEAST_ROWS} validation rows of a class: too few to calibrate"));
    }
    let units = Units::from_labels(matrix.units.iter().copied());
    match choose_calibrator(scores, &units, 0) {
        Ok(choice) => (choice.calibrator.map(message), choice.reason),
        Err(error) => (None, format!("no calibrator: {error}")),
    }
}

fn message(calibrator: Calibrator) -> proto::Calibration {
    let calibration = match calibrator {
        Calibrator::Platt { slope, intercept } => Calibration::Platt(proto::Platt { slope, intercept }),
        Calibrator::Isotonic { x, y } => Calibration::Isotonic(proto::Isotonic { x, y }),
    };
    proto::Calibration { calibration: Some(calibration) }
}
