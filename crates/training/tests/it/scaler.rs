//! What an autoscaler hears of the trials.

use gristmill_proto::keda::external_scaler_client::ExternalScalerClient;
use gristmill_proto::keda::{GetMetricsRequest, ScaledObjectRef};
use gristmill_training::Settings;
use tonic::Code;

use crate::support::Bench;

/// A stage that leaves its trials to workers elsewhere.
const NONE: Settings = Settings::new(0, 1);
const TWO: Settings = Settings::new(2, 1);

fn object(key: &str, value: &str) -> ScaledObjectRef {
    ScaledObjectRef { scaler_metadata: [(key.to_owned(), value.to_owned())].into(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_hears_of_trials_that_come_and_go() {
    let mut bench = Bench::new(400, NONE).await;
    let mut scaler = ExternalScalerClient::new(bench.channel());
    let value = async |scaler: &mut ExternalScalerClient<_>, name: &str| {
        let request = GetMetricsRequest { metric_name: name.into(), ..Default::default() };
        Ok::<_, tonic::Status>(scaler.get_metrics(request).await?.into_inner().metric_values[0].metric_value_float)
    };
    assert_eq!(value(&mut scaler, "trials").await.unwrap(), 0.0);
    let mut active = scaler.stream_is_active(object("", "")).await.unwrap().into_inner();
    assert!(!active.message().await.unwrap().unwrap().result);

    // Four trials do not depend on each other's results, so four wait at once.
    let id = bench.submit(bench.spec(6)).await;
    assert!(active.message().await.unwrap().unwrap().result, "told without being asked");
    while value(&mut scaler, "s0-trials").await.unwrap() < 4.0 {
        tokio::task::yield_now().await;
    }
    assert!(scaler.is_active(object("", "")).await.unwrap().into_inner().result);

    let started = bench.started.take().unwrap();
    started.drain().await;
    bench.restart(TWO).await;
    bench.finished(id).await;
    let mut scaler = ExternalScalerClient::new(bench.channel());
    assert_eq!(value(&mut scaler, "").await.unwrap(), 0.0);
    assert!(!scaler.is_active(object("", "")).await.unwrap().into_inner().result);
}

#[tokio::test]
async fn the_target_is_what_one_worker_does_at_a_time() {
    let bench = Bench::new(100, NONE).await;
    let mut scaler = ExternalScalerClient::new(bench.channel());
    for (object, target) in [(object("trialsPerWorker", "4"), 4), (object("other", "x"), 1)] {
        let spec = scaler.get_metric_spec(object).await.unwrap().into_inner().metric_specs.remove(0);
        assert_eq!((spec.metric_name.as_str(), spec.target_size), ("trials", target));
    }
    for wrong in ["0", "-1", "many", "99999"] {
        let refused = scaler.get_metric_spec(object("trialsPerWorker", wrong)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("trialsPerWorker"), "{}", refused.message());
    }
    let request = GetMetricsRequest { metric_name: "latency".into(), ..Default::default() };
    let refused = scaler.get_metrics(request).await.unwrap_err();
    assert!(refused.message().contains("`latency`"), "{}", refused.message());
}
