//! Tenants that are wrong.

use super::*;

#[test]
fn sources() {
    let source =
        |text: &str| problems(&[("tenants/a.yaml", &format!("sources: {{ s: {{ {text} }} }}"))]);
    let known = "known: confluent_cloud, focus, synthetic, generic_metrics, self_managed_kafka";
    assert!(source("kind: aws").contains(&format!("`kind` is \"aws\" ({known})")));
    assert!(source("kind: focsu").contains("`kind` is \"focsu\" (did you mean `focus`?)"));
    assert!(source("files: [x]").contains("source `s` lacks `kind` (add `kind: focus`)"));
    assert!(source("kind: focus").contains("source `s` lacks `files`"));
    assert!(
        source("kind: focus, files: [x], fiels: y")
            .contains("unknown key `fiels` in source `s` (did you mean `files`?)")
    );
    assert!(
        source("kind: focus, files: [\"a[\"]")
            .contains("an entry of `files` is \"a[\" (this is no glob: ")
    );
    assert!(
        source("kind: focus, files: [x], cost: BiledCost")
            .contains("`cost` is \"BiledCost\" (did you mean `BilledCost`?)")
    );
    assert!(
        source("kind: focus, files: [x], owner: [tag.]")
            .contains("there is no field \"tag.\" (\"tag.\" lacks a name after the dot)")
    );
    assert!(source("kind: synthetic, start: 2026-13-01, dates: 0, resources: 1, products: 1, fanout: 3, identities: 2").contains("a fanout of 3 over 2 identities"));
    assert!(
        source("kind: self_managed_kafka, settings: none.yaml")
            .contains("none.yaml: cannot read the file: No such file")
    );
    let none = problems(&[("tenants/a.yaml", "sources: {}")]);
    assert!(none.contains("1:10: `sources` is empty (add a source"), "{none}");
    let id = problems(&[("tenants/a.yaml", "sources: { S.1: { kind: focus, files: [x] } }")]);
    assert!(id.contains("1:12: source id \"S.1\" is not allowed"), "{id}");
}

#[test]
fn percents() {
    let rule = |tier: &str| format!("allocation: [ {{ id: r, chain: [ {tier} ] }} ]");
    one(
        &rule("{ fixed: { a: 60, b: 39 } }"),
        "2:54: the percents of `fixed` add to 99, not 100 (change them until they add to exactly 100, for instance this one to `40`)",
    );
    one(
        &rule("{ fixed: { a: 33.33, b: 33.33, c: 33.33 } }"),
        "2:67: the percents of `fixed` add to 99.99, not 100 (change them until they add to exactly 100, for instance this one to `33.34`)",
    );
    one(
        &rule("{ fixed: { a: 101 } }"),
        "2:47: the percentage of `a` is \"101\" (a percentage lies between 0 and 100)",
    );
    one(
        &rule("{ fixed: { a: 60, UNALLOCATED: 40 } }"),
        "2:51: UNALLOCATED is no owner that can be given a share (use a `composition` with a part whose chain is [ { unallocated: REASON } ])",
    );
    one(
        &rule(
            "{ composition: [ { percent: 70, chain: [ direct ] }, { percent: 20, chain: [ direct ] } ] }",
        ),
        "2:97: the percents of `composition` add to 90, not 100 (change them until they add to exactly 100, for instance this one to `30`)",
    );
    let table = "tables: { p: { file: percents.csv, key: [owner], value: percent } }\n";
    let found = wrong(&format!("{table}{}", rule("{ fixed: { table: p } }")));
    let message = "the percents of table `p` add to 99 from 2026-07-01 on, not 100 (change its rows until they add to exactly 100 on every day)";
    assert_eq!(found, [format!("tenants/acme.yaml:3:51: {message}")]);
    let table = "tables: { p: { file: teams.csv, key: [SubAccountId], value: team } }\n";
    let found = wrong(&format!("{table}{}", rule("{ fixed: { table: p } }")));
    assert!(found[0].contains("table `p` gives owner `1` \"a\" as a percentage"), "{found:?}");
}

