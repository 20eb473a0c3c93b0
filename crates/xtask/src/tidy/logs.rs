//! Log texts: lower-case, without a full stop, facts as fields.

use super::Finding;
use super::source::Source;

const MACROS: [&str; 5] = ["trace!(", "debug!(", "info!(", "warn!(", "error!("];

/// Checks every log call outside tests.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if source.is_test() {
        return findings;
    }
    let mut start = 0;
    while let Some((at, width)) = next_call(&source.code, start) {
        start = at + width;
        let line = source.code[..at].matches('\n').count() + 1;
        if line >= source.tests_from {
            break;
        }
        if let Some(text) = message(source, at + width) {
            let first = text.chars().next();
            // A name in capitals (`SIGTERM`, `OTLP`) may begin a text; a capitalised word may not.
            let capitalised =
                first.is_some_and(char::is_uppercase) && text.chars().nth(1).is_some_and(char::is_lowercase);
            if capitalised || text.ends_with('.') {
                findings.push(Finding::at(source, line, format!("log text `{text}`: lower-case, no full stop")));
            }
        }
    }
    findings
}

/// The next log call at or after `from`, with the width of its name and bracket.
fn next_call(code: &str, from: usize) -> Option<(usize, usize)> {
    let rest = code.get(from..)?;
    let found = MACROS.iter().filter_map(|name| {
        let mut at = 0;
        loop {
            at += rest.get(at..)?.find(name)?;
            let before = rest[..at].chars().next_back();
            // `tracing::info!` and a bare `info!`, not `my_info!`.
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                return Some((from + at, name.len()));
            }
            at += name.len();
        }
    });
    found.min()
}

/// The message of a call whose arguments begin at `at`: the string that is an argument of its own, not a
/// field's value.
fn message(source: &Source, at: usize) -> Option<String> {
    let (mut depth, mut begins) = (0usize, true);
    let mut chars = source.code.get(at..)?.char_indices();
    while let Some((offset, c)) = chars.next() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return None,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                begins = true;
                continue;
            }
            '"' => {
                let end = chars.find(|(_, c)| *c == '"').map(|(end, _)| end)?;
                if depth == 0 && begins {
                    return source.text.get(at + offset + 1..at + end).map(str::to_owned);
                }
            }
            c if c.is_whitespace() => continue,
            _ => {}
        }
        begins = false;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> usize {
        check(&Source::new("crates/a/src/b.rs".into(), format!("//! B.\n{text}\n"))).len()
    }

    #[test]
    fn texts_are_told_from_fields() {
        assert_eq!(findings("tracing::info!(port, name = \"Upper\", \"listening\");"), 0);
        assert_eq!(findings("tracing::info!(port, \"Listening\");"), 1);
        assert_eq!(findings("warn!(\n  error = %f(\"A, B\", 1),\n  \"ends with a stop.\"\n);"), 1);
        assert_eq!(findings("info!(\"SIGTERM again\");"), 0);
        assert_eq!(findings("my_info!(\"Upper\");"), 0);
        assert_eq!(findings("// info!(\"In a comment\")"), 0);
        assert_eq!(findings("#[cfg(test)]\nmod tests { fn a() { info!(\"Upper\"); } }"), 0);
    }
}
