#![doc = include_str!("../README.md")]

pub mod auth;
mod call;
pub mod caller;
pub mod channel;
pub mod error;
mod fetch;
pub mod http;
mod metrics;
pub mod server;
mod services;
pub mod tls;

pub use auth::{Auth, AuthConfig, Principal};
pub use caller::Caller;
pub use channel::{Channel, RemoteConfig};
pub use error::Problem;
pub use server::{Server, ServerConfig, ServerError, Surface};
pub use services::Services;
pub use tls::{ClientTlsConfig, TlsConfig};
pub use tonic::{Request, Response, Status};

/// Most bytes of one control message (design: 4 MiB, tonic's own default, stated so that it cannot drift).
pub const CONTROL_BYTES: usize = gristmill_types::Limits::DEFAULT.control_bytes;

/// Most bytes of one message of the inference services; pass it to their `max_decoding_message_size`.
pub const INFERENCE_BYTES: usize = gristmill_types::Limits::DEFAULT.request_bytes;

/// Most bytes of one chunk of an artifact stream.
pub const CHUNK_BYTES: usize = 1 << 20;
