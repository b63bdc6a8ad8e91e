//! What an attacker does who has the agent's shell. `scripts/hostile` runs these and prints the attempts.

mod inside;
mod report;
mod secrets;
mod workspace;
