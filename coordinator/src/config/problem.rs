//! What is wrong with a configuration: where, what, how to mend it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::metrics::SECRET_KEYS;

/// A file that was read, kept for its name and its lines.
pub struct SourceFile {
    /// Relative to the configuration folder, with `/`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The name alone: the text may hold secrets.
impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A spot in a file. Line and column count from 1; line 0 means the file as a whole.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Its line.
    pub line: usize,
    /// Its column, in characters.
    pub column: usize,
}

impl Place {
    /// The file as a whole.
    #[must_use]
    pub fn whole(file: &Arc<SourceFile>) -> Self {
        Self { file: Arc::clone(file), line: 0, column: 0 }
    }
    /// The start of a line.
    #[must_use]
    pub fn line(file: &Arc<SourceFile>, line: usize) -> Self {
        Self { file: Arc::clone(file), line, column: 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file.name),
            line => write!(f, "{}:{line}:{}", self.file.name, self.column),
        }
    }
}

/// One thing that is wrong. Printed as `file:line:column: what (how to mend it)`, with the line and a caret below.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// File, relative to the configuration folder; or the folder itself.
    pub file: String,
    /// Line, from 1; 0: the file as a whole.
    pub line: usize,
    /// Column in characters, from 1; 0: the file as a whole.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub mend: String,
    /// The line's text, where it may be shown.
    pub excerpt: Option<Excerpt>,
    /// Keys, ids and names from the root of the tenant's file to what it is about, while its place is not known.
    pub path: Vec<String>,
}

/// A line, or what stands around the place where it is long.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Excerpt {
    /// Without user and password of addresses.
    pub text: String,
    /// Characters before the place; `None`: something before it is hidden.
    pub before: Option<usize>,
}

impl Excerpt {
    /// Most characters that are shown.
    const MOST: usize = 120;

    /// A line, and a column in it from 1.
    fn of(line: &str, column: usize) -> Self {
        let line = line.trim_end();
        let before = column.saturating_sub(1);
        let shown = masked(line);
        if shown != line {
            let long = shown.chars().count() > Self::MOST;
            let cut: String = shown.chars().take(Self::MOST).collect();
            return Self { text: if long { format!("{cut}…") } else { cut }, before: None };
        }
        let count = line.chars().count();
        let first = match count > Self::MOST {
            true => before.saturating_sub(Self::MOST / 3).min(count - Self::MOST),
            false => 0,
        };
        let middle: String = line.chars().skip(first).take(Self::MOST).collect();
        let (left, right) = (first > 0, first + Self::MOST < count);
        let text =
            format!("{}{middle}{}", if left { "…" } else { "" }, if right { "…" } else { "" });
        Self { text, before: Some(before - first + usize::from(left)) }
    }
}

impl Problem {
    /// A problem of a file (or folder) as a whole.
    #[must_use]
    pub fn of_file(
        file: impl Into<String>,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        let (file, what, mend) = (file.into(), masked(&what.into()), mend.into());
        Self { file, line: 0, column: 0, what, mend, excerpt: None, path: Vec::new() }
    }

    /// Says what of the tenant's file it is about; its place is looked up by who has the file.
    #[must_use]
    pub fn about(self, path: &[&str]) -> Self {
        Self { path: path.iter().map(|part| (*part).to_owned()).collect(), ..self }
    }

    /// A problem at a place.
    #[must_use]
    pub fn at(place: &Place, what: impl Into<String>, mend: impl Into<String>) -> Self {
        let line = place.line.checked_sub(1).and_then(|skip| place.file.text.lines().nth(skip));
        // A secret that was written out is not shown beside another problem of its line either.
        let line = line.filter(|text| !SECRET_KEYS.iter().any(|key| text.contains(key)));
        let excerpt = line.map(|text| Excerpt::of(text, place.column));
        let (line, column) = (place.line, place.column);
        Self { line, column, excerpt, ..Self::of_file(&place.file.name, what, mend) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {} ({})", self.file, self.what, self.mend),
            line => {
                write!(f, "{}:{line}:{}: {} ({})", self.file, self.column, self.what, self.mend)?;
                let Some(excerpt) = &self.excerpt else { return Ok(()) };
                write!(f, "\n  {line} | {}", excerpt.text)?;
                let Some(before) = excerpt.before else { return Ok(()) };
                // Tabs stay tabs, so that the caret stands below its character.
                let blank = |c: char| if c == '\t' { '\t' } else { ' ' };
                let blanks: String = excerpt.text.chars().take(before).map(blank).collect();
                write!(f, "\n  {:1$} | {blanks}^", "", line.to_string().len())
            }
        }
    }
}

/// Every problem of every file, by file and line. Printed one block per problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Problems found so far. The same problem at the same place counts once.
#[derive(Debug, Default)]
pub struct Report {
    found: BTreeSet<Problem>,
    /// Values that could not be found out: what else is said about them is noise.
    unknown: BTreeSet<(String, usize, usize)>,
    /// Files that were read.
    files: BTreeSet<PathBuf>,
}

