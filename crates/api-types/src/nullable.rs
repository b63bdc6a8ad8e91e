//! A member that may be missing, and may be null.

use serde::{Deserialize, Serialize};

/// Used as `Option<Nullable<T>>`: `None` is a missing member, `Some(Nullable(None))` is null. Reading does not distinguish the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nullable<T>(pub Option<T>);

impl<T> Nullable<T> {
    /// The value of a member, if it has one.
    pub fn value(member: &Option<Nullable<T>>) -> Option<&T> {
        member.as_ref().and_then(|Nullable(value)| value.as_ref())
    }
}
