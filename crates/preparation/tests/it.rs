//! Integration tests of the preparation stage.

mod it {
    mod job;
    mod split;
}
