//! The ledger and the CSV emitter against a real nats-server and a real Postgres.

#[cfg(test)]
mod books;
#[cfg(test)]
mod commit;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod emit;
#[cfg(test)]
mod pieces;
#[cfg(test)]
mod reconcile;
#[cfg(test)]
mod store;
