//! What a person should know, counted; bounded however odd the bill is.

use std::collections::HashMap;

use proto::report::Warning;

/// Different texts that are kept; the rest is counted together.
const TEXTS_MAX: usize = 100;
/// Longest quoted value, in characters.
const QUOTE_MAX: usize = 80;

/// Place of a warning in [`Warnings`].
pub type WarningId = u32;

/// Warnings of one unit, in the order in which they first came up.
#[derive(Debug, Default)]
pub struct Warnings {
    ids: HashMap<String, WarningId>,
    found: Vec<Warning>,
}

impl Warnings {
    /// The place of a warning; not counted yet.
    pub fn id(&mut self, text: String) -> WarningId {
        let text = if self.found.len() < TEXTS_MAX || self.ids.contains_key(&text) {
            text
        } else {
            "further warnings, too many to name".to_owned()
        };
        if let Some(id) = self.ids.get(&text) {
            return *id;
        }
        let id = self.found.len() as WarningId;
        self.ids.insert(text.clone(), id);
        self.found.push(Warning { text, count: 0 });
        id
    }

    /// It came up on a line.
    pub fn count(&mut self, id: WarningId) {
        self.found[id as usize].count += 1;
    }

    /// Forgets how often; places stay.
    pub fn reset(&mut self) {
        self.found.iter_mut().for_each(|warning| warning.count = 0);
    }

    /// Those that came up.
    pub fn take(&mut self) -> Vec<Warning> {
        self.ids.clear();
        std::mem::take(&mut self.found).into_iter().filter(|warning| warning.count > 0).collect()
    }
}

/// The owner that a warning of [`Preparer`](super::prepare::Preparer) says is not in the directory. `None`: it says
/// something else, or cannot name it whole.
#[must_use]
pub fn unlisted_owner(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("owner \"")?;
    let (name, _) = rest.split_once("\" is not in the directory")?;
    (!name.contains('\\')).then_some(name)
}

/// A value of the bill as part of a message.
pub fn quote(value: &str) -> String {
    match value.char_indices().nth(QUOTE_MAX) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_kinds_of_warnings_stay_few() {
        let mut warnings = Warnings::default();
        for i in 0..1_000 {
            let id = warnings.id(format!("owner {} is odd", i % 300));
            warnings.count(id);
        }
        let found = warnings.take();
        assert_eq!((found.len(), found[0].count), (TEXTS_MAX + 1, 4));
        assert_eq!(found.iter().map(|w| w.count).sum::<u64>(), 1_000);
        assert_eq!(quote(&"ä".repeat(100)).chars().count(), QUOTE_MAX + 3);
    }
}
