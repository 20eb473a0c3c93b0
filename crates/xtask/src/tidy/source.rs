//! The Rust files of the workspace that people wrote.

use std::path::Path;

use anyhow::Context;

/// One file.
#[derive(Debug)]
pub struct Source {
    /// From the root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
    /// The text with comments and the insides of strings blanked, of the same length line by line:
    /// what is found here is code.
    pub code: String,
    /// The first line (from 1) of the unit tests at the file's end, or a number past the end.
    pub tests_from: usize,
}

impl Source {
    /// Every Rust file below `crates/` and `tests/`, generated ones left out.
    pub fn all(root: &Path) -> anyhow::Result<Vec<Self>> {
        let mut found = Vec::new();
        for top in ["crates", "tests"] {
            collect(root, &root.join(top), &mut found)?;
        }
        found.sort_by(|a: &Self, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// A file from its text.
    pub fn new(path: String, text: String) -> Self {
        let code = blank(&text);
        let tests = code.lines().position(|line| line.trim_start().starts_with("#[cfg(test)]"));
        Self { path, tests_from: tests.map_or(usize::MAX, |line| line + 1), text, code }
    }

    /// The crate's folder, such as `store`; `tests` for the end-to-end package.
    pub fn crate_name(&self) -> &str {
        let mut parts = self.path.split('/');
        match parts.next() {
            Some("crates") => parts.next().unwrap_or_default(),
            other => other.unwrap_or_default(),
        }
    }

    /// Whether the whole file is test code.
    pub fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.starts_with("tests/") || self.path.ends_with("/tests.rs")
    }

    /// Lines of code outside tests, numbered from 1.
    pub fn product_code(&self) -> impl Iterator<Item = (usize, &str)> {
        let until = if self.is_test() { 0 } else { self.tests_from };
        self.code.lines().enumerate().map(|(at, line)| (at + 1, line)).take_while(move |(at, _)| *at < until)
    }
}

fn collect(root: &Path, folder: &Path, into: &mut Vec<Source>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "generated" && name != "target" && !name.starts_with('.') {
                collect(root, &path, into)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let path = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            into.push(Source::new(path, text));
        }
    }
    Ok(())
}

/// Where the scanner stands.
enum State {
    Code,
    Line,
    /// With its depth: Rust's block comments nest.
    Block(usize),
    Text,
    /// With the number of `#` that end it.
    Raw(usize),
}

/// Replaces comments and the insides of strings by spaces; line breaks stay.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (mut out, mut state, mut at) = (String::with_capacity(text.len()), State::Code, 0);
    let next = |at: usize| chars.get(at).copied().unwrap_or('\0');
    while at < chars.len() {
        let (here, ahead) = (next(at), next(at + 1));
        let mut width = 1;
        let mut keep = false;
        match state {
            State::Code => match (here, ahead) {
                ('/', '/') => state = State::Line,
                ('/', '*') => (state, width) = (State::Block(1), 2),
                ('"', _) => (state, keep) = (State::Text, true),
                ('r', '"' | '#') if !is_word(next(at.wrapping_sub(1))) => {
                    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
                    if next(at + 1 + hashes) == '"' {
                        (state, width) = (State::Raw(hashes), hashes + 2);
                    }
                    keep = true;
                }
                ('\'', _) => {
                    width = character(&chars, at);
                    keep = width == 1;
                }
                _ => keep = true,
            },
            State::Line if here == '\n' => state = State::Code,
            State::Block(depth) => match (here, ahead) {
                ('/', '*') => (state, width) = (State::Block(depth + 1), 2),
                ('*', '/') if depth == 1 => (state, width) = (State::Code, 2),
                ('*', '/') => (state, width) = (State::Block(depth - 1), 2),
                _ => {}
            },
            State::Text => match here {
                '\\' => width = 2,
                '"' => (state, keep) = (State::Code, true),
                _ => {}
            },
            State::Raw(hashes)
                if here == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes =>
            {
                (state, width) = (State::Code, hashes + 1);
            }
            State::Line | State::Raw(_) => {}
        }
        for c in chars.iter().skip(at).take(width) {
            out.push(if keep || *c == '\n' { *c } else { ' ' });
        }
        at += width;
    }
    out
}

/// The width of a character literal that begins at `at`; 1 for a lifetime.
fn character(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => chars.iter().skip(at + 3).position(|c| *c == '\'').map_or(1, |end| end + 4),
        (Some(_), Some('\'')) => 3,
        _ => 1,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blank_and_code_stays_where_it_was() {
        let text =
            "let a = \"x // y\"; // z\n/* a /* b */ c */ let b = r#\"q\"w\"#;\nlet c = '\"'; let d: &'a str; '\\'' t\n";
        let code = blank(text);
        assert_eq!(code.lines().count(), text.lines().count());
        assert!(code.starts_with("let a = \"      \";     "), "{code}");
        assert!(code.contains(" let b = "), "{code}");
        assert!(!code.contains('q') && !code.contains('z') && !code.contains(" c */"), "{code}");
        assert!(code.contains("let d: &'a str;") && code.trim_end().ends_with('t'), "{code}");
    }
}