#[test]
fn chains() {
    let rule =
        |chain: &str| format!("groups: {{ g: [a, b] }}\nallocation:\n- id: r\n  chain: {chain}");
    let never = "this tier is never reached: the one before it always applies (remove it, or put it before)";
    one(&rule("[ unallocated, direct ]"), &format!("5:25: {never}"));
    one(&rule("[ { even: g }, unallocated ]"), &format!("5:25: {never}"));
    one(&rule("[ { fixed: { a: 100 } }, direct ]"), &format!("5:35: {never}"));
    one(
        &rule("[]"),
        "5:10: `chain` is an empty list (write at least one entry, or remove the key)",
    );
    one(
        &rule("[ even ]"),
        "5:12: there is no tier `even` that stands alone (`even` needs to know more: write { even: … })",
    );
    one(
        &rule("[ { even: g, direct: tag.a } ]"),
        "5:12: a tier has exactly one key (put each tier into a list entry of its own)",
    );
    one(&rule("[ { evne: g } ]"), "5:14: unknown key `evne` in a tier (did you mean `even`?)");
    one(
        &rule("[ { even: h } ]"),
        "5:20: there is no group or resolution set `h` (did you mean `g`?)",
    );
    one(
        &rule("[ { even: resource_actve } ]"),
        "5:20: there is no group or resolution set `resource_actve` (did you mean `resource_active`?)",
    );
    one(
        &rule("[ { unallocated: untaged } ]"),
        "5:27: the reason is \"untaged\" (did you mean `untagged`?)",
    );
    one(&rule("[ { usage_ratio: bytes } ]"), "5:27: there is no driver `bytes` (there are none)");
    one(
        &rule("[ { fixed: { table: accounts } } ]"),
        "5:30: there is no table `accounts` (there are none)",
    );
    one(
        &rule("[ { direct: SubAcountId } ]"),
        "5:22: there is no field \"SubAcountId\" (did you mean `SubAccountId`?)",
    );
    one(
        &rule("[ { direct: vtag.team } ]"),
        "5:22: there is no virtual tag `team` (there are none)",
    );
    one(
        &rule("[ { in_proportion_to_cost: { window: week } } ]"),
        "5:47: `window` is \"week\" (write charge_period, date, billing_period, or trailing and days, such as trailing 30d)",
    );
    one(
        &rule("[ { in_proportion_to_cost: { sources: [clod] } } ]"),
        "5:49: there is no source `clod` (did you mean `cloud`?)",
    );
}

#[test]
fn matches() {
    let rule =
        |matcher: &str| format!("allocation:\n- id: r\n  chain: [ direct ]\n  match: {matcher}");
    one(
        &rule("{ servicename: x }"),
        "5:12: there is no field \"servicename\" (did you mean `ServiceName`?)",
    );
    one(
        &rule("{ Id: x }"),
        "5:12: there is no field \"Id\" (\"Id\" is not a field: write a FOCUS column, x_COLUMN, tag.KEY, vtag.NAME, table.NAME, source, product_type, product_category or resource_id)",
    );
    one(&rule("{ source: clud }"), "5:20: there is no source `clud` (did you mean `cloud`?)");
    one(
        &rule("{ ServiceName: { regex: '(' } }"),
        "5:34: the regular expression \"(\" is not understood: unclosed group (close what was opened, for instance: `()`)",
    );
    one(
        &rule("{ ServiceName: { regex: 'a(?=b)' } }"),
        "5:34: the regular expression \"a(?=b)\" is not understood: look-around, including look-ahead and look-behind, is not supported (mend it (look-around and back-references do not exist here))",
    );
    one(
        &rule("{ ServiceName: '' }"),
        "5:25: an empty pattern matches nothing (write `absent` for lines without a value)",
    );
    one(
        &rule("{ ServiceName: }"),
        "5:23: the pattern is missing (write a text (in quotes if it is `null`), `present` or `absent`)",
    );
    one(
        &rule("{ ServiceName: { not: x, regex: y } }"),
        "5:25: this is not one pattern (write { regex: R }, { not: PATTERN } or { gt: N, lt: N })",
    );
    one(
        &rule("{ BilledCost: { gt: 1,5 } }"),
        "5:32: unknown key `5` in a pattern (known: regex, not, gt, lt)",
    );
    one(
        &rule("{ BilledCost: { gt: '1,5' } }"),
        "5:30: `gt` is \"1,5\" (decimal comma in `1,5`: write 1.5)",
    );
    one(
        &rule("{}"),
        "5:10: `match` is empty (name a field and its pattern, or remove `match` to take every line)",
    );
    let any = wrong(&rule("{ any: [ { ServiceNam: x }, { RegionI: y } ] }"));
    assert_eq!(any.len(), 2, "{any:?}");
}

