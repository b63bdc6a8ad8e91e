//! Resolves the names of outside hosts. Sandboxes have no resolver of their own.

use std::io;
use std::net::IpAddr;

use futures::future::BoxFuture;

/// Resolves names. It is called only for names that a rule allows, so that a name cannot carry data out.
pub trait Resolve: Send + Sync + 'static {
    /// Returns all addresses of `name`, in the order in which to try them.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the coordinator's host.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    }
}
