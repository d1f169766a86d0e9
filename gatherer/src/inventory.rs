//! The inventory of a gather: what the services of a source list, made one canonical whole and published.

use std::collections::{BTreeMap, BTreeSet};

use proto::fault::chain;
use proto::hash::Hash128;
use proto::inventory::{GatheredInventory, Identity, InventoryBatch, Resource};
use proto::manifest::ManifestBuilder;
use proto::report::Warning;
use runtime::data::BatchWriter;
use runtime::worker::TaskContext;

use crate::error::GatherError;
use crate::ports::{EcosystemPlugin, GatherRequest, ServiceHandler};

/// The longest type or id, in bytes.
const NAME_BYTES_MAX: usize = 1_024;

/// What services listed.
#[derive(Debug, Default)]
pub struct Listed {
    /// By type and id.
    resources: BTreeMap<(String, String), Resource>,
    /// By type and id.
    identities: BTreeMap<(String, String), Identity>,
    /// Types of resources that every service that declares them listed.
    resource_types: BTreeSet<String>,
    /// Every service was listed.
    whole: bool,
    /// What a person should know.
    warnings: BTreeMap<String, u64>,
}

/// What one service answered.
pub struct Answer {
    /// What people call the service.
    pub service: String,
    /// Types of resources that it declares.
    pub resource_types: Vec<String>,
    /// Everything that it has.
    pub found: Result<InventoryBatch, GatherError>,
}

/// Asks every service of a source, one after the other.
async fn ask(
    handlers: &[&dyn ServiceHandler],
    request: &GatherRequest,
) -> Result<Vec<Answer>, GatherError> {
    let mut answers = Vec::with_capacity(handlers.len());
    for handler in handlers {
        request.watch.tick()?;
        let found = handler.inventory(request).await;
        if let Err(GatherError::Stopped) = found {
            return Err(GatherError::Stopped);
        }
        let (service, resource_types) = (handler.name().to_owned(), handler.resource_types());
        answers.push(Answer { service, resource_types, found });
    }
    Ok(answers)
}

impl Listed {
    /// All answers as one. A service that failed says nothing, and the others no longer say all of what it declares.
    #[must_use]
    pub fn of(answers: Vec<Answer>) -> Self {
        let mut listed = Self { whole: true, ..Self::default() };
        let mut failed = BTreeSet::new();
        for Answer { service, resource_types, found } in answers {
            match found {
                Ok(found) => {
                    listed.add(found);
                    listed.resource_types.extend(resource_types);
                }
                Err(error) => {
                    let why = chain(&error);
                    tracing::warn!(service, error = why, "a service cannot be listed");
                    let text = format!(
                        "service {service} cannot be listed, so nothing of it is taken for deleted: {why}"
                    );
                    listed.warn(text);
                    listed.whole = false;
                    failed.extend(resource_types);
                }
            }
        }
        listed.resource_types.retain(|kind| !failed.contains(kind));
        listed
    }

    fn warn(&mut self, text: String) {
        *self.warnings.entry(text).or_default() += 1;
    }

    fn add(&mut self, found: InventoryBatch) {
        for resource in found.resources {
            let key = (resource.kind.clone(), resource.id.clone());
            if let Some(key) = self.named("resources", key) {
                let other = self.resources.get(&key);
                let twice = other.is_some_and(|other| *other != resource);
                // Whatever the order in which services answer, the same one stays.
                if other.is_none_or(|other| other.hash() < resource.hash()) {
                    self.resources.insert(key, resource);
                }
                self.listed_twice("resources", twice);
            }
        }
        for identity in found.identities {
            let key = (identity.kind.clone(), identity.id.clone());
            if let Some(key) = self.named("identities", key) {
                let other = self.identities.get(&key);
                let twice = other.is_some_and(|other| *other != identity);
                if other.is_none_or(|other| other.hash() < identity.hash()) {
                    self.identities.insert(key, identity);
                }
                self.listed_twice("identities", twice);
            }
        }
    }

    /// The key, if it can be one.
    fn named(&mut self, what: &str, key: (String, String)) -> Option<(String, String)> {
        let fits = |text: &String| {
            !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.contains('\0')
        };
        if fits(&key.0) && fits(&key.1) {
            return Some(key);
        }
        let text = format!(
            "{what} without a usable type and id were left out: each is 1 to {NAME_BYTES_MAX} bytes long"
        );
        self.warn(text);
        None
    }

    fn listed_twice(&mut self, what: &str, twice: bool) {
        if twice {
            let text = format!(
                "{what} are listed twice with different contents: one of the two is taken, always the same"
            );
            self.warn(text);
        }
    }

    fn hashes(&self) -> impl Iterator<Item = Hash128> {
        let resources = self.resources.values().map(Resource::hash);
        resources.chain(self.identities.values().map(Identity::hash))
    }

    /// In batches, in order.
    fn batches(self) -> Vec<InventoryBatch> {
        InventoryBatch::cut(self.resources.into_values(), self.identities.into_values())
    }
}