#[test]
fn ids_and_days_of_rules() {
    let rules = |rules: &[&str]| {
        let rules: Vec<String> =
            rules.iter().map(|rule| format!("- {{ chain: [ direct ], {rule} }}")).collect();
        format!("allocation:\n{}", rules.join("\n"))
    };
    let mend = "give one another id, for instance this one `a-2`, or days that do not overlap: valid: { from: …, until: … }";
    one(
        &rules(&["id: a", "id: b", "id: a"]),
        &format!("5:28: two rules have the id `a`, first in line 3 ({mend})"),
    );
    one(
        &rules(&["id: a, valid: { until: 2026-07-01 }", "id: a, valid: { from: 2026-06-15 }"]),
        &format!(
            "4:28: two rules have the id `a` from 2026-06-15 until 2026-07-01, first in line 3 ({mend})"
        ),
    );
    one(
        &rules(&["id: a, valid: { from: 2026-07-02 }", "id: a, valid: { until: 2026-07-01 }"]),
        "4:28: no rule `a` holds from 2026-07-01 until 2026-07-02 (close the gap: let `until` of one be `from` of the next)",
    );
    one(&rules(&["match: { source: cloud }"]), "3:3: the rule lacks `id` (add `id: …`)");
    one(
        &rules(&["id: a, valid: { from: 2026-07-01, until: 2026-07-01 }"]),
        "3:38: the rule ends (2026-07-01) before it begins (2026-07-01) (`until` is the first day on which it no longer holds)",
    );
    one(
        &rules(&["id: a, valid: { from: 2026-13-01 }"]),
        "3:46: `from` is \"2026-13-01\" (\"2026-13-01\" is not a date: write YYYY-MM-DD)",
    );
    one(
        &rules(&["id: focus/default@1"]),
        "3:28: `focus/default@1` is the id of a built-in rule (choose another id; your rules come before the built-in ones)",
    );
}

#[test]
fn owners_that_a_strict_directory_does_not_list() {
    let owners = "owners: { file: owners.csv, strict: true }\n";
    let found = wrong(&format!(
        "{owners}groups: {{ g: [chekout, shop] }}\nallocation:\n- id: r\n  chain: [ {{ fixed: {{ search: 50, nobody: 50 }} }} ]\n"
    ));
    assert_eq!(
        found,
        [
            "tenants/acme.yaml:3:15: owner `chekout` is not in the owner directory, which is strict (did you mean `checkout`?)",
            "tenants/acme.yaml:6:35: owner `nobody` is not in the owner directory, which is strict (add the line `nobody,,,` to owners.csv)"
        ]
    );
}

