//! What can be wrong with a configuration.

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be read or is not YAML.
    #[error("configuration file {path}: {message}")]
    File {
        /// The file as it was named.
        path: String,
        /// What was wrong.
        message: String,
    },
    /// A key that does not exist.
    #[error("unknown key `{key}` in {origin}{}", suggestion(.nearest, .known))]
    UnknownKey {
        /// Dotted key.
        key: String,
        /// Where it was set.
        origin: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
        /// Keys that exist at that place.
        known: Vec<String>,
    },
    /// A value of the wrong type or out of its range.
    #[error("configuration: {message}")]
    Type {
        /// What was wrong and what is expected.
        message: String,
    },
    /// A secret that cannot be read. The reference is named, never a value.
    #[error("secret {reference}: {message}")]
    Secret {
        /// The reference, `env:NAME` or `file:PATH`.
        reference: String,
        /// What was wrong.
        message: String,
    },
}

fn suggestion(nearest: &Option<String>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!(": did you mean `{nearest}`?"),
        None if known.is_empty() => ": nothing can be set below it".to_owned(),
        None => format!(": known keys are {}", known.join(", ")),
    }
}
