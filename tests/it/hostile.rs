//! Attacks by an attacker with the agent's shell. `scripts/hostile` runs them and prints the attempts.

mod attacks;
mod callers;
mod inside;
mod lab;
mod network;
mod report;
mod secrets;
mod workspace;
