//! Webhooks as data: the target of a delivery, the secret that signs it, and its attempts.

mod delivery;
mod secret;
mod target;

pub use delivery::{Attempt, Attempted, Delivery, DeliveryStatus, Due, InvalidWebhookId, Outcome, WebhookId};
pub use secret::{InvalidWebhookSecret, WebhookSecret, WebhookSecrets};
pub use target::{InvalidTarget, Target};
