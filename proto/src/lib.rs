//! The vocabulary of Apportion: ids, exact money, messages, codec, subjects.
//!
//! Pure: no tokio, no I/O, no clock. Every process speaks these types and no other.
//!
//! | module | what it says |
//! |---|---|
//! | [`ids`] | tenant, source, emitter ids; unit date; generation; attempt |
//! | [`money`] | [`money::Amount`], [`money::ExactSum`], the exact split |
//! | [`moment`] | dates and times as bills write them |
//! | [`line`] | `BillingLineItem`: one row of a bill |
//! | [`resolution`] | `IdentityResolution`: who could have caused a cost, with measured usage |
//! | [`row`] | `ChargebackRow`: who owes what, and why |
//! | [`inventory`], [`driver`] | resources and identities; weights from outside a unit |
//! | [`manifest`] | what closes a generation: batches, items, exact sums, hash |
//! | [`task`], [`report`] | what the coordinator asks, what a worker answers |
//! | [`config`] | the canonical, secret-free configuration of a tenant |
//! | [`envelope`], [`column`] | bytes of a message: header, then columnar body |
//! | [`subject`] | every stream, subject and consumer name |
//! | [`trace`] | which trace a piece of work belongs to |
//! | [`fault`] | what to do with an error: retry, reject, or end the process |

pub mod column;
pub mod config;
pub mod currency;
pub mod driver;
pub mod envelope;
pub mod fault;
pub mod hash;
pub mod ids;
pub mod inventory;
pub mod line;
pub mod manifest;
pub mod moment;
pub mod money;
mod nesting;
pub mod report;
pub mod resolution;
pub mod row;
pub mod subject;
pub mod tags;
pub mod task;
pub mod time;
pub mod trace;
