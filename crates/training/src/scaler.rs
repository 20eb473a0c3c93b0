//! What an autoscaler asks: how many trials there are to do (KEDA's external scaler protocol).

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use gristmill_jobs::{Claim, Ledger, LedgerError, Work};
use gristmill_proto::keda::external_scaler_server::ExternalScaler;
use gristmill_proto::keda::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};
use gristmill_rpc::error::Problem;
use gristmill_stage::ledger_problem;
use tonic::{Request, Response, Status};

use crate::trial::TrialWork;

/// The one metric: trials that wait and trials that run. Those that run count, or a scaler would take
/// their workers away.
const METRIC: &str = "trials";
/// Key of the scaler's metadata: trials that one worker process does at a time.
const PER_WORKER: &str = "trialsPerWorker";
/// More trials at a time than any process has slots.
const MOST_PER_WORKER: u32 = 4_096;
/// How soon a stream tells that the last trial has ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Answers from the ledger.
#[derive(Debug, Clone)]
pub(crate) struct Scaler(pub Arc<dyn Ledger>);

impl Scaler {
    async fn trials(&self) -> Result<u64, LedgerError> {
        let depth = self.0.depth(Some(TrialWork::KIND)).await?;
        Ok(depth.queued + depth.running)
    }
}

#[tonic::async_trait]
impl ExternalScaler for Scaler {
    async fn is_active(&self, _: Request<ScaledObjectRef>) -> Result<Response<IsActiveResponse>, Status> {
        let trials = self.trials().await.map_err(ledger_problem)?;
        Ok(Response::new(IsActiveResponse { result: trials > 0 }))
    }

    type StreamIsActiveStream = BoxStream<'static, Result<IsActiveResponse, Status>>;

    async fn stream_is_active(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let seen: Option<bool> = None;
        let changes = futures::stream::unfold((self.clone(), seen), |(own, seen)| async move {
            match own.changed(seen).await {
                Ok(now) => Some((Ok(IsActiveResponse { result: now }), (own, Some(now)))),
                Err(error) => Some((Err(Status::from(ledger_problem(error))), (own, None))),
            }
        });
        // The first error ends it: the scaler opens another.
        let mut failed = false;
        let until_failure = changes.take_while(move |item| {
            let go_on = !failed;
            failed = item.is_err();
            std::future::ready(go_on)
        });
        Ok(Response::new(until_failure.boxed()))
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        let target = per_worker(&request.into_inner())?;
        let spec =
            MetricSpec { metric_name: METRIC.into(), target_size: target.into(), target_size_float: f64::from(target) };
        Ok(Response::new(GetMetricSpecResponse { metric_specs: vec![spec] }))
    }

    async fn get_metrics(&self, request: Request<GetMetricsRequest>) -> Result<Response<GetMetricsResponse>, Status> {
        let asked = request.into_inner().metric_name;
        // KEDA puts the number of the trigger in front of the name.
        if !asked.is_empty() && asked != METRIC && !asked.ends_with(&format!("-{METRIC}")) {
            let asked: String = asked.chars().take(80).collect();
            let message = format!("there is no metric `{asked}`: ask for `{METRIC}`");
            return Err(Problem::invalid("UNKNOWN_METRIC", message).violation("metricName", METRIC).into());
        }
        let trials = self.trials().await.map_err(ledger_problem)?;
        let value = MetricValue {
            metric_name: METRIC.into(),
            metric_value: i64::try_from(trials).unwrap_or(i64::MAX),
            metric_value_float: trials as f64,
        };
        Ok(Response::new(GetMetricsResponse { metric_values: vec![value] }))
    }
}

impl Scaler {
    /// Whether there is work, once that is not what was `seen` last.
    async fn changed(&self, seen: Option<bool>) -> Result<bool, LedgerError> {
        let claim = Claim {
            worker: "scaler".into(),
            kinds: vec![TrialWork::KIND.into()],
            spec_version: TrialWork::SPEC_VERSION,
        };
        loop {
            let now = self.trials().await? > 0;
            if seen != Some(now) {
                return Ok(now);
            }
            if now {
                tokio::time::sleep(LOOK_EVERY).await;
            } else {
                // Rings at once when a trial is submitted.
                self.0.work_available(&claim, LOOK_EVERY).await?;
            }
        }
    }
}

fn per_worker(asked: &ScaledObjectRef) -> Result<u32, Problem> {
    let Some(text) = asked.scaler_metadata.get(PER_WORKER) else { return Ok(1) };
    match text.parse() {
        Ok(count) if (1..=MOST_PER_WORKER).contains(&count) => Ok(count),
        _ => {
            let text: String = text.chars().take(40).collect();
            let message = format!("`{text}` in {PER_WORKER}: write a whole number from 1 to {MOST_PER_WORKER}");
            Err(Problem::invalid("INVALID_METADATA", message).violation(PER_WORKER, "a whole number"))
        }
    }
}
