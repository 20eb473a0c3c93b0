//! Integration tests of the nouns.

mod it {
    mod columns;
    mod nouns;
}
