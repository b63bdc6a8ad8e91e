//! The gateway against upstreams on 127.0.0.1:0.

mod budget;
mod credentials;
mod egress;
mod git;
mod hosts;
mod metering;
mod outbound;
mod prices;
mod proxy;
mod retries;
mod streaming;
mod world;
