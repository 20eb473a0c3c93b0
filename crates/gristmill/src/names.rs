//! Names on the command line: models and artifacts.

use gristmill_proto::artifact::ArtifactRef;
use gristmill_proto::registry::get_model_version_request::Which;
use gristmill_proto::registry::{GetModelVersionRequest, ModelVersion};

use crate::failure::Failure;
use crate::session::Session;

/// A model as it is named: `NAME@ALIAS`, `NAME:VERSION`, or `NAME` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelName {
    /// The model's name.
    pub name: String,
    /// Which of its versions, if it says.
    pub which: Option<Which>,
}

impl ModelName {
    /// Reads a name.
    ///
    /// # Errors
    /// Says how names are written.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || Failure::usage(format!("`{text}` names no model: write NAME@ALIAS or NAME:VERSION"));
        let (name, which) = if let Some((name, alias)) = text.split_once('@') {
            (name, (!alias.is_empty()).then(|| Which::Alias(alias.to_owned())).ok_or_else(wrong).map(Some)?)
        } else if let Some((name, version)) = text.split_once(':') {
            (name, Some(Which::Version(version.parse().map_err(|_| wrong())?)))
        } else {
            (text, None)
        };
        if name.is_empty() { Err(wrong()) } else { Ok(Self { name: name.to_owned(), which }) }
    }

    /// Asks the registry for the version; a bare name is its champion.
    ///
    /// # Errors
    /// No such model, version or alias.
    pub async fn resolve(self, session: &Session) -> Result<ModelVersion, Failure> {
        let which = self.which.unwrap_or_else(|| Which::Alias("champion".into()));
        let request = GetModelVersionRequest { project: session.project.clone(), name: self.name, which: Some(which) };
        let answer = session.registry().get_model_version(request).await?.into_inner();
        answer.version.ok_or_else(|| Failure::failed("the registry named no version"))
    }
}

/// Reads `KIND:DIGEST`.
///
/// # Errors
/// Says how artifacts are written.
pub fn artifact(text: &str) -> Result<ArtifactRef, Failure> {
    let (kind, digest) =
        text.split_once(':').ok_or_else(|| Failure::usage(format!("`{text}` names no artifact: write KIND:DIGEST")))?;
    Ok(ArtifactRef { kind: kind.to_owned(), digest: digest.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_named_by_alias_version_or_alone() {
        let which = |text| ModelName::parse(text).map(|name| (name.name, name.which));
        assert_eq!(which("late@champion"), Ok(("late".into(), Some(Which::Alias("champion".into())))));
        assert_eq!(which("late:3"), Ok(("late".into(), Some(Which::Version(3)))));
        assert_eq!(which("late"), Ok(("late".into(), None)));
        for wrong in ["", "@champion", "late@", "late:x", ":3"] {
            assert!(which(wrong).is_err(), "{wrong}");
        }
        assert!(artifact("model").is_err() && artifact("model:ab").is_ok());
    }
}
