//! Times as text, many of the same few days.

use proto::time::UtcSeconds;

const DAY: i64 = 86_400;

/// Writes times as [`UtcSeconds`] does, and remembers the last day: a file's times lie close together.
#[derive(Default)]
pub struct Clock {
    /// The day whose text is there.
    day: Option<i64>,
    text: Vec<u8>,
}

impl Clock {
    /// `YYYY-MM-DDTHH:MM:SSZ`.
    pub fn text(&mut self, at: UtcSeconds) -> &[u8] {
        let day = at.0.div_euclid(DAY);
        if self.day != Some(day) {
            self.text = at.to_string().into_bytes();
            // Beyond the year 9999 the form is another.
            self.day = (self.text.len() == 20).then_some(day);
            return &self.text;
        }
        let second = at.0.rem_euclid(DAY);
        for (place, number) in [(11, second / 3_600), (14, second / 60 % 60), (17, second % 60)] {
            self.text[place] = b'0' + (number / 10) as u8;
            self.text[place + 1] = b'0' + (number % 10) as u8;
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_everywhere_else() {
        let mut clock = Clock::default();
        let day = 1_777_593_600;
        for second in [
            day,
            day + 86_399,
            day + 3_600,
            day + 61,
            -1,
            -86_400,
            253_402_300_799,
            253_402_300_800,
            253_402_300_900,
            i64::MAX,
            i64::MIN,
            0,
            59,
        ] {
            let wanted = UtcSeconds(second).to_string();
            assert_eq!(clock.text(UtcSeconds(second)), wanted.as_bytes(), "{second}");
        }
    }
}