impl Report {
    /// Notes a problem at a place.
    pub fn at(&mut self, place: &Place, what: impl Into<String>, mend: impl Into<String>) {
        self.add(Problem::at(place, what, mend));
    }
    /// Notes that a value could not be found out; nothing else is noted about it.
    pub fn unknown_at(&mut self, place: &Place, what: impl Into<String>, mend: impl Into<String>) {
        self.add(Problem::at(place, what, mend));
        self.unknown.insert((place.file.name.clone(), place.line, place.column));
    }
    /// Notes a problem whose line must not be shown, because it may hold a secret.
    pub fn hidden_at(&mut self, place: &Place, what: impl Into<String>, mend: impl Into<String>) {
        self.add(Problem { excerpt: None, ..Problem::at(place, what, mend) });
    }
    /// Notes that a file was read.
    pub fn reads(&mut self, file: &Path) {
        self.files.insert(file.to_owned());
    }
    /// Files that were read.
    #[must_use]
    pub fn files(&self) -> &BTreeSet<PathBuf> {
        &self.files
    }
    /// Notes a problem of a file as a whole.
    pub fn file(
        &mut self,
        file: impl Into<String>,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.add(Problem::of_file(file, what, mend));
    }
    /// Notes a problem.
    pub fn add(&mut self, problem: Problem) {
        if !self.unknown.contains(&(problem.file.clone(), problem.line, problem.column)) {
            self.found.insert(problem);
        }
    }
    /// How many problems were noted so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.found.len()
    }
    /// Nothing, or all problems.
    ///
    /// # Errors
    /// When anything was noted.
    pub fn finish(self) -> Result<(), Problems> {
        if self.found.is_empty() { Ok(()) } else { Err(Problems(self.found.into_iter().collect())) }
    }
}

/// Hides user and password of addresses: `nats://user:password@host` becomes `nats://***@host`.
fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find([' ', '"', '\'', ',']).unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(at) => {
                out.push_str("***");
                &after[at..]
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

/// The words that may have been meant: the nearest one, else all of them.
#[must_use]
pub fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(word, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "there are none".to_owned(),
        None => format!("known: {}", known.join(", ")),
    }
}

/// The word that may have been meant: the nearest one, if any is near.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = word.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&wanted, &name.to_lowercase());
    let near = known.into_iter().map(|name| (distance(name), name)).filter(|(distance, name)| {
        *distance <= (word.chars().count().max(name.chars().count()) / 3).max(1)
    });
    near.min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_place_what_mend_and_line() {
        let file =
            Arc::new(SourceFile { name: "tenants/a.yaml".into(), text: "x: 1\ny: 2\n".into() });
        let mut report = Report::default();
        report.at(&Place { file: Arc::clone(&file), line: 2, column: 4 }, "wrong", "right it");
        report.at(&Place { file: Arc::clone(&file), line: 2, column: 4 }, "wrong", "right it");
        report.at(&Place::whole(&file), "bad file", "delete it");
        let problems = report.finish().unwrap_err();
        assert_eq!(
            problems.to_string(),
            "tenants/a.yaml: bad file (delete it)\ntenants/a.yaml:2:4: wrong (right it)\n  2 | y: 2\n    |    ^"
        );
    }

    #[test]
    fn a_caret_stands_below_the_place_or_not_at_all() {
        let shown = |text: &str, column: usize| {
            let file = Arc::new(SourceFile { name: "a".into(), text: text.into() });
            let problem = Problem::at(&Place { file, line: 1, column }, "w", "m").to_string();
            problem.split_once('\n').unwrap().1.to_owned()
        };
        assert_eq!(shown("\tä: x  ", 5), "  1 | \tä: x\n    | \t   ^");
        assert_eq!(shown("a: x", 5), "  1 | a: x\n    |     ^");
        assert_eq!(shown("n: b://u:p@h, x: 1", 18), "  1 | n: b://***@h, x: 1");
        let long = format!("{}WRONG{}", "a".repeat(300), "b".repeat(300));
        let (line, caret) = (shown(&long, 301), |text: &str| text.find('^'));
        let (text, below) = line.split_once('\n').unwrap();
        assert!(text.starts_with("  1 | …aaa") && text.ends_with("bbb…"), "{text}");
        assert_eq!(text.chars().nth(caret(below).unwrap()), Some('W'));
        assert_eq!(text.chars().count(), 6 + 122);
    }

    #[test]
    fn addresses_are_masked() {
        assert_eq!(masked("nats: nats://u:p/w@h:4222, x"), "nats: nats://***@h:4222, x");
        assert_eq!(masked("a://t@h b://c@d e://f g"), "a://***@h b://***@d e://f g");
        assert_eq!(masked("no address"), "no address");
    }

    #[test]
    fn suggests_the_nearest_word_or_all() {
        assert_eq!(suggest("souces", ["sources", "tags"]), "did you mean `sources`?");
        assert_eq!(suggest("zzz", ["sources", "tags"]), "known: sources, tags");
        assert_eq!(suggest("x", []), "there are none");
    }
}