#[test]
fn tags_groups_and_drivers() {
    one(
        "tags: { a: { from: [vtag.b] }, b: { from: [vtag.a] } }",
        "2:9: these look at each other in a circle: vtag.a, vtag.b (let one of them look at a column or tag instead)",
    );
    one("tags: { a: { values: [ trim ] } }", "2:12: virtual tag `a` lacks `from` (add `from: …`)");
    one(
        "tags: { a: { from: tag.x, values: [ upper ] } }",
        "2:37: a normaliser is \"upper\" (known: trim, lowercase)",
    );
    one(
        "tags: { a: { from: tag.x, values: [ { regex: '(?P<t>x)', to: '$team' } ] } }",
        "2:62: `$team` names no group of the regular expression (name a group that it has, in braces if letters follow; write $$ for a plain $)",
    );
    one(
        "groups: { g: [] }",
        "2:14: group `g` is an empty list (write at least one entry, or remove the key)",
    );
    one("groups: { g: [a, a] }", "2:18: `a` is in group `g` twice (remove one)");
    one(
        "groups: { merged_active: [a] }",
        "2:11: group `merged_active` has the name of a resolution set (choose another name)",
    );
    one(
        "drivers: { d: { metric: x, table: y } }",
        "2:15: driver `d` needs exactly one of `metric`, `table` and `ledger` (say where its weights come from)",
    );
    one(
        "drivers: { d: { metric: 'sum by (a) (x)', source: clud } }",
        "2:51: there is no source `clud` (did you mean `cloud`?)",
    );
    one(
        "drivers: { d: { ledger: { sources: all }, owner: { table: x, key: y } } }",
        "2:50: `owner` belongs to a driver with `metric` (remove it)",
    );
    let table = "tables: { t: { file: teams.csv, key: [SubAccountId], value: team } }\n";
    let found = wrong(&format!("{table}drivers: {{ d: {{ table: t }} }}\n"));
    assert_eq!(
        found,
        [
            "tenants/acme.yaml:3:24: table `t` gives `1` the weight \"a\" (write a decimal number, 0 or more)"
        ]
    );
    let found = wrong(
        "tables: { t: { file: percents.csv, key: [owner], value: percent } }\nallocation: [ { id: r, chain: [ { direct: table.t } ] } ]",
    );
    assert!(
        found
            .iter()
            .any(|p| p
                .contains("table `t` cannot be looked up for a line: its key `owner` is no field")),
        "{found:?}"
    );
}

