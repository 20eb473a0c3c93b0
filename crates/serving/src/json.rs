//! A pull reader of JSON that hands out borrowed scalars: numbers keep their digits, so that an integer
//! never goes through a float, and strings without escapes are not copied.

use std::borrow::Cow;

use gristmill_types::Limits;

/// Why a text is not JSON, or not as deep as is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is not valid JSON: {problem} at byte {at}")]
pub struct JsonError {
    at: usize,
    problem: &'static str,
}

/// A value without parts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    /// The number's text, which is of JSON's grammar.
    Number(&'a str),
    Text(Cow<'a, str>),
}

/// A position in a text.
#[derive(Debug, Clone)]
pub(crate) struct Json<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Json<'a> {
    /// Starts before the first value of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| JsonError { at: error.valid_up_to(), problem: "this is not UTF-8" })?;
        Ok(Self { text, at: 0 })
    }

    fn error(&self, problem: &'static str) -> JsonError {
        JsonError { at: self.at, problem }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The first byte of what comes next.
    pub(crate) fn peek(&mut self) -> Result<u8, JsonError> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
        self.byte().ok_or_else(|| self.error("the text ends here"))
    }

    fn expect(&mut self, byte: u8, problem: &'static str) -> Result<(), JsonError> {
        if self.peek()? == byte {
            self.at += 1;
            Ok(())
        } else {
            Err(self.error(problem))
        }
    }

    /// Checks that nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Err(_) => Ok(()),
            Ok(_) => Err(self.error("something follows the value")),
        }
    }

    /// Reads an object; `each` reads the value of every key.
    pub(crate) fn object<E: From<JsonError>>(
        &mut self,
        mut each: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'{', "an object is expected")?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':', "a colon is expected")?;
            each(self, key)?;
            if self.more(b'}')? {
                return Ok(());
            }
        }
    }

    /// Reads an array; `each` reads every element.
    pub(crate) fn array<E: From<JsonError>>(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'[', "an array is expected")?;
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            each(self)?;
            if self.more(b']')? {
                return Ok(());
            }
        }
    }

    /// Reads a comma, or the end: true.
    fn more(&mut self, close: u8) -> Result<bool, JsonError> {
        let next = self.peek()?;
        if next != b',' && next != close {
            return Err(self.error("a comma or the end of the object or array is expected"));
        }
        self.at += 1;
        Ok(next == close)
    }

    /// Reads a value without parts.
    pub(crate) fn scalar(&mut self) -> Result<Scalar<'a>, JsonError> {
        match self.peek()? {
            b'"' => self.string().map(Scalar::Text),
            b'n' => self.word("null").map(|()| Scalar::Null),
            b't' => self.word("true").map(|()| Scalar::Bool(true)),
            b'f' => self.word("false").map(|()| Scalar::Bool(false)),
            b'-' | b'0'..=b'9' => self.number().map(Scalar::Number),
            _ => Err(self.error("a number, a text, true, false or null is expected")),
        }
    }

    /// Reads any value and gives its text.
    pub(crate) fn raw(&mut self) -> Result<&'a str, JsonError> {
        self.peek()?;
        let start = self.at;
        self.skip(0)?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn skip(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > Limits::DEFAULT.depth {
            return Err(self.error("this is nested too deeply"));
        }
        match self.peek()? {
            b'{' => self.object(|json, _| json.skip(depth + 1)),
            b'[' => self.array(|json| json.skip(depth + 1)),
            _ => self.scalar().map(drop),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), JsonError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.error("a value is expected"))
        }
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.byte().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.error("a digit is expected")) }
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    /// Reads a text.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.expect(b'"', "a text is expected")?;
        let start = self.at;
        loop {
            match self.byte() {
                Some(b'"') => {
                    let text = self.text.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(Cow::Borrowed(text));
                }
                Some(b'\\') => return self.escaped(start).map(Cow::Owned),
                Some(0..0x20) => return Err(self.error("a control character must be escaped")),
                Some(_) => self.at += 1,
                None => return Err(self.error("the text is not closed")),
            }
        }
    }

    /// Reads on in a text that has an escape at this position.
    fn escaped(&mut self, start: usize) -> Result<String, JsonError> {
        let mut text = self.text.get(start..self.at).unwrap_or_default().to_owned();
        loop {
            let plain = self.at;
            while self.byte().is_some_and(|b| b >= 0x20 && b != b'"' && b != b'\\') {
                self.at += 1;
            }
            text.push_str(self.text.get(plain..self.at).unwrap_or_default());
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                Some(_) => return Err(self.error("a control character must be escaped")),
                None => return Err(self.error("the text is not closed")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let unknown = self.error("this escape is not known");
        let escape = self.byte().ok_or_else(|| unknown.clone())?;
        self.at += 1;
        Ok(match escape {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex()?;
                let code = if (0xd800..0xdc00).contains(&high) {
                    // A pair of surrogates.
                    self.word("\\u").map_err(|_| unknown.clone())?;
                    let low = self.hex()?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(unknown);
                    }
                    0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                } else {
                    high
                };
                char::from_u32(code).ok_or(unknown)?
            }
            _ => return Err(unknown),
        })
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.byte().and_then(|b| char::from(b).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.error("four hexadecimal digits are expected"))?;
            self.at += 1;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the whole text is one JSON value.
    fn accepts(text: &str) -> bool {
        let mut json = Json::new(text.as_bytes()).unwrap();
        json.raw().and_then(|_| json.end()).is_ok()
    }

    #[test]
    fn what_is_json_is_what_serde_json_takes() {
        let words =
            ["{", "}", "[", "]", ",", ":", "\"a\"", "1", "-0.5e+3", "01", "true", "nul", "\"\\u00e9\"", " ", "\"\\x\""];
        // Every text of up to four words.
        for a in words {
            for b in words {
                for c in words {
                    for d in words {
                        let text = [a, b, c, d].concat();
                        let expected = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
                        assert_eq!(accepts(&text), expected, "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn texts_and_numbers_come_out_whole() {
        let mut json =
            Json::new("[\"plain é\", \"a\\n\\\"\\ud83d\\ude00\", 9007199254740993, null]".as_bytes()).unwrap();
        let mut found = Vec::new();
        json.array::<JsonError>(|json| {
            found.push(json.scalar()?);
            Ok(())
        })
        .unwrap();
        let expected = [
            Scalar::Text("plain é".into()),
            Scalar::Text("a\n\"😀".into()),
            Scalar::Number("9007199254740993"),
            Scalar::Null,
        ];
        assert_eq!(found, expected);
        assert!(matches!(found[0], Scalar::Text(Cow::Borrowed(_))));
    }

    #[test]
    fn depth_and_bad_bytes_are_refused() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(accepts(&deep(60)) && !accepts(&deep(100)));
        assert!(Json::new(b"\"\xff\"").is_err());
        for text in
            ["\"\u{1}\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"open", "1.", "1e", "-", "[1,]", "{\"a\":1,}", "1 2"]
        {
            assert!(!accepts(text), "{text}");
        }
    }
}
