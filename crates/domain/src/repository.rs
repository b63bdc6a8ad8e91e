//! Repositories, branches and pull requests of repository tasks.

mod checkout;
mod name;
mod pull;

pub use checkout::{Checkout, is_branch_name};
pub use name::{InvalidRepositoryName, RepositoryName};
pub use pull::Pull;
