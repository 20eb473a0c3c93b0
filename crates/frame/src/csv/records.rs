//! Delimited text cut into records, with the line on which each begins.

use std::io::Read;

use crate::Error;
use crate::source::{CsvOptions, Encoding};

const BUFFER: usize = 1 << 18;

/// One record; fields lie one after another in `text`.
#[derive(Debug, Default)]
pub(crate) struct Record {
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Line of the file on which the record begins, from 1.
    pub line: u64,
}

impl Record {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether this is a line without any character.
    pub fn is_blank(&self) -> bool {
        self.text.is_empty() && self.ends.len() == 1
    }

    fn bytes(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(index).and_then(|end| self.text.get(start..*end)).unwrap_or_default()
    }

    /// Field `index`; records are checked to be UTF-8 before they are handed out.
    pub fn field(&self, index: usize) -> &str {
        std::str::from_utf8(self.bytes(index)).unwrap_or_default()
    }

    pub fn fields(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.field(index))
    }

    fn clear(&mut self, line: u64) {
        self.text.clear();
        self.ends.clear();
        self.line = line;
    }

    fn end_field(&mut self) {
        self.ends.push(self.text.len());
    }

    fn field_bytes(&self) -> usize {
        self.text.len() - self.ends.last().copied().unwrap_or(0)
    }
}

/// Where the reader stands within a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Plain,
    Quoted,
    /// Just after a quote within quotes: an escaped one, or the end of the field.
    AfterQuote,
}

/// Reads records one after another.
pub(crate) struct Records<R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
    line: u64,
    read: u64,
    source: String,
    delimiter: u8,
    quote: u8,
    latin1: bool,
    cell_bytes: usize,
    source_bytes: u64,
}

impl<R: Read> Records<R> {
    pub fn new(input: R, source: &str, options: &CsvOptions, cell_bytes: usize, source_bytes: u64) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER],
            at: 0,
            filled: 0,
            line: 1,
            read: 0,
            source: source.to_owned(),
            delimiter: u8::try_from(options.delimiter).unwrap_or(b','),
            quote: u8::try_from(options.quote).unwrap_or(b'"'),
            latin1: options.encoding == Encoding::Latin1,
            cell_bytes,
            source_bytes,
        }
    }

    /// Decompressed bytes taken so far.
    pub const fn bytes_read(&self) -> u64 {
        self.read
    }

    fn problem(&self, line: u64, problem: impl Into<String>) -> Error {
        Error::Line { source_name: self.source.clone(), line, problem: problem.into() }
    }

    /// Refills the empty buffer; false at the end of the file.
    fn fill(&mut self) -> Result<bool, Error> {
        let first = self.read == 0;
        self.at = 0;
        self.filled = 0;
        while self.filled < self.buffer.len() {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Ok(0) => break,
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Error::Damaged {
                        source_name: self.source.clone(),
                        detail: crate::error::first_line(&error.to_string()),
                    });
                }
            }
        }
        self.read += self.filled as u64;
        if self.read > self.source_bytes {
            return Err(Error::Limit {
                what: format!("source `{}` is too long", self.source),
                limit: format!("{} bytes after decompression", self.source_bytes),
                advice: "split the file or store it as Parquet".into(),
            });
        }
        if first {
            match self.buffer.get(..self.filled) {
                Some([0xEF, 0xBB, 0xBF, ..]) => self.at = 3,
                Some([0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) => {
                    return Err(self.problem(1, "the text is UTF-16: save the file as UTF-8"));
                }
                _ => {}
            }
        }
        Ok(self.filled > self.at)
    }

    /// Reads the next record into `record`; false at the end of the file.
    pub fn next(&mut self, record: &mut Record) -> Result<bool, Error> {
        record.clear(self.line);
        let mut state = State::Start;
        let mut opened = self.line;
        loop {
            if self.at == self.filled && !self.fill()? {
                return self.finish(record, state, opened);
            }
            let chunk = self.buffer.get(self.at..self.filled).unwrap_or_default();
            let (delimiter, quote) = (self.delimiter, self.quote);
            // Everything up to the next byte with a meaning is copied at once.
            let run = match state {
                State::Start | State::AfterQuote => 0,
                State::Plain => chunk.iter().position(|b| *b == delimiter || *b == b'\n').unwrap_or(chunk.len()),
                State::Quoted => chunk.iter().position(|b| *b == quote || *b == b'\n').unwrap_or(chunk.len()),
            };
            push(&mut record.text, &chunk[..run], self.latin1);
            self.at += run;
            if record.field_bytes() > self.cell_bytes {
                return Err(self.problem(
                    opened,
                    format!(
                        "a field is longer than {} bytes: a closing quote may be missing; correct the line",
                        self.cell_bytes
                    ),
                ));
            }
            let Some(byte) = self.buffer.get(self.at).copied().filter(|_| self.at < self.filled) else { continue };
            self.at += 1;
            match (state, byte) {
                (State::Quoted, b'\n') => {
                    self.line += 1;
                    record.text.push(byte);
                }
                (State::Quoted, _) => state = State::AfterQuote,
                (State::AfterQuote, b) if b == quote => {
                    record.text.push(b);
                    state = State::Quoted;
                }
                (State::AfterQuote, b'\r') => {}
                (_, b) if b == delimiter => {
                    record.end_field();
                    state = State::Start;
                }
                (_, b'\n') => {
                    self.line += 1;
                    if state != State::AfterQuote && record.field_bytes() > 0 && record.text.last() == Some(&b'\r') {
                        record.text.pop();
                    }
                    record.end_field();
                    self.check_text(record)?;
                    return Ok(true);
                }
                (State::AfterQuote, _) => {
                    return Err(self.problem(
                        self.line,
                        format!("there is text after a closing quote in field {}: double the quotes that belong to the text (\"\"), or quote the whole field", record.len() + 1),
                    ));
                }
                (State::Start, b) if b == quote => {
                    state = State::Quoted;
                    opened = self.line;
                }
                (State::Start | State::Plain, b) => {
                    push(&mut record.text, &[b], self.latin1);
                    state = State::Plain;
                }
            }
        }
    }

    fn finish(&self, record: &mut Record, state: State, opened: u64) -> Result<bool, Error> {
        if state == State::Quoted {
            return Err(self.problem(opened, "a quote opens here and never closes: add the closing quote"));
        }
        if state == State::Start && record.ends.is_empty() {
            return Ok(false);
        }
        if state == State::Plain && record.text.last() == Some(&b'\r') {
            record.text.pop();
        }
        record.end_field();
        self.check_text(record)?;
        Ok(true)
    }

    fn check_text(&self, record: &Record) -> Result<(), Error> {
        if record.text.is_ascii() && !record.text.contains(&0) {
            return Ok(());
        }
        for index in 0..record.len() {
            if record.bytes(index).contains(&0) {
                return Err(self.problem(
                    record.line,
                    format!("field {} holds a zero byte: this is not a text file; declare its format", index + 1),
                ));
            }
            if std::str::from_utf8(record.bytes(index)).is_err() {
                return Err(self.problem(
                    record.line,
                    format!("field {} is not UTF-8: save the file as UTF-8, or declare `encoding: latin1` if that is what it is", index + 1),
                ));
            }
        }
        Ok(())
    }
}

