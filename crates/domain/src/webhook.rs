//! Webhooks as data: where a delivery goes, what signs it, and what became of it.

mod delivery;
mod secret;
mod target;

pub use delivery::{Attempt, Attempted, Delivery, DeliveryStatus, Due, InvalidWebhookId, Outcome, WebhookId};
pub use secret::{InvalidWebhookSecret, WebhookSecret, WebhookSecrets};
pub use target::{InvalidTarget, Target};