#[test]
fn tests_and_emitters() {
    let test = |text: &str| format!("tests:\n- {text}");
    one(
        &test("{ name: t, line: { cost: 10, date: 2026-01-01 }, expect: { a: 4, b: 5.5 } }"),
        "3:60: what is expected differs from the line's cost 10 by -0.5 (expect amounts that add to exactly the cost; UNALLOCATED may be one of them)",
    );
    one(
        &test("{ name: t, line: { cost: 1 }, expect: { a: 1 } }"),
        "3:20: the test's line lacks `date` (add `date: …`)",
    );
    one(
        &test(
            "{ name: t, rule: focus/defalt@1, line: { cost: 1, date: 2026-01-01 }, expect: { a: 1 } }",
        ),
        "3:20: there is no rule `focus/defalt@1` (did you mean `focus/default@1`?)",
    );
    one(
        "emitters: { out: { dir: x } }",
        "2:13: emitter `out` lacks `kind`, and its id is no kind (add `kind`, one of csv, focus, parquet, prometheus, webhook)",
    );
    one(
        "emitters: { csv: { aggregation: daily } }",
        "2:18: emitter `csv` lacks `dir` (add `dir: …`)",
    );
    let csv = |text: &str| format!("emitters: {{ csv: {{ dir: x, {text} }} }}");
    for (text, wrong) in [
        (
            "columns: [amount, amuont]",
            "2:46: `columns`: `amuont` is no column of CSV files (did you mean `amount`?)",
        ),
        ("columns: [line_id, line_id]", "2:47: `columns` names `line_id` twice (remove one)"),
        (
            "group_by: rule",
            "2:38: `group_by` does nothing without `aggregation` (add `aggregation: daily`, or remove `group_by`)",
        ),
        (
            "aggregation: hourly",
            "2:41: `aggregation: hourly` is finer than what there is: costs are kept by day (write `aggregation: daily`, or remove it for a row per line and receiver)",
        ),
        (
            "aggregation: daily, group_by: [amount]",
            "2:59: `group_by`: `amount` is added up (group by other columns)",
        ),
        (
            "aggregation: daily, group_by: [sevice]",
            "2:59: `group_by`: `sevice` is no column of CSV files (did you mean `service`?)",
        ),
        (
            "aggregation: daily, group_by: [rule, rule]",
            "2:65: `group_by` names `rule` twice (remove one)",
        ),
        (
            "aggregation: daily, columns: [service, currency]",
            "2:58: `columns`: `service` is not grouped by, so rows that are added up differ in it (add it to `group_by`, or remove it)",
        ),
        (
            "aggregation: daily, columns: [currency, list, quantity]",
            "2:74: `columns`: `quantity` is no sum: it can be of several units (add `unit` to `group_by`)",
        ),
    ] {
        one(&csv(text), wrong);
    }
    one(
        "emitters: { csv: { dir: x }, b: { kind: csv, dir: x } }",
        "2:13: emitter `csv` writes file acme_cloud_2026-05-01.csv for source `cloud`, as emitter `b` of tenant acme does for \
         source `cloud` (give it another `dir` or `file`)",
    );
    one(
        "emitters: { focus: { dir: x, group_by: [rule] } }",
        "2:40: `group_by` is for CSV: FOCUS has the rows and columns of its version (remove it, or write `kind: csv`)",
    );
    one(
        "emitters: { csv: { dir: x, version: \"1.2\" } }",
        "2:37: `version` is for FOCUS (remove it, or write `kind: focus`)",
    );
    one(
        "emitters: { csv: { dir: x, aggregation: daily, columns: [owner_id, amount] } }",
        "2:57: `columns`: sums of several currencies would look alike (add `currency`)",
    );
    one(
        "emitters: { csv: { dir: x, file: \"{day}.csv\" } }",
        "2:34: `file` is \"{day}.csv\" (`{day}` stands for nothing: there are {tenant}, {source}, {date} and {month})",
    );
    one(
        "emitters: { csv: { dir: x, aggregation: monthly, file: \"{source}/{date}.csv\" } }",
        "2:56: `file`: rows that are added up by month need a file of the month (write {month} instead of {date}, or \
         remove `file`)",
    );
    one(
        "emitters: { focus: { dir: x, format: parquet }, parquet: { dir: x } }",
        "2:49: emitter `parquet` writes file acme_cloud_2026-05-01.parquet for source `cloud`, as emitter `focus` of tenant acme does \
          for source `cloud` (give it another `dir` or `file`)",
    );
    one(
        "emitters: { csv: { dir: x, format: parquet } }",
        "2:36: kind csv has files of its own format (remove `format`, or use kind focus)",
    );
    one(
        "emitters: { parquet: { dir: x, format: csv } }",
        "2:40: kind parquet has files of its own format (remove `format`, or use kind focus)",
    );
    one(
        "emitters: { focus: { dir: x, decimals: 20 } }",
        "2:40: `decimals` is for Parquet: CSV has all of each number (remove it)",
    );
    one(
        "emitters: { parquet: { dir: x, decimals: 29 } }",
        "2:42: `decimals` is \"29\" (write a whole number from 0 to 28, or remove it: 18)",
    );
    one(
        "emitters: { focus: { dir: x, version: 1.1 } }",
        "2:39: `version` is \"1.1\" (write \"1.2\" or \"1.3\", or remove it: 1.2)",
    );
    one(
        "guards: { max_drop: 120% }",
        "2:21: `max_drop` is \"120%\" (a percentage lies between 0 and 100)",
    );
    one(
        "guards: { min_wall: 24 }",
        "2:21: `min_wall` is \"24\" (write a number with its unit, such as 90s, 30m, 24h, 5d or 2w)",
    );
    one(
        "guards: { zero_gather_threshold: 0 }",
        "2:34: `zero_gather_threshold` is \"0\" (write a whole number, 1 or more, or never)",
    );
    one(
        "retention: { dates: 20d }",
        "2:12: `retention` keeps dates for 20d, and they stay replayable for 35d (write `dates: 35d` or more, or lower nats.replay_horizon in apportion.yaml)",
    );
    one(
        "lookback: 90d\nretention: { dates: 60d }",
        "3:21: dates that `lookback` gathers would be removed (keep them longer, or make `lookback` shorter)",
    );
    one(
        "limits: { tasks: 3 }",
        "2:9: `limits` means nothing yet (remove it until that feature is there)",
    );
    one(
        "lookback: 0d",
        "2:11: `lookback` is \"0d\" (that leaves out every date: write at least 1d, or remove it for all dates)",
    );
    one(
        "emitters: { csv: { dir: x, lookback: 0d } }",
        "2:38: `lookback` is \"0d\" (that leaves out every date: write at least 1d, or remove it for all dates)",
    );
    one(
        "emitters: { csv: { dir: x, file: \"{date}.parquet\" } }",
        "2:34: `file` ends in .parquet, and its files are CSV (end it in .csv)",
    );
    one(
        "emitters: { csv: { dir: x, file: \"{date}.csv.gz\" } }",
        "2:34: `file` ends in .gz, and its files are CSV (end it in .csv)",
    );
    one(
        "emitters: { parquet: { dir: x, file: \"{date}.CSV\" } }",
        "2:38: `file` ends in .CSV, and its files are Parquet (end it in .parquet)",
    );
    one(
        "emitters: { focus: { dir: x, format: parquet, file: \"{month}/{source}.csv\" } }",
        "2:53: `file` ends in .csv, and its files are Parquet (end it in .parquet)",
    );
    one(
        "lookback: 5d\ncutoff: 5d",
        "2:11: no date lies between `lookback` and `cutoff` (make `lookback` longer than `cutoff`)",
    );
    one("on_bad_line: drop", "2:14: `on_bad_line` is \"drop\" (known: quarantine, hold)");
}

