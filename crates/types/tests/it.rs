//! Integration tests of the nouns.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod it {
    mod columns;
    mod nouns;
}
