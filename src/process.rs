//! One external command.
