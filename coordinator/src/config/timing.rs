//! When sources are gathered, and by when their dates are to be visible: of a tenant, and of a source that says otherwise.

use proto::config::{Schedule, Sla, Timing};

use super::problem::{Report, suggest};
use super::read::{self, Map};
use super::scalar;
use super::yaml::{Node, Value};
use crate::domain::schedule;

/// Keys of `schedule`.
pub const SCHEDULE_KEYS: [&str; 3] = ["every", "cron", "time_zone"];
/// Keys of `sla`.
pub const SLA_KEYS: [&str; 3] = ["visible_by", "time_zone", "after"];
/// What is written where nobody asks for anything.
pub const NO_SLA: &str = "none";
/// The time zone where none is named.
const UTC: &str = "UTC";

/// What a source asks for, given what its tenant does.
pub fn timing(source: &Node, tenant: &Timing, report: &mut Report) -> Timing {
    let Value::Map(entries) = &source.value else { return tenant.clone() };
    let value = |key: &str| {
        let node = entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
        node.filter(|node| !matches!(node.value, Value::Null))
    };
    of(value("schedule"), value("sla"), tenant, report)
}

/// What these two keys say; what is left out is as in `otherwise`.
pub fn of(
    schedule: Option<&Node>,
    sla: Option<&Node>,
    otherwise: &Timing,
    report: &mut Report,
) -> Timing {
    Timing {
        schedule: match schedule {
            Some(node) => self::schedule(node, report),
            None => otherwise.schedule.clone(),
        },
        sla: match sla {
            Some(node) => self::sla(node, report),
            None => otherwise.sla.clone(),
        },
    }
}

fn schedule(node: &Node, report: &mut Report) -> Option<Schedule> {
    let map = Map::read(node, "`schedule`", &SCHEDULE_KEYS, report)?;
    match (map.get("every"), map.get("cron")) {
        (Some(_), Some(cron)) => {
            report.at(&cron.at, "`schedule` has both `every` and `cron`", "keep one of the two");
            None
        }
        (None, None) => {
            let mend = "write `every: 15m`, or `cron: \"0 6 * * *\"` with its `time_zone`";
            report.at(&node.at, "`schedule` has neither `every` nor `cron`", mend);
            None
        }
        (Some(every), None) => {
            if let Some(zone) = map.get("time_zone") {
                let mend = "remove it, or write `cron` in place of `every`";
                report.at(&zone.at, "`time_zone` means nothing for `every`", mend);
            }
            let seconds = read::parsed(every, "`every`", report, scalar::some_seconds)?;
            Some(Schedule::Every(seconds))
        }
        (None, Some(cron)) => {
            let zone = time_zone(&map, report);
            let read = |text: &str| {
                let expression = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let time_zone = zone.clone().unwrap_or_else(|| UTC.to_owned());
                let schedule = Schedule::Cron { expression, time_zone };
                schedule::check(&schedule).map(|()| schedule)
            };
            let schedule = read::parsed(cron, "`cron`", report, read)?;
            zone.map(|_| schedule)
        }
    }
}

/// `None` where that is written, too.
fn sla(node: &Node, report: &mut Report) -> Option<Sla> {
    if let Value::Text { text, .. } = &node.value {
        if text.trim() != NO_SLA {
            let mend = "write { visible_by: \"08:00\" }, or `none`";
            report.at(&node.at, format!("`sla` is {:?}", text.trim()), mend);
        }
        return None;
    }
    let map = Map::read(node, "`sla`", &SLA_KEYS, report)?;
    let visible_by = map.need("visible_by", "`sla`", report);
    let visible_by =
        visible_by.and_then(|node| read::parsed(node, "`visible_by`", report, scalar::clock));
    let after = match map.get("after") {
        Some(node) => read::parsed(node, "`after`", report, scalar::days),
        None => Some(1),
    };
    let time_zone = time_zone(&map, report);
    Some(Sla { visible_by: visible_by?, time_zone: time_zone?, after_days: after? })
}

fn time_zone(map: &Map<'_>, report: &mut Report) -> Option<String> {
    let Some(node) = map.get("time_zone") else { return Some(UTC.to_owned()) };
    read::parsed(node, "`time_zone`", report, |name| match schedule::zone(name) {
        Ok(_) => Ok(name.to_owned()),
        Err(error) => {
            let zones = schedule::zones();
            let near = suggest(name, zones.iter().map(String::as_str));
            Err(if near.starts_with("did you mean") { near } else { error.to_string() })
        }
    })
}
