//! The Rust sources of the workspace, taken apart just far enough: code without comments and texts, and the texts.

use std::fs;
use std::path::{Path, PathBuf};

/// One `.rs` file.
pub struct Source {
    /// From the workspace's root, with `/`.
    pub path: String,
    /// Everything, as it stands.
    pub text: String,
    /// The code: comments and what stands between quotes are blanks, and a test module at the end is cut off.
    pub code: String,
    /// Texts between quotes outside of that test module: line, content.
    pub literals: Vec<(usize, String)>,
}

/// The workspace's root.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests lie in the workspace").to_owned()
}

/// Every source of the members.
pub fn all(members: &[&str]) -> Vec<Source> {
    let mut sources = Vec::new();
    for member in members {
        let before = sources.len();
        collect(&root().join(member), &mut sources);
        assert!(sources.len() > before, "no source was found in {member}");
    }
    sources.sort_by(|a: &Source, b| a.path.cmp(&b.path));
    sources.dedup_by(|a, b| a.path == b.path);
    sources
}

fn collect(folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            let path = path.strip_prefix(root()).expect("it lies in the workspace");
            sources.push(Source::new(path.to_string_lossy().replace('\\', "/"), text));
        }
    }
}

impl Source {
    fn new(path: String, text: String) -> Self {
        let cut = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        let (code, literals) = take_apart(&text[..cut]);
        Self { path, code, literals, text }
    }

    /// Whether it is test code as a whole.
    pub fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
    }

    /// The lines of the code in which `word` stands as a whole word; it may be a path like `std::fs`.
    pub fn lines_with(&self, word: &str) -> Vec<usize> {
        let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let whole = |line: &str| {
            line.match_indices(word).any(|(at, _)| {
                !line[..at].ends_with(part_of_word)
                    && !line[at + word.len()..].starts_with(part_of_word)
            })
        };
        let lines = self.code.lines().enumerate();
        lines.filter(|(_, line)| whole(line)).map(|(at, _)| at + 1).collect()
    }

    /// The line of a place in the code.
    pub fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }
}

/// Code with blanks for comments and texts, and the texts with their lines.
fn take_apart(text: &str) -> (String, Vec<(usize, String)>) {
    let mut code = String::with_capacity(text.len());
    let mut literals = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let before = code.chars().next_back();
        let (len, literal) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), None),
            '/' if rest.starts_with("/*") => (comment_end(rest), None),
            '"' => quoted(rest, 1),
            'b' if rest.starts_with("b\"") && !word(before) => quoted(rest, 2),
            'r' | 'b' if !word(before) && raw_prefix(rest).is_some() => raw(rest),
            '\'' => (char_end(rest), None),
            _ => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
        };
        if let Some(literal) = literal {
            literals.push((code.matches('\n').count() + 1, literal.to_owned()));
        }
        code.extend(rest[..len].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[len..];
    }
    (code, literals)
}

fn word(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

fn comment_end(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        let rest = &text[at..];
        let Some(next) = rest.find("/*").into_iter().chain(rest.find("*/")).min() else {
            return text.len();
        };
        depth = if rest[next..].starts_with("/*") { depth + 1 } else { depth - 1 };
        at += next + 2;
        if depth == 0 {
            return at;
        }
    }
}

/// Length of a text in quotes that opens before `start`, and what stands in it.
fn quoted(text: &str, start: usize) -> (usize, Option<&str>) {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(start) {
        match c {
            '"' if !escaped => return (at + 1, Some(&text[start..at])),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    (text.len(), Some(&text[start..]))
}

/// Number of `#` of a raw text that starts here.
fn raw_prefix(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

fn raw(text: &str) -> (usize, Option<&str>) {
    let hashes = raw_prefix(text).expect("asked before");
    let start = text.find('"').expect("asked before") + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = text[start..].find(&close).map_or(text.len(), |at| start + at);
    ((end + close.len()).min(text.len()), Some(&text[start..end]))
}

/// Length of a character in quotes, or 1 where a lifetime starts.
fn char_end(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(1, |at| at + 4),
        Some((at, c)) if text[at + c.len_utf8()..].starts_with('\'') => at + c.len_utf8() + 1,
        _ => 1,
    }
}

#[test]
fn sources_are_taken_apart() {
    let text = r####"let a = "x // \" y"; // SystemTime
let b = r#"raw " text"#; /* tokio /* nested */ */ let c = 'x'; let d = '\''; let e: &'static str = b"z";
let instant = Instants; for_tokio();"####;
    let source = Source::new("x/src/lib.rs".into(), text.into());
    let found: Vec<&str> = source.literals.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(found, ["x // \\\" y", "raw \" text", "z"]);
    assert_eq!(source.literals[1].0, 2);
    assert_eq!(source.lines_with("static"), [2]);
    for absent in ["SystemTime", "tokio", "nested", "raw", "Instant"] {
        assert_eq!(source.lines_with(absent), Vec::<usize>::new(), "{absent}");
    }
}
