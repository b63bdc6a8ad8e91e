-- The part of `cost` whose model had no price, so that it was counted as the most expensive one.
ALTER TABLE usage ADD COLUMN assumed INTEGER NOT NULL DEFAULT 0;
