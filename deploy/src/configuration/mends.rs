//! Mistakes in the example are mended from the message alone: what it names is applied where it points, by a reader who
//! knows nothing else of configurations.

use std::fs;
use std::path::Path;

use super::check;
use super::sunbird::example_with;
use super::tests::no_env;

/// A file of the example, what is right there, and the mistake.
const MISTAKES: [(&str, &str, &str); 14] = [
    // An unknown key.
    (TENANT, "groups:\n", "gruops:\n"),
    // A duration without its unit.
    (TENANT, "final_after: 5d", "final_after: 5"),
    // Percents that do not add to 100.
    (TENANT, "checkout: 60, search: 40", "checkout: 60, search: 30"),
    // An owner whom a strict directory does not know: misspelt, and missing.
    (TENANT, "[checkout, data-platform, search]", "[checkout, data-platfrom, search]"),
    (OWNERS, "\nsearch,", "\nsearch-team,"),
    // An unknown group.
    (TENANT, "{ even: kafka_users }", "{ even: kafka_user }"),
    // A date in another notation.
    (TENANT, "until: 2026-07-01", "until: 1.7.2026"),
    // A tier after one that always applies.
    (
        TENANT,
        "    chain: [ { direct: table.accounts }, { unallocated: untagged } ]\n",
        "    chain:\n      - direct: table.accounts\n      - unallocated: untagged\n      - even: kafka_users\n",
    ),
    // A variable that is not set.
    (TENANT, "dir: out/csv", "dir: \"${OUT_DIR}/csv\""),
    // One id for two rules.
    (TENANT, "id: tagged", "id: tax"),
    // A regular expression that is not closed.
    (TENANT, "(?P<team>[a-z]+)-[a-z0-9-]+$", "(?P<team>[a-z]+-[a-z0-9-]+$"),
    // An unknown field, and an unknown column.
    (TENANT, "ServiceCategory: Networking", "ServiceCatgory: Networking"),
    (TENANT, "key: [SubAccountId]", "key: [SubAcountId]"),
    // A tier that does not exist.
    (TENANT, "{ usage_ratio: kafka_bytes }", "{ usage_rato: kafka_bytes }"),
];
const TENANT: &str = "tenants/sunbird.yaml";
const OWNERS: &str = "owners.csv";

/// What a message says.
#[derive(Debug)]
struct Message {
    file: String,
    line: usize,
    column: usize,
    what: String,
    mend: String,
}

/// Reads `file:line:column: what (mend)`; other lines are none.
fn messages(text: &str) -> Vec<Message> {
    let read = |line: &str| {
        let (place, said) = line.split_once(": ")?;
        let mut parts = place.rsplitn(3, ':');
        let (column, line) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (what, mend) = said.strip_suffix(')')?.split_once(" (")?;
        let file = parts.next()?.to_owned();
        Some(Message { file, line, column, what: what.to_owned(), mend: mend.to_owned() })
    };
    text.lines().filter_map(read).collect()
}

/// What stands between `start` and the next backtick.
fn named<'t>(text: &'t str, start: &str) -> Option<&'t str> {
    text.split_once(start)?.1.split_once('`').map(|(word, _)| word)
}

/// Applies what a message names.
fn apply(folder: &Path, message: &Message) {
    let mend = message.mend.as_str();
    if let Some(line) = named(mend, "add the line `") {
        let file = folder.join(mend.rsplit_once(" to ").unwrap().1);
        let text = fs::read_to_string(&file).unwrap();
        return fs::write(file, format!("{}\n{line}\n", text.trim_end())).unwrap();
    }
    let file = folder.join(&message.file);
    let text = fs::read_to_string(&file).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let line = &mut lines[message.line - 1];
    let at = line.char_indices().nth(message.column - 1).unwrap().0;
    let (before, rest) = line.split_at(at);
    // What stands at the place: in quotes, or up to where such a text ends.
    let end = match rest.strip_prefix('\'') {
        Some(quoted) => quoted.find('\'').unwrap() + 2,
        None => rest.find([' ', ',', ':', ']', '}']).unwrap_or(rest.len()),
    };
    let replaced = |by: &str| format!("{before}{by}{}", &rest[end..]);
    *line = if let Some(word) = named(mend, "did you mean `") {
        replaced(word)
    } else if let Some(value) = named(mend, "for instance this one to `") {
        replaced(value)
    } else if let Some(id) = named(mend, "for instance this one `") {
        replaced(id)
    } else if let Some(expression) = named(mend, "for instance: `") {
        replaced(&format!("'{expression}'"))
    } else if let Some(quoted) = mend.strip_prefix("put it in quotes: ") {
        line.replacen(quoted.trim_matches('"'), quoted, 1)
    } else if let Some((_, default)) = mend.split_once("give a default: ") {
        let plain = format!("{}}}", default.split_once(":-").unwrap().0);
        format!("{before}{}", rest.replacen(&plain, default, 1))
    } else if mend.starts_with("remove it") && before.trim() == "-" {
        String::new()
    } else {
        panic!("nothing can be applied: {message:?}")
    };
    fs::write(file, lines.join("\n") + "\n").unwrap();
}

fn seed(folder: &Path, (file, right, wrong): (&str, &str, &str)) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(right), "{right} in {text}");
    fs::write(path, text.replacen(right, wrong, 1)).unwrap();
}

/// Applies the first message again and again; gives how often.
fn mended(folder: &Path) -> usize {
    for count in 0..=2 * MISTAKES.len() {
        let checked = check(folder, &no_env);
        if checked.sound {
            return count;
        }
        let found = messages(&checked.text);
        let first = found.first().unwrap_or_else(|| panic!("no message: {}", checked.text));
        assert!(!first.what.is_empty());
        apply(folder, first);
    }
    panic!("{}", check(folder, &no_env).text)
}

#[test]
fn each_mistake_is_mended_from_its_message() {
    for mistake in MISTAKES {
        let folder = example_with("");
        seed(folder.path(), mistake);
        assert!(!check(folder.path(), &no_env).sound, "{mistake:?}");
        let mends = mended(folder.path());
        assert!((1..=3).contains(&mends), "{mends} mends for {mistake:?}");
    }
}

#[test]
fn a_variable_without_quotes_is_mended_twice() {
    let folder = example_with("");
    seed(folder.path(), (TENANT, "dir: out/csv", "dir: ${OUT_DIR}/csv"));
    assert_eq!(mended(folder.path()), 2);
}

#[test]
fn all_mistakes_are_told_in_one_go_and_mended() {
    let folder = example_with("");
    for mistake in MISTAKES {
        seed(folder.path(), mistake);
    }
    let first = check(folder.path(), &no_env).text;
    assert!(messages(&first).len() >= 10, "{first}");
    mended(folder.path());
}
