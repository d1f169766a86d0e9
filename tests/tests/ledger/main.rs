//! The ledger and the CSV emitter against a real nats-server and a real Postgres.

mod books;
mod commit;
mod desk;
mod emit;
mod store;