#[test]
fn what_does_not_run_yet_is_refused_by_name() {
    let text = "groups: { g: [a] }
drivers: { l: { ledger: { sources: all } } }
emitters: { csv: { dir: x, aggregation: monthly }, focus: { dir: z, lookback: 30d }, prometheus: {} }
allocation:
- { id: one, chain: [ { usage_ratio: l } ] }
- { id: two, chain: [ { composition: [ { percent: 100, chain: [ { in_proportion_to_cost: {} } ] } ] } ] }
- { id: three, chain: [ { in_proportion_to_cost: { window: date, to: g } } ] }
";
    let tenant = good_tenant(text);
    let found: Vec<String> = refuse_unbuilt(&tenant).iter().map(ToString::to_string).collect();
    let wanted = [
        "emitter `prometheus`: kind prometheus does not run yet (remove the emitter; kinds csv, focus and parquet run)",
    ];
    assert_eq!(found, wanted.map(|text| format!("tenants/acme.yaml: {text}")));
}

#[test]
fn failed_tests_of_rules_are_named() {
    let tenant = good_tenant(
        "tests: [ { name: t, line: { cost: 1, date: 2026-01-01, tag.x: 5 }, expect: { a: 1 } }, { name: u, line: { cost: 0, date: 2026-01-01 }, expect: {} } ]",
    );
    let found = run_tests(&tenant, |_, test| {
        if test.name == "u" { Ok(()) } else { Err("a gets 2, not 1".to_owned()) }
    });
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        ["tenants/acme.yaml: test `t`: a gets 2, not 1 (mend the rules or the test)"]
    );
}
