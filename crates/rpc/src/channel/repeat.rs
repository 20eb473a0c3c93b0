//! Which rpcs may be sent twice.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Verbs that change nothing.
const READS: [&str; 5] = ["Get", "List", "Watch", "Check", "Read"];

/// Rpcs that change something and mean the same when they come twice, with the reason.
const SAME_TWICE: &[&str] = &[
    // The same `request_id` answers the same job or version; a request without one is sent once.
    "/gristmill.evaluation.v1alpha1.EvaluationService/CreateEvaluationJob",
    "/gristmill.ingestion.v1alpha1.IngestionService/CreateIngestionJob",
    "/gristmill.monitoring.v1alpha1.MonitoringService/CreateMonitoringJob",
    "/gristmill.pipeline.v1alpha1.PipelineService/CreateRunJob",
    "/gristmill.preparation.v1alpha1.PreparationService/CreatePreparationJob",
    "/gristmill.registry.v1alpha1.RegistryService/CreateModelVersion",
    "/gristmill.serving.v1alpha1.PredictionService/CreatePredictionJob",
    "/gristmill.training.v1alpha1.TrainingService/CreateStudyJob",
    // Bound to a fence: the same fence again answers what is stored, another one is refused.
    "/gristmill.job.v1alpha1.LeaseService/CheckpointJob",
    "/gristmill.job.v1alpha1.LeaseService/CommitJob",
    "/gristmill.job.v1alpha1.LeaseService/HeartbeatJob",
    "/gristmill.job.v1alpha1.LeaseService/PinArtifacts",
    // Questions of an autoscaler.
    "/externalscaler.ExternalScaler/GetMetricSpec",
    "/externalscaler.ExternalScaler/GetMetrics",
    "/externalscaler.ExternalScaler/IsActive",
    "/externalscaler.ExternalScaler/StreamIsActive",
    // Questions of the Open Inference Protocol.
    "/inference.GRPCInferenceService/ModelMetadata",
    "/inference.GRPCInferenceService/ModelReady",
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerMetadata",
    "/inference.GRPCInferenceService/ServerReady",
];

/// Rpcs whose second coming would do a second thing, or be refused although the first succeeded.
#[cfg(test)]
const ONCE: &[&str] = &[
    // A stream from the caller: it cannot be sent again from here.
    "/gristmill.artifact.v1alpha1.ArtifactService/UploadArtifact",
    "/gristmill.artifact.v1alpha1.ArtifactService/SweepArtifacts",
    // Refused once the job has ended.
    "/gristmill.evaluation.v1alpha1.EvaluationService/CancelEvaluationJob",
    "/gristmill.ingestion.v1alpha1.IngestionService/CancelIngestionJob",
    "/gristmill.monitoring.v1alpha1.MonitoringService/CancelMonitoringJob",
    "/gristmill.pipeline.v1alpha1.PipelineService/CancelRunJob",
    "/gristmill.preparation.v1alpha1.PreparationService/CancelPreparationJob",
    "/gristmill.serving.v1alpha1.PredictionService/CancelPredictionJob",
    "/gristmill.training.v1alpha1.TrainingService/CancelStudyJob",
    // Takes a second job, ends a lease that may be another's by then.
    "/gristmill.job.v1alpha1.LeaseService/ClaimJob",
    "/gristmill.job.v1alpha1.LeaseService/FailJob",
    "/gristmill.job.v1alpha1.LeaseService/ReleaseJob",
    "/gristmill.pipeline.v1alpha1.PipelineService/ResumeRun",
    // Moves and changes that the audit counts.
    "/gristmill.registry.v1alpha1.RegistryService/SetModelAlias",
    "/gristmill.registry.v1alpha1.RegistryService/UpdateModelVersion",
    "/gristmill.serving.v1alpha1.ServingService/CreateDeployment",
    "/gristmill.serving.v1alpha1.ServingService/DeleteDeployment",
    "/gristmill.serving.v1alpha1.ServingService/FlushInferenceLog",
    // Every prediction is a row of the log.
    "/inference.GRPCInferenceService/ModelInfer",
];

