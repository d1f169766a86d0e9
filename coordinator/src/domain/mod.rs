//! Pure rules of the coordinator: no I/O, no clock.

pub mod backoff;
pub mod budget;
pub mod guard;
pub mod inventory;
pub mod lifetime;
pub mod pack;
pub mod retention;
pub mod schedule;
pub mod sla;
pub mod unit;
