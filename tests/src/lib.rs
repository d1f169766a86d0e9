//! What the tests of the whole stand on: the real program, real servers, generated bills, and exact expectations.
//!
//! | module | what it gives |
//! |---|---|
//! | [`program`] | the `apportion` program, built when it is missing or older than its sources |
//! | [`stand`] | a temporary folder with a configuration and a data folder, and runs over them |
//! | [`world`] | seeded FOCUS bills, with the sums that they must come to |
//! | [`output`] | emitted CSV files: their sums, and whether they were touched |
//! | [`faults`], [`proxy`] | the fault matrix: roles that fail on purpose, and what must hold afterwards |
//! | [`columnar`] | bills as Parquet, and emitted Parquet files |
//! | [`focus`] | what FOCUS 1.2 files have to hold |
//! | [`growth`] | how time and memory grow, as tables and plots |
//! | [`processes`], [`roles`] | who runs below a process, and how to kill it; the roles of a standing `up` |
//! | [`http`], [`confluent`] | a server with the faults that real ones have; an organization at Confluent Cloud |
//! | [`prometheus`] | a Prometheus server over samples of the test

pub mod columnar;
pub mod confluent;
pub mod faults;
pub mod focus;
pub mod growth;
pub mod http;
pub mod output;
pub mod processes;
pub mod program;
pub mod prometheus;
pub mod proxy;
pub mod roles;
pub mod stand;
pub mod world;
