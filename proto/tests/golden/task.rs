//! Tasks: every variant.

use proto::hash::Hash128;
use proto::ids::{Attempt, DriverId, EmitterId, Generation};
use proto::manifest::{Manifest, ManifestBuilder};
use proto::task::{
    Allocate, AllocateUnit, Commit, CommitUnit, ComputeDriver, Content, DriverInput, Emit,
    EmitUnit, EmittedFile, Gather, KnownDate, Remove, Resolve, ResolveUnit, Restore, RestoreUnit,
    Task,
};

use crate::{Case, amount, case, day, hash};

/// A variant without a word here does not compile.
fn word(task: &Task) -> &'static str {
    match task {
        // As it was before it named an inventory, and since.
        Task::Gather(task) if task.inventory.is_none() => "gather",
        Task::Gather(_) => "gather_inventory",
        // As before it named an inventory, and since.
        Task::Resolve(task) if task.inventory.is_none() => "resolve",
        Task::Resolve(_) => "resolve_inventory",
        Task::Driver(_) => "driver",
        Task::Allocate(_) => "allocate",
        Task::Commit(_) => "commit",
        Task::Restore(task) if task.units.is_empty() => "restore",
        Task::Restore(_) => "restore_units",
        Task::Emit(_) => "emit",
        Task::Remove(_) => "remove",
    }
}

pub fn cases() -> Vec<Case> {
    let tasks = [
        gather(None),
        gather(Some(hash("inventory"))),
        resolve(None),
        resolve(Some(manifest())),
        driver(),
        allocate(),
        commit(),
        restore_of_dates(),
        restore(),
        emit(),
        remove(),
    ]
    .into_iter();
    let plain = tasks.map(|task| case(word(&task), 1, task));
    plain.chain([case("emit_compare", 1, compare())]).collect()
}

/// A manifest with two batches and money in two currencies.
pub fn manifest() -> Manifest {
    let mut builder = ManifestBuilder::default();
    builder.add_item(hash("a"));
    builder.add_item(hash("b"));
    builder.add_batch(1, b"first");
    builder.add_batch(1, b"second");
    let month = |text: &str| text.parse().expect("a month");
    let currency = |text: &str| text.parse().expect("a currency");
    let measures = [Some(amount("1")), None, None, Some(amount("-2.5"))];
    builder.totals.add(currency("USD"), month("2024-09"), amount("0.1"), &measures);
    builder.totals.add(currency("EUR"), month("2024-10"), amount("-7"), &[None; 4]);
    builder.finish(Generation(41), Attempt(u64::MAX))
}

fn gather(inventory: Option<Hash128>) -> Task {
    Task::Gather(Gather {
        config: hash("config"),
        folder: "/etc/apportion".into(),
        today: day("2024-10-01"),
        from: Some(day("2024-09-01")),
        until: None,
        known: vec![KnownDate { date: day("2024-09-30"), hash: hash("known") }],
        cursor: Some(serde_bytes::ByteBuf::from(vec![0, 255, 1])),
        rehash: true,
        republish: vec![day("2024-09-29")],
        inventory,
    })
}

fn resolve(inventory: Option<Manifest>) -> Task {
    let unit = ResolveUnit {
        date: day("2024-09-30"),
        generation: Generation(42),
        lines: manifest(),
        inventory: Some(Generation(40)),
    };
    Task::Resolve(Resolve { config: hash("config"), units: vec![unit], inventory })
}

fn driver() -> Task {
    Task::Driver(ComputeDriver {
        config: hash("config"),
        driver: DriverId::parse("direct_spend").expect("an id"),
        from: day("2024-09-01"),
        until: day("2024-10-01"),
    })
}

fn allocate() -> Task {
    let input = |name: &str, weights| DriverInput {
        driver: DriverId::parse(name).expect("an id"),
        window: day("2024-09-01"),
        until: None,
        weights,
        lacking: false,
    };
    let unit = AllocateUnit {
        date: day("2024-09-30"),
        generation: Generation(43),
        lines: manifest(),
        resolutions: Some(manifest()),
        drivers: vec![input("kafka_bytes", Some(manifest())), input("direct_spend", None)],
    };
    let bare = AllocateUnit {
        date: day("2024-10-01"),
        resolutions: None,
        drivers: vec![],
        ..unit.clone()
    };
    Task::Allocate(Allocate { config: hash("config"), units: vec![unit, bare] })
}

fn commit() -> Task {
    let unit = CommitUnit {
        date: day("2024-09-30"),
        generation: Generation(43),
        lines: manifest(),
        resolutions: None,
        rows: manifest(),
        config: hash("config"),
        rules: hash("rules"),
    };
    Task::Commit(Commit { units: vec![unit] })
}

/// As it was before a unit had a generation of its own: it named dates, which nothing ever asked for.
fn restore_of_dates() -> Task {
    Task::Restore(Restore { units: Vec::new() })
}

fn restore() -> Task {
    let unit = |date, generation| RestoreUnit {
        date: day(date),
        generation: Generation(generation),
        lines: hash(date),
    };
    Task::Restore(Restore { units: vec![unit("2024-09-30", 43), unit("2024-10-01", 44)] })
}

fn emit() -> Task {
    emissions([(Some(Generation(12)), None), (None, None)])
}

/// What was emitted is compared with what lies there.
fn compare() -> Task {
    emissions([(None, Some(Content { bytes: 1 << 40, hash: hash("file") })), (None, None)])
}

fn emissions(units: [(Option<Generation>, Option<Content>); 2]) -> Task {
    let unit = |(replaces, recorded)| EmitUnit {
        date: day("2024-09-30"),
        generation: Generation(43),
        replaces,
        recorded,
    };
    Task::Emit(Emit {
        config: hash("config"),
        folder: "/etc/apportion".into(),
        emitter: EmitterId::parse("csv").expect("an id"),
        units: units.map(unit).to_vec(),
    })
}

fn remove() -> Task {
    let file = |name: &str| EmittedFile {
        target: format!("/etc/apportion/out/csv/{name}.csv"),
        dir: "/etc/apportion/out".into(),
        content: Content { bytes: 3_456, hash: hash(name) },
        live: vec![format!("/etc/apportion/new/{name}.csv")],
    };
    Task::Remove(Remove { files: vec![file("2024-09-30"), file("2024-10-01")] })
}
