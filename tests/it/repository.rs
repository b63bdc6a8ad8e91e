//! Repository tasks turn a prompt into a pull request. The real CLI and the real git run in a container, against a forge with
//! GitHub's API.

mod command_line;
mod ends;
mod faults;
mod forge;
mod from_prompt;
mod hostile;
mod image;
mod interruptions;
mod mirror;
mod names;
mod refused;
mod told;
