//! Repository tasks: a prompt goes in, a pull request comes out. The real CLI and the real git in a container, a forge in
//! GitHub's shape.

mod ends;
mod forge;
mod from_prompt;
mod image;
mod mirror;
