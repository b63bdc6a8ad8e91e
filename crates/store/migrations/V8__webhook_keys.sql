-- The API key that submitted a delivery's task, or '' without one: deliveries of one key do not delay those of others.
ALTER TABLE webhooks ADD COLUMN key TEXT NOT NULL DEFAULT '';
