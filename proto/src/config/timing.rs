//! When a source is gathered, and by when its dates are to be visible.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is asked of a source in time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timing {
    /// When it is gathered. `None`: every [`Schedule::DEFAULT_SECONDS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// By when a date is to be visible. `None`: nobody asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sla: Option<Sla>,
}

impl Timing {
    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.schedule.is_none() && self.sla.is_none()
    }
}

/// When a source is gathered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// So many seconds after the last gather has ended, 1 or more.
    Every(u32),
    /// At the times that a cron expression names.
    Cron {
        /// Five fields, or six with seconds first; one blank between them.
        expression: String,
        /// The name of the time zone whose clock it means.
        time_zone: String,
    },
}

impl Schedule {
    /// A source without a schedule of its own is gathered this often.
    pub const DEFAULT_SECONDS: u32 = 15 * 60;
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(seconds) => write!(f, "every {seconds} s"),
            Self::Cron { expression, time_zone } => write!(f, "{expression} {time_zone}"),
        }
    }
}

/// By when a date is to be visible: a time of day, some days after the date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sla {
    /// Minutes of the day, less than 1,440.
    pub visible_by: u16,
    /// The name of the time zone whose clock it means.
    pub time_zone: String,
    /// Days after the date.
    pub after_days: u32,
}

impl fmt::Display for Sla {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute) = (self.visible_by / 60, self.visible_by % 60);
        let Self { time_zone, after_days, .. } = self;
        write!(f, "visible by {hour:02}:{minute:02} {time_zone}, {after_days} d after the date")
    }
}
