//! Curves of bounded size for the report.

use gristmill_stats::curve::{calibration_bins, precision_recall_curve, residual_bins, roc_curve, score_histogram};
use gristmill_stats::metric::{Confusion, Scores};

use crate::document::Curves;

/// Points of a curve, at most.
const POINTS: usize = 200;
/// Groups of rows of similar score.
const BINS: usize = 10;
/// Bars of a histogram.
const BARS: usize = 25;

/// The curves that the task has; those that these rows do not define (one class only) stay empty.
pub(crate) fn curves(scores: &Scores, champion: Option<&Scores>) -> Curves {
    Curves {
        roc: roc_curve(scores, POINTS).unwrap_or_default(),
        champion_roc: champion.and_then(|scores| roc_curve(scores, POINTS).ok()).unwrap_or_default(),
        precision_recall: precision_recall_curve(scores, POINTS).unwrap_or_default(),
        calibration: calibration_bins(scores, BINS).unwrap_or_default(),
        scores: score_histogram(scores, BARS).unwrap_or_default(),
        confusion: Confusion::of(scores).ok(),
        residuals: residual_bins(scores, 2 * BINS).unwrap_or_default(),
    }
}
