//! Repository tasks: a prompt goes in, a pull request comes out. The real CLI and the real git in a container, a forge in
//! GitHub's shape.

mod command_line;
mod ends;
mod faults;
mod forge;
mod from_prompt;
mod hostile;
mod image;
mod interruptions;
mod mirror;
mod refused;
mod told;
