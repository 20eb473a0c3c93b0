//! Names to addresses.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;

use futures::future::BoxFuture;

/// Where the addresses of a name come from.
pub trait Resolve: Debug + Send + Sync {
    /// The addresses of `host` now. It is asked again from time to time and when connections fail.
    ///
    /// # Errors
    /// The name is not known, or nobody could be asked.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// What the machine resolves names with: its hosts file and DNS.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}
