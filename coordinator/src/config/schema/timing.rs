//! Shape of schedules, and of times by which dates are to be visible.

use schemars::JsonSchema;

/// When sources are gathered: `every` or `cron`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Schedule {
    /// So long after the end of the last gather, such as `15m`; at least `1s`.
    pub every: Option<String>,
    /// Minute, hour, day of month, month, day of week, such as `0 6 * * *`; seconds may stand before them. Times that the
    /// clock skips are run at the end of the gap, times that it shows twice once.
    pub cron: Option<String>,
    /// Whose clock `cron` means, such as `Europe/Berlin`; left out: UTC.
    pub time_zone: Option<String>,
}

/// By when dates are to be visible.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Sla {
    /// Nobody asks.
    None(NoSla),
    /// A time of day.
    Times(SlaTimes),
}

/// Nobody asks.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum NoSla {
    /// Not even where the tenant does.
    None,
}

/// A time of day, some days after the date.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SlaTimes {
    /// Hours and minutes, such as `08:00`.
    pub visible_by: String,
    /// Whose clock that is, such as `Europe/Berlin`; left out: UTC.
    pub time_zone: Option<String>,
    /// Days after the date; left out: `1d`.
    pub after: Option<String>,
}