/// The field that makes a `Create` repeatable, the same in every contract.
const REQUEST_ID: u32 = 2;
/// Bytes before a message on the wire: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Whether the rpc at `path` may be sent again when nobody knows whether it was done.
pub(crate) fn may_repeat(path: &str) -> bool {
    let ours = path.starts_with("/gristmill.") || path.starts_with("/grpc.health.");
    let read = |verb: &str| {
        // Whole words: `Check` is no `Checkpoint`.
        method(path).strip_prefix(verb).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    (ours && READS.iter().any(|verb| read(verb))) || SAME_TWICE.contains(&path)
}

/// Whether this very request may: a creation only if it names itself. `body` is what goes over the wire.
pub(crate) fn names_itself(path: &str, body: &[u8]) -> bool {
    !method(path).starts_with("Create") || request_id(body).unwrap_or(false)
}

fn method(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(_, method)| method)
}

/// Whether the message has a request id that is not empty; `None` for what is no message.
fn request_id(body: &[u8]) -> Option<bool> {
    let (prefix, mut message) = body.split_at_checked(PREFIX)?;
    if prefix.first() != Some(&0) {
        return None;
    }
    while !message.is_empty() {
        let (tag, kind) = decode_key(&mut message).ok()?;
        if tag == REQUEST_ID && kind == WireType::LengthDelimited {
            return Some(decode_varint(&mut message).ok()? > 0);
        }
        skip_field(kind, tag, &mut message, DecodeContext::default()).ok()?;
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_is_in_exactly_one_class() {
        let mut counted = 0;
        for (path, _) in gristmill_proto::PERMISSIONS {
            let once = ONCE.contains(path);
            assert_ne!(may_repeat(path), once, "{path} is new: decide whether it may be sent twice");
            counted += usize::from(once || SAME_TWICE.contains(path));
        }
        assert_eq!(counted, ONCE.len() + SAME_TWICE.len(), "a listed rpc is gone");
        assert!(!may_repeat("/other.Service/GetThing"), "what is not ours is not repeated");
    }

    fn wire(message: &impl prost::Message) -> Vec<u8> {
        let mut body = vec![0, 0, 0, 0, 0];
        message.encode(&mut body).unwrap();
        body
    }

    #[test]
    fn a_creation_is_repeated_only_with_its_request_id() {
        use gristmill_proto::{evaluation as e, ingestion as i, monitoring as m, pipeline as l, preparation as p};
        use gristmill_proto::{registry as r, serving as s, training as t};
        let (project, request_id) = ("mill".to_owned(), "one".to_owned());
        macro_rules! both {
            ($path:literal, $message:ty) => {
                assert!(SAME_TWICE.iter().any(|path| path.ends_with($path)));
                let with = <$message>::default();
                let with = {
                    let mut it = with;
                    it.project = project.clone();
                    it.request_id = request_id.clone();
                    it
                };
                assert!(names_itself($path, &wire(&with)), $path);
                let without = {
                    let mut it = with;
                    it.request_id = String::new();
                    it
                };
                assert!(!names_itself($path, &wire(&without)), $path);
            };
        }
        both!("/CreateEvaluationJob", e::CreateEvaluationJobRequest);
        both!("/CreateIngestionJob", i::CreateIngestionJobRequest);
        both!("/CreateMonitoringJob", m::CreateMonitoringJobRequest);
        both!("/CreateRunJob", l::CreateRunJobRequest);
        both!("/CreatePreparationJob", p::CreatePreparationJobRequest);
        both!("/CreateModelVersion", r::CreateModelVersionRequest);
        both!("/CreatePredictionJob", s::CreatePredictionJobRequest);
        both!("/CreateStudyJob", t::CreateStudyJobRequest);
        assert_eq!(SAME_TWICE.iter().filter(|path| path.contains("/Create")).count(), 8);
        assert!(!names_itself("/CreateRunJob", b"not a message"));
        assert!(names_itself("/GetRunJob", b""));
    }
}
