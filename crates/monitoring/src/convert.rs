//! Between the contract's messages and the domain.

use gristmill_proto::monitoring as message;
use gristmill_stats::drift::{ColumnDrift, DriftVerdict};
use gristmill_types::{ArtifactKind, ArtifactRef, Limits};

use crate::MonitoringError;
use crate::monitor::{Findings, Settings, State};

/// Artifacts of live rows that one job takes at most.
const MOST_ARTIFACTS: usize = 1_000;

/// A checked spec.
#[derive(Debug)]
pub(crate) struct Checked {
    pub model: ArtifactRef,
    /// None for the split that the model names.
    pub baseline: Option<ArtifactRef>,
    pub rows: Vec<ArtifactRef>,
    pub settings: Settings,
}

/// Checks everything that needs no data.
pub(crate) fn check(spec: &message::MonitoringSpec) -> Result<Checked, MonitoringError> {
    let model = artifact("model", spec.model.as_ref(), &[ArtifactKind::Model])?;
    let baseline = match &spec.baseline {
        None => None,
        baseline => Some(artifact("baseline", baseline.as_ref(), &[ArtifactKind::Prepared])?),
    };
    if spec.rows.is_empty() || spec.rows.len() > MOST_ARTIFACTS {
        return Err(MonitoringError::spec("rows", format!("name 1 to {MOST_ARTIFACTS} artifacts of live rows")));
    }
    if spec.exclude.len() > Limits::DEFAULT.columns {
        return Err(MonitoringError::spec("exclude", format!("names more than {} columns", Limits::DEFAULT.columns)));
    }
    let kinds = [ArtifactKind::Dataset, ArtifactKind::Predictions, ArtifactKind::InferenceLog, ArtifactKind::Prepared];
    let rows = spec.rows.iter().enumerate();
    let rows = rows.map(|(at, rows)| artifact(&format!("rows[{at}]"), Some(rows), &kinds)).collect::<Result<_, _>>()?;
    let settings = Settings { min_rows: spec.min_rows as usize, exclude: spec.exclude.clone(), seed: spec.seed };
    Ok(Checked { model, baseline, rows, settings })
}

fn artifact(
    field: &str,
    message: Option<&gristmill_proto::artifact::ArtifactRef>,
    kinds: &[ArtifactKind],
) -> Result<ArtifactRef, MonitoringError> {
    let artifact = gristmill_proto::artifact_ref(field, message)
        .map_err(|error| MonitoringError::spec(error.field, error.message))?;
    if kinds.contains(&artifact.kind) {
        return Ok(artifact);
    }
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    Err(MonitoringError::spec(field, format!("is a {} artifact: name one of {}", artifact.kind, kinds.join(", "))))
}

/// The job's result as the contract says it.
pub(crate) fn result(report: ArtifactRef, findings: &Findings) -> message::MonitoringResult {
    let scores = findings.scores.as_ref();
    message::MonitoringResult {
        report: Some(report.into()),
        state: state(findings.state).into(),
        columns: findings.inputs.columns.iter().map(column).collect(),
        prediction: scores.and_then(|scores| scores.columns.first()).map(|score| message::ColumnDrift {
            psi: score.psi(),
            verdict: verdict(score.verdict).into(),
            ..column(&score.training)
        }),
        rows: findings.rows,
        summary: findings.summary(),
        quality: findings.quality.anomalies.iter().map(|anomaly| anomaly.long.clone()).collect(),
    }
}

const fn state(state: State) -> message::MonitoringState {
    match state {
        State::Ok => message::MonitoringState::Ok,
        State::Warning => message::MonitoringState::Warning,
        State::Alert => message::MonitoringState::Alert,
        State::NotEnoughData => message::MonitoringState::NotEnoughData,
    }
}

fn column(column: &ColumnDrift) -> message::ColumnDrift {
    message::ColumnDrift {
        column: column.name.clone(),
        psi: column.psi.unwrap_or(0.0),
        threshold: column.threshold.unwrap_or(0.0),
        verdict: verdict(column.verdict).into(),
        reason: column.reason.clone().unwrap_or_default(),
    }
}

/// A verdict's name.
pub(crate) const fn verdict(verdict: DriftVerdict) -> &'static str {
    match verdict {
        DriftVerdict::Stable => "stable",
        DriftVerdict::Drifted => "drifted",
        DriftVerdict::Insufficient => "insufficient",
        DriftVerdict::Excluded => "excluded",
    }
}
