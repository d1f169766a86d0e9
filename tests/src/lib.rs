//! Placeholder, replaced by its first real commit.