fn push(text: &mut Vec<u8>, bytes: &[u8], latin1: bool) {
    if !latin1 || bytes.is_ascii() {
        text.extend_from_slice(bytes);
    } else {
        let mut utf8 = [0; 4];
        for byte in bytes {
            text.extend_from_slice(char::from(*byte).encode_utf8(&mut utf8).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Result<Vec<(u64, Vec<String>)>, Error> {
        let mut records = Records::new(text, "t", &CsvOptions::default(), 1000, 1 << 20);
        let mut record = Record::default();
        let mut rows = Vec::new();
        while records.next(&mut record)? {
            rows.push((record.line, record.fields().map(String::from).collect()));
        }
        Ok(rows)
    }

    #[test]
    fn quotes_line_ends_and_lines_are_kept_apart() {
        let rows = all(b"\xEF\xBB\xBFa,b\r\n\"x\n\"\"y\"\"\",2\r\n,\nlast,\"\"").unwrap();
        let expected: Vec<(u64, Vec<&str>)> =
            vec![(1, vec!["a", "b"]), (2, vec!["x\n\"y\"", "2"]), (4, vec!["", ""]), (5, vec!["last", ""])];
        let rows: Vec<(u64, Vec<&str>)> =
            rows.iter().map(|(l, r)| (*l, r.iter().map(String::as_str).collect())).collect();
        assert_eq!(rows, expected);
        assert!(all(b"").unwrap().is_empty());
    }

    #[test]
    fn broken_text_names_its_line() {
        let line = |text: &[u8]| match all(text).unwrap_err() {
            Error::Line { line, problem, .. } => (line, problem),
            other => panic!("{other}"),
        };
        assert_eq!(line(b"a\n\"b\nc\n").0, 2);
        assert!(line(b"a\nb\n\"c\"d\n").1.contains("after a closing quote"));
        let (at, problem) = line(b"a\nb\ncaf\xE9\n");
        assert_eq!(at, 3);
        assert!(problem.contains("latin1"));
        assert!(line(b"\xFF\xFEa\0").1.contains("UTF-16"));
    }
}
