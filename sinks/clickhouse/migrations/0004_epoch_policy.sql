-- With which identity policy an epoch was built, so that a changed one is noticed.

ALTER TABLE {storage}.epochs
    ADD COLUMN IF NOT EXISTS policy String DEFAULT ''
    COMMENT 'Identity policy that the epoch was built with, as JSON; empty where it is not known';
