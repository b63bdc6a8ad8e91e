//! Repository tasks.

mod image;
mod mirror;
