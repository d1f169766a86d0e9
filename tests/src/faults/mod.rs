//! What the fault matrix stands on: roles as single processes that die, freeze or lose their servers, and one check of
//! what must hold afterwards.
//!
//! | module | what it gives |
//! |---|---|
//! | [`ground`] | one Postgres for all cases, a fresh database and nats-server for each |
//! | [`rig`] | the roles of a case: started, armed with faults, tended, counted |
//! | [`role`] | how each of them is started |
//! | [`oracle`] | what bills must come to, from the bills alone |
//! | [`invariants`] | the one check of I1 to I8 |
//! | [`reader`] | who looks all the while, and must never see half a date |

pub mod ground;
pub mod invariants;
pub mod oracle;
pub mod reader;
pub mod rig;
pub mod role;
