//! What the stage is told.

use gristmill_types::{Name, Project};
use serde::{Deserialize, Serialize};

use crate::log::LogConfig;

/// Configuration of serving, as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServingConfig {
    /// Alias under which every model is served by itself; empty for none.
    pub alias: String,
    /// Projects whose models are served.
    pub projects: Vec<String>,
    /// The prediction log.
    pub log: LogConfig,
}

impl Default for ServingConfig {
    fn default() -> Self {
        let projects = vec![Project::default().as_str().to_owned()];
        Self { alias: "champion".into(), projects, log: LogConfig::default() }
    }
}

/// Checked configuration.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub alias: Option<String>,
    pub projects: Vec<Project>,
    pub log: LogConfig,
}

impl ServingConfig {
    pub(crate) fn check(&self) -> Result<Settings, String> {
        let alias = match self.alias.as_str() {
            "" => None,
            alias => Some(Name::new(alias).map_err(|error| format!("serving.alias: {error}"))?.as_str().to_owned()),
        };
        let projects = self.projects.iter().map(|text| Project::new(text.as_str()));
        let mut projects =
            projects.collect::<Result<Vec<_>, _>>().map_err(|error| format!("serving.projects: {error}"))?;
        projects.sort();
        projects.dedup();
        self.log.check().map_err(|error| format!("serving.{error}"))?;
        Ok(Settings { alias, projects, log: self.log.clone() })
    }
}
