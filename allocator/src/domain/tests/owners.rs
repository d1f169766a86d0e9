//! The owner directory: aliases, days, strict and not.

use proto::config::{FixedShares, OwnerRow, Owners, Receivers};

use super::*;

fn owner(id: &str, aliases: &[&str], valid: (Option<&str>, Option<&str>)) -> OwnerRow {
    let day = |d: Option<&str>| d.map(|d| d.parse().unwrap());
    OwnerRow {
        id: id.to_owned(),
        valid: Validity { from: day(valid.0), until: day(valid.1) },
        aliases: aliases.iter().map(|a| (*a).to_owned()).collect(),
        name: String::new(),
        kind: String::new(),
        parent: String::new(),
        cost_center: String::new(),
        gl_code: String::new(),
        email: String::new(),
    }
}

fn directory(strict: bool) -> Option<Owners> {
    let rows = vec![
        owner("checkout", &["chekout"], (None, None)),
        owner("old", &[], (None, Some("2026-07-01"))),
        owner("search", &[], (Some("2026-07-01"), None)),
    ];
    Some(Owners { strict, rows })
}

#[test]
fn unlisted_owners_stay_themselves_with_a_warning() {
    let mut config = config(Vec::new());
    config.owners = directory(false);
    let lines =
        [team(1, "1", "chekout"), team(2, "2", "old"), team(3, "3", "old"), team(4, "4", "search")];
    let ran = run(&config, &lines);
    assert_eq!(
        ran.lines(),
        [
            "tag:chekout checkout direct 1",
            "tag:old old direct 2",
            "tag:old old direct 3",
            "tag:search search direct 4",
        ]
    );
    assert_eq!(ran.warned(), [r#"2 × owner "old" is not in the directory; it stays as it is"#]);
}

#[test]
fn strict_makes_the_tier_not_apply() {
    let mut config = config(Vec::new());
    config.owners = directory(true);
    let lines = [team(1, "1", "chekout"), team(2, "2", "old"), line(3, "3", &[])];
    let ran = run(&config, &lines);
    assert_eq!(
        ran.lines(),
        [
            "tag:chekout checkout direct 1",
            "UNALLOCATED UNALLOCATED unallocated 2 (unknown_owner: direct: an owner is not in the directory)",
            "UNALLOCATED UNALLOCATED unallocated 3 (untagged)",
        ]
    );
    assert_eq!(ran.warned(), [r#"1 × owner "old" is not in the directory, which is strict"#]);
}

#[test]
fn strict_holds_for_stated_owners_and_resolved_identities_too() {
    let group = Tier::Even(Receivers::Group("g".to_owned()));
    let percents = |names: [&str; 2]| {
        let half = amount("50");
        Tier::Fixed(FixedShares::Inline(names.iter().map(|n| ((*n).to_owned(), half)).collect()))
    };
    let chains = [
        (vec![percents(["chekout", "checkout"])], vec!["owner:checkout checkout fixed 8"]),
        (
            vec![group.clone(), percents(["checkout", "search"])],
            vec![
                "owner:checkout checkout fixed 4 (even g: an owner is not in the directory)",
                "owner:search search fixed 4 (even g: an owner is not in the directory)",
            ],
        ),
        (
            vec![percents(["checkout", "old"])],
            vec![
                "UNALLOCATED UNALLOCATED unallocated 8 (unknown_owner: fixed: an owner is not in the directory)",
            ],
        ),
    ];
    for (chain, want) in chains {
        let mut config = config(vec![rule("r", Match::every_line(), chain)]);
        config.owners = directory(true);
        config.groups.insert("g".to_owned(), vec!["checkout".to_owned(), "old".to_owned()]);
        assert_eq!(run(&config, &[line(1, "8", &[])]).lines(), want);
    }
    let set = Tier::Even(Receivers::Set(proto::config::ResolutionSet::ResourceActive));
    let mut config =
        config(vec![rule("r", Match::every_line(), vec![set, nobody(Reason::UnknownOwner)])]);
    config.owners = directory(true);
    let facts = vec![
        resolution("a", &["team:checkout", "x:UNALLOCATED"], &[]),
        resolution("b", &["team:checkout", "team:old"], &[]),
    ];
    let at = |key: &str, line: BillingLineItem| BillingLineItem {
        resolution_key: Some(key.to_owned()),
        ..line
    };
    let lines = [at("a", line(1, "1", &[])), at("b", line(2, "2", &[]))];
    let ran = run_in(&config, &lines, facts, 10);
    assert_eq!(
        ran.lines(),
        [
            "team:checkout checkout even 1",
            "UNALLOCATED UNALLOCATED unallocated 2 \
             (unknown_owner: even resource_active: an owner is not in the directory)",
        ]
    );
    assert_eq!(
        ran.warned()[0],
        "1 × an identity of the resolution says UNALLOCATED: it counts as absent"
    );
}
