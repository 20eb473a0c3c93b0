//! The last steps: a version in the registry, and its alias.

use std::collections::BTreeMap;

use gristmill_jobs::JobError;
use gristmill_proto::evaluation::EvaluationResult;
use gristmill_proto::job::JobState;
use gristmill_proto::pipeline::Step;
use gristmill_proto::preparation::PreparationResult;
use gristmill_proto::registry::{
    CreateModelVersionRequest, GetModelVersionRequest, ListModelVersionsRequest, ModelVersion, SetModelAliasRequest,
    get_model_version_request,
};
use gristmill_proto::training::StudyResult;
use tonic::Code;

use super::{Run, verdict};
use crate::convert;
use crate::file::{Pipeline, Register};
use crate::run::follow::refusal;

/// Versions looked through for one of the same model.
const RECENT: u32 = 100;

impl Run<'_> {
    /// The version that the champion's alias stands on.
    pub(crate) async fn champion(&self, pipeline: &Pipeline) -> Result<Option<ModelVersion>, JobError> {
        self.version_at(pipeline, &pipeline.evaluation.champion).await
    }

    async fn version_at(&self, pipeline: &Pipeline, alias: &str) -> Result<Option<ModelVersion>, JobError> {
        if alias.is_empty() {
            return Ok(None);
        }
        let request = GetModelVersionRequest {
            project: self.project.clone(),
            name: pipeline.registry.model.clone(),
            which: Some(get_model_version_request::Which::Alias(alias.to_owned())),
        };
        let registry = &self.clients.registry;
        let answer = self.call("registration", || async {
            match registry.clone().get_model_version(request.clone()).await {
                Ok(answer) => Ok(answer.into_inner().version),
                Err(status) if status.code() == Code::NotFound => Ok(None),
                Err(status) => Err(status),
            }
        });
        answer.await
    }

    /// Registers the model as a version, unless the file says not to. A version of the same model with
    /// the same verdict is that version.
    pub(crate) async fn register(
        &mut self,
        pipeline: &Pipeline,
        study: &StudyResult,
        prepared: &PreparationResult,
        evaluated: &EvaluationResult,
    ) -> Result<Option<ModelVersion>, JobError> {
        let (verdict, _) = verdict(evaluated);
        match pipeline.registry.register {
            Register::Never => return Ok(None),
            Register::Passed if verdict != "passed" => return Ok(None),
            Register::Always | Register::Passed => {}
        }
        self.attempt.progress("registration", -1.0, "");
        let open = self.open().await?;
        let (version, cached) = match self.known_or_new(pipeline, study, prepared, evaluated).await {
            Ok(found) => found,
            Err(error) => return Err(self.refused(&open, "registration", error).await?),
        };
        let outputs = version.model.iter().chain(&version.evaluation).cloned().collect();
        self.steps.end(&open, &done("registration", cached, outputs)).await?;
        Ok(Some(version))
    }

    /// The version, and whether it was there before.
    async fn known_or_new(
        &self,
        pipeline: &Pipeline,
        study: &StudyResult,
        prepared: &PreparationResult,
        evaluated: &EvaluationResult,
    ) -> Result<(ModelVersion, bool), JobError> {
        if let Some(version) = self.known_version(pipeline, study, verdict(evaluated).0).await? {
            return Ok((version, true));
        }
        let request = self.version_request(pipeline, study, prepared, evaluated);
        let registry = &self.clients.registry;
        let create = || async { registry.clone().create_model_version(request.clone()).await };
        let answer = self.call("registration", create).await?.into_inner();
        let version = answer.version.ok_or_else(|| JobError::internal("the registry answered without a version"))?;
        Ok((version, false))
    }

    async fn known_version(
        &self,
        pipeline: &Pipeline,
        study: &StudyResult,
        verdict: &str,
    ) -> Result<Option<ModelVersion>, JobError> {
        let request = ListModelVersionsRequest {
            project: self.project.clone(),
            name: pipeline.registry.model.clone(),
            page_size: RECENT,
            page_token: String::new(),
        };
        let registry = &self.clients.registry;
        let list = || async {
            match registry.clone().list_model_versions(request.clone()).await {
                Ok(answer) => Ok(answer.into_inner().versions),
                Err(status) if status.code() == Code::NotFound => Ok(Vec::new()),
                Err(status) => Err(status),
            }
        };
        let versions = self.call("registration", list).await?;
        Ok(versions.into_iter().find(|version| version.model == study.model && version.verdict == verdict))
    }

    fn version_request(
        &self,
        pipeline: &Pipeline,
        study: &StudyResult,
        prepared: &PreparationResult,
        evaluated: &EvaluationResult,
    ) -> CreateModelVersionRequest {
        let own = &pipeline.registry;
        let mut tags: BTreeMap<String, String> = own.tags.clone();
        let monitoring = &pipeline.monitoring;
        if monitoring.min_rows > 0 {
            tags.insert("monitoring_min_rows".into(), monitoring.min_rows.to_string());
        }
        if !monitoring.exclude.is_empty() {
            tags.insert("monitoring_exclude".into(), monitoring.exclude.join(","));
        }
        CreateModelVersionRequest {
            project: self.project.clone(),
            request_id: self.request_id("registration", 0),
            name: own.model.clone(),
            model: study.model.clone(),
            evaluation: evaluated.evaluation.clone(),
            verdict: verdict(evaluated).0.into(),
            metrics: evaluated.metrics.iter().map(|metric| (metric.name.clone(), metric.value)).collect(),
            description: own.description.clone(),
            tags,
            seen: convert::seen(prepared),
            run_id: self.id().to_string(),
        }
    }

    /// Moves the alias to the version when the verdict is `passed`, if it still stands where it stood
    /// when the comparison was made. Answers the aliases that stand on the version.
    pub(crate) async fn promote(
        &mut self,
        pipeline: &Pipeline,
        version: &ModelVersion,
        champion: Option<&ModelVersion>,
        evaluated: &EvaluationResult,
    ) -> Result<Vec<String>, JobError> {
        let alias = &pipeline.registry.promote;
        let mut aliases = version.aliases.clone();
        if alias.is_empty() || verdict(evaluated).0 != "passed" {
            return Ok(aliases);
        }
        self.attempt.progress("promotion", -1.0, "");
        let open = self.open().await?;
        let cached = aliases.contains(alias);
        if !cached {
            if let Err(error) = self.move_from(pipeline, version, champion).await {
                return Err(self.refused(&open, "promotion", error).await?);
            }
            aliases.push(alias.clone());
        }
        self.steps.end(&open, &done("promotion", cached, Vec::new())).await?;
        Ok(aliases)
    }

    /// Moves the alias from where it stood when the comparison was made.
    async fn move_from(
        &self,
        pipeline: &Pipeline,
        version: &ModelVersion,
        champion: Option<&ModelVersion>,
    ) -> Result<(), JobError> {
        let alias = &pipeline.registry.promote;
        let before = if *alias == pipeline.evaluation.champion {
            champion.map_or(0, |champion| champion.version)
        } else {
            self.version_at(pipeline, alias).await?.map_or(0, |version| version.version)
        };
        self.move_alias(pipeline, version, before).await
    }

    async fn move_alias(&self, pipeline: &Pipeline, version: &ModelVersion, before: u32) -> Result<(), JobError> {
        let request = SetModelAliasRequest {
            project: self.project.clone(),
            name: version.name.clone(),
            alias: pipeline.registry.promote.clone(),
            version: version.version,
            expected_version: Some(before),
            reason: format!("run {} passed its gate", self.id()),
            override_verdict: false,
        };
        let registry = &self.clients.registry;
        let moved = self.call("promotion", || async {
            match registry.clone().set_model_alias(request.clone()).await {
                Ok(_) => Ok(Ok(())),
                Err(status) if status.code() == Code::Aborted => Ok(Err(status)),
                Err(status) => Err(status),
            }
        });
        match moved.await? {
            Ok(()) => Ok(()),
            // An answer may have been lost: the alias may stand on this version already.
            Err(status) => match self.version_at(pipeline, &pipeline.registry.promote).await? {
                Some(now) if now.version == version.version => Ok(()),
                _ => Err(refusal("promotion", &status)),
            },
        }
    }
}

fn done(stage: &str, cached: bool, outputs: Vec<gristmill_proto::artifact::ArtifactRef>) -> Step {
    Step { stage: stage.into(), state: JobState::Succeeded.into(), cached, outputs, ..Step::default() }
}
