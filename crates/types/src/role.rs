//! Roles and what each may do, per project.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a principal is in a project; one principal may hold several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs studies and reads their results.
    DataScientist,
    /// Runs pipelines, gates and deployments.
    MlEngineer,
    /// Calls and operates prediction services.
    SoftwareEngineer,
    /// Owns sources, datasets and quality rules.
    DataEngineer,
    /// May do everything, members included.
    Admin,
}

/// What an rpc needs; every rpc names exactly one in its proto (I9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Read anything of the project: jobs, artifacts, versions, reports.
    Read,
    /// Ingest datasets, change sources and quality rules.
    WriteData,
    /// Fit and apply preparation recipes.
    WritePreparation,
    /// Submit and cancel training.
    WriteTraining,
    /// Run evaluations.
    WriteEvaluation,
    /// Register versions.
    WriteModel,
    /// Move aliases.
    PromoteModel,
    /// Deploy, roll back, unload.
    Deploy,
    /// Ask for predictions.
    Predict,
    /// Run and change monitors.
    WriteMonitoring,
    /// Start, resume and cancel pipeline runs.
    RunPipeline,
    /// Lease and commit work, hear what stages hold: services only.
    Work,
    /// Members, tokens, audit, garbage collection.
    Administer,
    /// Open to everyone: health, reflection, readiness.
    Public,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] =
        [Self::DataScientist, Self::MlEngineer, Self::SoftwareEngineer, Self::DataEngineer, Self::Admin];

    /// The role's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DataScientist => "data-scientist",
            Self::MlEngineer => "ml-engineer",
            Self::SoftwareEngineer => "software-engineer",
            Self::DataEngineer => "data-engineer",
            Self::Admin => "admin",
        }
    }

    /// Whether this role grants `permission`: the role matrix, deny by default.
    pub const fn grants(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Admin => true,
            Self::DataScientist => matches!(
                permission,
                P::Public
                    | P::Read
                    | P::WritePreparation
                    | P::WriteTraining
                    | P::WriteEvaluation
                    | P::WriteModel
                    | P::RunPipeline
                    | P::Predict
            ),
            Self::MlEngineer => matches!(
                permission,
                P::Public
                    | P::Read
                    | P::WritePreparation
                    | P::WriteTraining
                    | P::WriteEvaluation
                    | P::WriteModel
                    | P::PromoteModel
                    | P::Deploy
                    | P::RunPipeline
                    | P::Predict
                    | P::WriteMonitoring
            ),
            Self::SoftwareEngineer => {
                matches!(permission, P::Public | P::Read | P::Deploy | P::Predict | P::WriteMonitoring)
            }
            Self::DataEngineer => matches!(permission, P::Public | P::Read | P::WriteData | P::WritePreparation),
        }
    }
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 14] = [
        Self::Read,
        Self::WriteData,
        Self::WritePreparation,
        Self::WriteTraining,
        Self::WriteEvaluation,
        Self::WriteModel,
        Self::PromoteModel,
        Self::Deploy,
        Self::Predict,
        Self::WriteMonitoring,
        Self::RunPipeline,
        Self::Work,
        Self::Administer,
        Self::Public,
    ];

    /// The permission's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::WriteData => "write_data",
            Self::WritePreparation => "write_preparation",
            Self::WriteTraining => "write_training",
            Self::WriteEvaluation => "write_evaluation",
            Self::WriteModel => "write_model",
            Self::PromoteModel => "promote_model",
            Self::Deploy => "deploy",
            Self::Predict => "predict",
            Self::WriteMonitoring => "write_monitoring",
            Self::RunPipeline => "run_pipeline",
            Self::Work => "work",
            Self::Administer => "administer",
            Self::Public => "public",
        }
    }

    /// The permission called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
            format!(
                "`{text}` is not a role: choose data-scientist, ml-engineer, software-engineer, data-engineer or admin"
            )
        })
    }
}
