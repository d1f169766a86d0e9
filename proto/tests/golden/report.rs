//! Reports: every variant.

use proto::ids::{EmitterId, Generation};
use proto::inventory::{GatheredInventory, Identity, MADE_UP};
use proto::report::{
    Committed, Emitted, Failed, FailureClass, GatherDone, GatheredDate, GatheredHash, Published,
    QuarantinedRecord, Removed, Report, Restored, Warning,
};
use proto::time::UtcSeconds;

use crate::task::manifest;
use crate::{Case, amount, case, day, hash};

/// A variant without a word here does not compile.
fn word(report: &Report) -> &'static str {
    match report {
        Report::GatheredDate(_) => "gathered_date",
        Report::Quarantined(_) => "quarantined",
        // As it was before it named columns, and since.
        Report::GatherDone(done)
            if done.provider_columns.is_empty() && done.inventory.is_none() =>
        {
            "gather_done"
        }
        Report::GatherDone(done) if done.inventory.is_none() => "gather_done_columns",
        Report::GatherDone(_) => "gather_done_inventory",
        // As before it named identities, and since.
        Report::Resolved(units) if units.iter().all(|unit| unit.identities.is_empty()) => {
            "resolved"
        }
        Report::Resolved(_) => "resolved_identities",
        Report::Allocated(_) => "allocated",
        Report::Restored(_) => "restored",
        Report::Driver(_) => "driver",
        Report::Committed(_) => "committed",
        // As it was before it named a folder, and since.
        Report::Emitted(units) if units.iter().all(|unit| unit.dir.is_none()) => "emitted",
        Report::Emitted(_) => "emitted_dir",
        Report::Removed(_) => "removed",
        Report::Failed(failed) => match failed.class {
            FailureClass::Transient => "failed_transient",
            FailureClass::Data => "failed_data",
            FailureClass::InputMissing => "failed_input_missing",
        },
    }
}

pub fn cases() -> Vec<Case> {
    let reports = [
        gathered_date(),
        quarantined(),
        gather_done(&[], None),
        gather_done(&["x_Discount"], None),
        gather_done(&[], Some(inventory())),
        Report::Resolved(vec![published()]),
        Report::Resolved(vec![Published { identities: vec![made_up()], ..published() }]),
        Report::Allocated(vec![published(), Published { warnings: vec![], ..published() }]),
        restored(),
        committed(),
        emitted(None),
        emitted(Some("out/csv")),
        removed(),
        failed(FailureClass::Transient),
        failed(FailureClass::Data),
        failed(FailureClass::InputMissing),
    ];
    reports.into_iter().map(|report| case(word(&report), 1, report)).collect()
}

fn gathered_date() -> Report {
    let lines = manifest();
    let received = lines.totals.clone();
    Report::GatheredDate(GatheredDate { date: day("2024-09-30"), lines, received })
}

fn quarantined() -> Report {
    let full = QuarantinedRecord {
        file: "bills/a.csv".into(),
        line: 17,
        column: Some("BilledCost".into()),
        reason: "`12,5` is not a number: write a decimal point".into(),
        text: "12,5".into(),
        date: Some(day("2024-09-30")),
        amount: Some(("USD".parse().expect("a currency"), amount("-12.5"))),
    };
    let bare = QuarantinedRecord { column: None, date: None, amount: None, ..full.clone() };
    Report::Quarantined(vec![full, bare])
}

fn gather_done(columns: &[&str], inventory: Option<GatheredInventory>) -> Report {
    let date =
        |text: &str, unchanged| GatheredHash { date: day(text), hash: hash(text), unchanged };
    Report::GatherDone(GatherDone {
        covered_from: day("2024-09-01"),
        covered_to: day("2024-09-30"),
        dates: vec![date("2024-09-29", true), date("2024-09-30", false)],
        files_read: vec!["bills/a.csv".into()],
        files: vec!["bills/a.csv".into(), "bills/b.csv.gz".into()],
        quarantined: 2,
        records: 1_000,
        warnings: vec![Warning { text: "tags are not JSON".into(), count: 3 }],
        cursor: Some(serde_bytes::ByteBuf::from(b"{}".to_vec())),
        final_before: Some(day("2024-09-15")),
        provider_columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        inventory,
    })
}

fn inventory() -> GatheredInventory {
    GatheredInventory {
        found: manifest(),
        unchanged: true,
        resource_types: vec!["connector".into(), "kafka_cluster".into()],
        identities: false,
    }
}

fn published() -> Published {
    Published {
        date: day("2024-09-30"),
        generation: Generation(43),
        manifest: manifest(),
        warnings: vec![Warning { text: "owner `x` is not listed".into(), count: 1 }],
        lacking: None,
        drivers: vec![],
        identities: vec![],
    }
}

fn made_up() -> Identity {
    Identity {
        id: "service_account:sa-9".into(),
        kind: MADE_UP.into(),
        display_name: Some("Unknown service_account".into()),
        created_at: None,
        deleted_at: None,
        attributes: [("type".to_owned(), "service_account".to_owned())].into(),
    }
}

fn committed() -> Report {
    let unit = |visible| Committed { date: day("2024-09-30"), generation: Generation(43), visible };
    Report::Committed(vec![unit(true), unit(false)])
}

fn restored() -> Report {
    let (date, generation) = (day("2024-09-30"), Generation(43));
    let unit = |resolutions| Restored { date, generation, lines: manifest(), resolutions };
    Report::Restored(vec![unit(None), unit(Some(manifest()))])
}

fn emitted(dir: Option<&str>) -> Report {
    Report::Emitted(vec![Emitted {
        emitter: EmitterId::parse("csv").expect("an id"),
        date: day("2024-09-30"),
        generation: Generation(43),
        target: "out/csv/acme_cloud_2024-09-30.csv".into(),
        rows: 12,
        bytes: 3_456,
        hash: hash("file"),
        at: UtcSeconds(1_727_740_800),
        dir: dir.map(str::to_owned),
    }])
}

fn removed() -> Report {
    let file = |target: &str, kept: Option<&str>| Removed {
        target: target.into(),
        kept: kept.map(str::to_owned),
    };
    Report::Removed(vec![file("out/a.csv", None), file("out/b.csv", Some("it was changed"))])
}

fn failed(class: FailureClass) -> Report {
    Report::Failed(Failed {
        step: "allocate".into(),
        units: vec![(day("2024-09-30"), Generation(43))],
        class,
        reason: "batch 3 of the lines is gone".into(),
    })
}
