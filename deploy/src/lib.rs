//! The one binary and what it needs around the roles: embedded servers, child processes, supervision.
//!
//! The reusable part for tests: [`servers::EmbeddedNats`], [`servers::EmbeddedPostgres`], [`process::Recipe`].

pub mod backup;
pub mod bench;
pub mod cli;
pub mod compare;
pub mod configuration;
pub mod demo;
pub mod domain;
pub mod drill;
pub mod explain;
pub mod fleet;
pub mod folder;
pub mod guard;
pub mod launch;
pub mod plan;
pub mod process;
pub mod progress;
pub mod reach;
pub mod recompute;
pub mod reconcile;
pub mod refused;
pub mod runs;
pub mod say;
pub mod scratch;
pub mod servers;
pub mod shutdown;
pub mod status;
pub mod store;
pub mod summary;
pub mod supervise;
pub mod try_bill;
pub mod unallocated;
pub mod why;
pub mod wiring;
