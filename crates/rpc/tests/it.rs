//! The contract suite: the same expectations over the local and the remote transport.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests, helpers among them")]

mod it {
    mod auth;
    mod bench;
    mod calls;
    mod certs;
    mod drain;
    mod errors;
    mod http;
    mod issuer;
    mod oidc;
    mod probe;
    mod replicas;
    mod revoked;
    mod tls;
}
