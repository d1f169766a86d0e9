//! What lies between our types and Postgres' binary forms: exact, without text in between.

mod copy;
mod numeric;
mod value;

pub use copy::{CopyIn, Tuples};
pub use value::{PgAmount, PgDate, PgSeconds};
