//! How a process lives: settings, telemetry, bus (NATS), store (Postgres), keepers (actix), shutdown.
//!
//! | module | owns |
//! |---|---|
//! | [`process`] | a process from start to exit code |
//! | [`panics`] | which of them end it |
//! | [`bus`] | the one NATS connection; write-once publishing |
//! | [`streams`] | what the streams and consumers look like |
//! | [`data`] | batches and manifests over the bus; the cache of configurations |
//! | [`inbox`] | the coordinator's side: reports in, tasks out |
//! | [`refused`] | messages that were refused, listed and put back |
//! | [`worker`] | the pump: pull a task, ask the worker, report, acknowledge |
//! | [`store`] | the Postgres pool |
//! | [`keeper`] | starting actors |
//! | [`faults`] | where tests make a process fail on purpose |
//! | [`observe`] | metrics, and whether the process is alive and ready |
//! | [`trace`] | spans for an OpenTelemetry collector |

pub mod bus;
pub mod data;
pub mod faults;
pub mod inbox;
pub mod keeper;
pub mod observe;
pub mod panics;
pub mod process;
mod pull;
pub mod refused;
pub mod settings;
pub mod store;
pub mod streams;
pub mod trace;
pub mod worker;
