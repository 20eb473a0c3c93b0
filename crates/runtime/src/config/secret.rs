//! Reading a secret at the place that uses it.

use gristmill_types::{Secret, SecretRef};

use super::ConfigError;

/// Largest secret file, bytes: a reference to a wrong file should not fill memory.
const SECRET_BYTES: u64 = 64 << 10;

/// Reads what `reference` names; one trailing line break of a file is not part of the secret.
///
/// # Errors
/// [`ConfigError::Secret`] when the variable is not set, the file cannot be read, or it is empty.
pub fn resolve(reference: &SecretRef) -> Result<Secret, ConfigError> {
    let failed = |message: String| ConfigError::Secret { reference: String::from(reference.clone()), message };
    let text = match reference {
        SecretRef::Env(name) => {
            std::env::var(name).map_err(|_| failed("the variable is not set or is not text".into()))?
        }
        SecretRef::File(path) => {
            let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
            if size > SECRET_BYTES {
                return Err(failed(format!("the file has {size} bytes, a secret has at most {SECRET_BYTES}")));
            }
            let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
            let end = text.strip_suffix('\n').unwrap_or(&text);
            end.strip_suffix('\r').unwrap_or(end).to_owned()
        }
    };
    if text.is_empty() { Err(failed("it is empty".into())) } else { Ok(Secret::new(text)) }
}
