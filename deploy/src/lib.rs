//! The one binary and what it needs around the roles: embedded servers, child processes, supervision.
//!
//! The reusable part for tests: [`servers::EmbeddedNats`], [`servers::EmbeddedPostgres`], [`process::Recipe`].

pub mod cli;
pub mod folder;
pub mod launch;
pub mod process;
pub mod servers;
pub mod shutdown;
pub mod supervise;
pub mod wiring;
