//! The gateway against upstreams on 127.0.0.1:0.

mod asked_model;
mod budget;
mod credentials;
mod egress;
mod foreign;
mod git;
mod hosts;
mod metering;
mod model_proxy;
mod models;
mod outbound;
mod overrun;
mod paid;
mod price_feed;
mod prices;
mod proxy;
mod retries;
mod silence;
mod streaming;
mod world;
