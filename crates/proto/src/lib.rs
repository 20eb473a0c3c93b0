#![doc = include_str!("../README.md")]

mod convert;

pub use convert::{ConvertError, artifact_ref, job_id, project, request_id};
pub use generated::permissions::PERMISSIONS;

/// The serialized `FileDescriptorSet` of every contract, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");

/// The permission of the rpc at `path` (`/package.Service/Method`), if there is such an rpc.
pub fn permission(path: &str) -> Option<gristmill_types::Permission> {
    let at = PERMISSIONS.binary_search_by(|(known, _)| (*known).cmp(path)).ok()?;
    PERMISSIONS.get(at).map(|(_, permission)| *permission)
}

#[rustfmt::skip]
#[allow(clippy::all, missing_docs, missing_debug_implementations, reason = "generated code")]
mod generated {
    pub(super) mod permissions;
}

/// `gristmill.*`, by package.
#[rustfmt::skip]
#[allow(clippy::all, missing_docs, missing_debug_implementations, reason = "generated code")]
pub mod gristmill {
    /// Artifacts and the service that moves them.
    pub mod artifact { pub mod v1alpha1 { include!("generated/gristmill.artifact.v1alpha1.rs"); } }
    /// Jobs, events and leases.
    pub mod job { pub mod v1alpha1 { include!("generated/gristmill.job.v1alpha1.rs"); } }
    /// Tables as contracts speak of them.
    pub mod table { pub mod v1alpha1 { include!("generated/gristmill.table.v1alpha1.rs"); } }
    /// Data extraction.
    pub mod ingestion { pub mod v1alpha1 { include!("generated/gristmill.ingestion.v1alpha1.rs"); } }
    /// Data preparation.
    pub mod preparation { pub mod v1alpha1 { include!("generated/gristmill.preparation.v1alpha1.rs"); } }
    /// Model training.
    pub mod training { pub mod v1alpha1 { include!("generated/gristmill.training.v1alpha1.rs"); } }
    /// Model evaluation.
    pub mod evaluation { pub mod v1alpha1 { include!("generated/gristmill.evaluation.v1alpha1.rs"); } }
    /// Versions, aliases, lineage.
    pub mod registry { pub mod v1alpha1 { include!("generated/gristmill.registry.v1alpha1.rs"); } }
    /// Deployment.
    pub mod serving { pub mod v1alpha1 { include!("generated/gristmill.serving.v1alpha1.rs"); } }
    /// Monitoring.
    pub mod monitoring { pub mod v1alpha1 { include!("generated/gristmill.monitoring.v1alpha1.rs"); } }
    /// Pipelines.
    pub mod pipeline { pub mod v1alpha1 { include!("generated/gristmill.pipeline.v1alpha1.rs"); } }
}

/// The Open Inference Protocol, version 2.
#[rustfmt::skip]
#[allow(clippy::all, missing_docs, missing_debug_implementations, reason = "generated code")]
pub mod inference {
    include!("generated/inference.rs");
}

/// KEDA's external scaler.
#[rustfmt::skip]
#[allow(clippy::all, missing_docs, missing_debug_implementations, reason = "generated code")]
pub mod keda {
    include!("generated/externalscaler.rs");
}

pub use gristmill::{
    artifact::v1alpha1 as artifact, evaluation::v1alpha1 as evaluation, ingestion::v1alpha1 as ingestion,
    job::v1alpha1 as job, monitoring::v1alpha1 as monitoring, pipeline::v1alpha1 as pipeline,
    preparation::v1alpha1 as preparation, registry::v1alpha1 as registry, serving::v1alpha1 as serving,
    table::v1alpha1 as table, training::v1alpha1 as training,
};

#[cfg(test)]
mod tests {
    use super::PERMISSIONS;
    use gristmill_types::Permission;

    #[test]
    fn permissions_are_sorted_and_found() {
        assert!(PERMISSIONS.is_sorted_by_key(|(path, _)| *path));
        let train = "/gristmill.training.v1alpha1.TrainingService/CreateStudyJob";
        assert_eq!(super::permission(train), Some(Permission::WriteTraining));
        assert_eq!(super::permission("/gristmill.training.v1alpha1.TrainingService/Nothing"), None);
    }
}
