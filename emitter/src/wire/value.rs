//! Single values as parameters and results.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use deadpool_postgres::tokio_postgres::types::{
    FromSql, IsNull, ToSql, Type, accepts, to_sql_checked,
};
use proto::money::Amount;
use proto::time::{UnitDate, UtcSeconds};

use super::numeric::take_amount;

/// Days from 1970-01-01 to 2000-01-01, where Postgres counts from.
pub(super) const POSTGRES_EPOCH_DAYS: i64 = 10_957;
/// Seconds between the same.
pub(super) const POSTGRES_EPOCH_SECONDS: i64 = POSTGRES_EPOCH_DAYS * 86_400;

/// A `date`.
#[derive(Debug, Clone, Copy)]
pub struct PgDate(pub UnitDate);

/// A `numeric` that is an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PgAmount(pub Amount);

/// A `timestamptz` of whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PgSeconds(pub UtcSeconds);

impl ToSql for PgDate {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i32(i32::try_from(self.0.epoch_days() - POSTGRES_EPOCH_DAYS)?);
        Ok(IsNull::No)
    }
    accepts!(DATE);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for PgDate {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let days = i64::from(i32::from_be_bytes(raw.try_into()?)) + POSTGRES_EPOCH_DAYS;
        Ok(Self(UtcSeconds(days * 86_400).date()?))
    }
    accepts!(DATE);
}

impl<'a> FromSql<'a> for PgAmount {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        take_amount(raw)
            .map(Self)
            .ok_or_else(|| "a stored number has more digits than an amount holds".into())
    }
    accepts!(NUMERIC);
}

impl<'a> FromSql<'a> for PgSeconds {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        Ok(Self(UtcSeconds(micros.div_euclid(1_000_000) + POSTGRES_EPOCH_SECONDS)))
    }
    accepts!(TIMESTAMPTZ);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_count_from_2000() {
        let mut out = BytesMut::new();
        let date: UnitDate = "1999-12-31".parse().unwrap();
        PgDate(date).to_sql(&Type::DATE, &mut out).unwrap();
        assert_eq!(out[..], (-1_i32).to_be_bytes());
        assert_eq!(PgDate::from_sql(&Type::DATE, &out).unwrap().0, date);
        let seconds =
            PgSeconds::from_sql(&Type::TIMESTAMPTZ, &(-1_000_000_i64).to_be_bytes()).unwrap();
        assert_eq!(seconds.0.to_string(), "1999-12-31T23:59:59Z");
    }
}