/// Lists and publishes the inventory of a source, if its kind has one; what is in force already is not published.
///
/// # Errors
/// When NATS does not take it, or the gather is given up.
pub async fn inventory(
    context: &TaskContext,
    plugin: &dyn EcosystemPlugin,
    request: &GatherRequest,
) -> Result<(Option<GatheredInventory>, Vec<Warning>), GatherError> {
    let handlers = plugin.service_handlers();
    if handlers.is_empty() {
        return Ok((None, Vec::new()));
    }
    let listed = Listed::of(ask(&handlers, request).await?);
    let warnings = listed.warnings.iter();
    let warnings = warnings.map(|(text, count)| Warning { text: text.clone(), count: *count });
    let warnings: Vec<Warning> = warnings.collect();
    let (generation, attempt) = (context.header.generation, context.attempt);
    let mut counted = ManifestBuilder::default();
    listed.hashes().for_each(|hash| counted.add_item(hash));
    let mut told = GatheredInventory {
        found: counted.finish(generation, attempt),
        unchanged: true,
        resource_types: listed.resource_types.iter().cloned().collect(),
        identities: listed.whole,
    };
    if request.task.inventory == Some(told.content()) {
        return Ok((Some(told), warnings));
    }
    let (tenant, source) = (context.tenant(), context.source());
    let mut writer = BatchWriter::of_inventory(&context.bus, tenant, source, generation, attempt);
    listed.hashes().for_each(|hash| writer.manifest.add_item(hash));
    for batch in listed.batches() {
        writer.write(&batch, batch.items()).await?;
        request.watch.tick()?;
    }
    (told.found, told.unchanged) = (writer.finish().await?, false);
    Ok((Some(told), warnings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::envelope::BATCH_BYTES;

    fn resource(kind: &str, id: &str, owner: Option<&str>) -> Resource {
        Resource {
            id: id.to_owned(),
            kind: kind.to_owned(),
            display_name: None,
            parent: None,
            owner: owner.map(str::to_owned),
            created_at: None,
            deleted_at: None,
            attributes: BTreeMap::new(),
        }
    }
    fn answer(types: &[&str], found: Result<Vec<Resource>, GatherError>) -> Answer {
        Answer {
            service: types.join("+"),
            resource_types: types.iter().map(|kind| (*kind).to_owned()).collect(),
            found: found.map(|resources| InventoryBatch { resources, identities: Vec::new() }),
        }
    }
    fn types(listed: &Listed) -> Vec<&str> {
        listed.resource_types.iter().map(String::as_str).collect()
    }

    #[test]
    fn a_type_counts_only_when_all_that_declare_it_answered() {
        let good = || answer(&["cluster", "topic"], Ok(vec![resource("topic", "t", None)]));
        let listed = Listed::of(vec![good(), answer(&["topic", "connector"], Ok(vec![]))]);
        assert_eq!(types(&listed), ["cluster", "connector", "topic"]);
        assert!(listed.whole && listed.warnings.is_empty());
        let bad = answer(&["topic", "connector"], Err(GatherError::Thread("404".into())));
        let listed = Listed::of(vec![good(), bad]);
        assert_eq!(types(&listed), ["cluster"]);
        assert!(!listed.whole, "no identities are scanned");
        assert_eq!(listed.resources.len(), 1, "what the others found is known all the same");
        let warning = listed.warnings.keys().next().unwrap();
        assert!(warning.starts_with("service topic+connector cannot be listed"), "{warning}");
        assert!(warning.contains("404"), "{warning}");
    }

    #[test]
    fn the_order_of_services_changes_nothing() {
        let one =
            || answer(&["a"], Ok(vec![resource("x", "1", Some("u")), resource("x", "2", None)]));
        let other = || answer(&["b"], Ok(vec![resource("x", "1", None), resource("x", "2", None)]));
        let (here, there) = (Listed::of(vec![one(), other()]), Listed::of(vec![other(), one()]));
        assert_eq!(here.resources, there.resources);
        assert_eq!(here.warnings.values().sum::<u64>(), 1, "{:?}", here.warnings);
        assert_eq!(here.warnings, there.warnings);
    }

    #[test]
    fn what_cannot_be_a_key_is_left_out_with_a_word() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        let found = ["", "a\0b", &long, "good"].map(|id| resource("x", id, None));
        let listed = Listed::of(vec![answer(&["x"], Ok(found.into()))]);
        assert_eq!(listed.resources.len(), 1);
        assert_eq!(listed.warnings.values().sum::<u64>(), 3);
    }

    #[test]
    fn batches_hold_everything_and_stay_small() {
        let many = (0..5_000).map(|n| resource("x", &format!("{n:040}"), None)).collect();
        let listed = Listed::of(vec![answer(&["x"], Ok(many))]);
        let (items, hashes) = (listed.resources.len(), listed.hashes().count());
        let batches = listed.batches();
        assert_eq!((items, hashes), (5_000, 5_000));
        assert_eq!(batches.iter().map(|batch| batch.resources.len()).sum::<usize>(), 5_000);
        assert!(batches.len() > 3);
        for batch in &batches {
            let mut bytes = Vec::new();
            rmp_serde::encode::write_named(&mut bytes, batch).unwrap();
            assert!(bytes.len() <= 2 * BATCH_BYTES, "{}", bytes.len());
        }
        assert!(Listed::of(Vec::new()).batches().is_empty());
    }
}
