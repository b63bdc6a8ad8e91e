//! Attacks of somebody who has the agent's shell. `scripts/hostile` runs these and prints the attempts.

mod attacks;
mod callers;
mod inside;
mod lab;
mod network;
mod report;
mod secrets;
mod workspace;
