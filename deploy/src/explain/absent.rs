//! What is said where nothing was found: what may have been meant.

use std::collections::BTreeSet;

use anyhow::Result;
use coordinator::config::problem::nearest;
use postgres::Transaction;
use proto::ids::{SourceId, TenantId};
use proto::time::UnitDate;

use crate::store::{self, Given, Of, VisibleUnit};

/// Dates and ids that are named.
const NAMED: usize = 5;
/// Digits that an id and a mistaken one have in common at their start.
const COMMON: usize = 8;

/// Nothing is visible on a date.
pub fn date(
    view: &mut Transaction<'_>,
    tenant: &TenantId,
    source: Option<&SourceId>,
) -> Result<String> {
    let units = store::visible_units(view, tenant, source, (None, None))?;
    let dates: BTreeSet<UnitDate> = units.iter().map(|unit| unit.date).collect();
    Ok(match (dates.first(), dates.last()) {
        (Some(first), Some(last)) if first == last => format!("only {first} is"),
        (Some(first), Some(last)) => {
            format!("{} dates from {first} to {last} are", dates.len())
        }
        _ => "no date is; `apportion status` says where they stand".to_owned(),
    })
}

/// No line of these units has an id that starts so.
pub fn line(view: &mut Transaction<'_>, units: &[VisibleUnit], start: &str) -> Result<String> {
    let Some(first) = units.first() else { return Ok(String::new()) };
    let elsewhere = store::dates_of_line(view, &first.tenant, start, NAMED as i64)?;
    if elsewhere.all > 0 {
        return Ok(format!(": it is of {}", listed(&elsewhere)));
    }
    let Some(common) = start.get(..COMMON).filter(|common| common.len() < start.len()) else {
        return Ok(", and no other date has one".to_owned());
    };
    let mut near = Vec::new();
    for unit in units {
        let like = store::lines_like(view, unit, common, NAMED)?;
        near.extend(like.ids.iter().map(ToString::to_string));
    }
    near.truncate(NAMED);
    Ok(match near.is_empty() {
        true => ", and no other date has one".to_owned(),
        false => format!(": did you mean {}?", near.join(" or ")),
    })
}

/// These units have nothing of an identity or a resource.
pub fn named(view: &mut Transaction<'_>, units: &[VisibleUnit], of: Of<'_>) -> Result<String> {
    let Some(first) = units.first() else { return Ok(String::new()) };
    let elsewhere = store::dates_of(view, &first.tenant, of, NAMED as i64)?;
    if elsewhere.all > 0 {
        return Ok(format!("; there are rows on {}", listed(&elsewhere)));
    }
    let mut names = BTreeSet::new();
    for unit in units {
        names.extend(store::names_of(view, unit, of)?);
    }
    let (Of::Identity(wanted) | Of::Resource(wanted)) = of;
    // Who leaves the kind of an identity out means any.
    let mut near: Vec<&str> = names.iter().map(String::as_str).collect();
    near.retain(|name| name.split_once(':').is_some_and(|(_, id)| id == wanted));
    if near.is_empty() {
        near.extend(nearest(wanted, names.iter().map(String::as_str)));
    }
    Ok(match near.is_empty() {
        true => ", nor on any other date".to_owned(),
        false => format!(", nor on any other date: did you mean {}?", near.join(" or ")),
    })
}

fn listed(dates: &Given<String>) -> String {
    let first = dates.first.join(", ");
    match dates.all - dates.first.len() as i64 {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
