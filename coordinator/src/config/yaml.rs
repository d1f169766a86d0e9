//! YAML to a tree that keeps the text of every scalar and the place of every node.
//!
//! Scalars stay text: what is a number, a date or a percentage is decided by who reads it, so `33.3` never goes
//! through a float and `007` stays three digits.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::problem::{Place, Report, SourceFile};

/// Nodes of one file, aliases expanded: more is refused.
pub const MAX_NODES: usize = 200_000;
/// Levels of one file, aliases expanded: more is refused.
pub const MAX_DEPTH: usize = 64;

/// One node.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it stands.
    pub at: Place,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum Value {
    /// Nothing: left out, `~` or `null`.
    Null,
    /// A scalar.
    Text {
        /// As written, escapes resolved.
        text: String,
        /// In quotes or as a block: never a keyword.
        quoted: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in the order written; no key twice.
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_at: Place,
    /// The value.
    pub value: Node,
}

impl Node {
    /// `a list`, `a map`, … for messages.
    #[must_use]
    pub fn shape(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Text { .. } => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Reads a file that holds one document. `None` when it could not be understood (a problem says why); an empty file
/// gives [`Value::Null`].
pub fn parse(file: &Arc<SourceFile>, report: &mut Report) -> Option<Node> {
    let mut build =
        Build { file, report, stack: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None };
    let options = granit_parser::options! { emit_comments: false };
    for next in Parser::new_from_str_with_options(&file.text, options) {
        match next {
            Ok((event, span)) => build.event(event, span)?,
            Err(error) => {
                let mark = error.marker();
                let at =
                    Place { file: Arc::clone(file), line: mark.line(), column: mark.col() + 1 };
                let what = format!("this is not YAML: {}", error.info());
                build.report.at(&at, what, mend(file, mark.line()));
                return None;
            }
        }
    }
    let empty =
        Node { at: Place { file: Arc::clone(file), line: 1, column: 1 }, value: Value::Null };
    Some(build.root.map_or(empty, |built| built.node))
}

/// How to mend a line that is no YAML. Inside `{ … }` and `[ … ]` the braces of `${VAR}` are the file's own.
fn mend(file: &SourceFile, line: usize) -> String {
    let text = line.checked_sub(1).and_then(|skip| file.text.lines().nth(skip)).unwrap_or_default();
    let stops = |c: char| matches!(c, ' ' | ',' | '"' | '\'' | '[' | ']');
    let plain = text.split(stops).find(|word| word.starts_with("${"));
    let quoted =
        |word: &str| text.contains(&format!("\"{word}")) || text.contains(&format!("'{word}"));
    match plain.filter(|word| !quoted(word)) {
        Some(word) => format!("put it in quotes: \"{word}\""),
        None => "mend the YAML here or just above".to_owned(),
    }
}

/// A finished node with its size.
#[derive(Clone)]
struct Built {
    node: Node,
    nodes: usize,
    depth: usize,
}

/// A list or map that is still open.
struct Open {
    at: Place,
    anchor: usize,
    nodes: usize,
    depth: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    /// Line of each key so far.
    lines: HashMap<String, usize>,
    /// The key that waits for its value.
    waiting: Option<(String, Place)>,
}

struct Build<'f, 'r> {
    file: &'f Arc<SourceFile>,
    report: &'r mut Report,
    stack: Vec<Open>,
    anchors: HashMap<usize, Built>,
    nodes: usize,
    root: Option<Built>,
}

impl Build<'_, '_> {
    /// `None`: stop, a problem was noted.
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        let at = Place { file: Arc::clone(self.file), line, column };
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                let what = "a second document starts here";
                self.stop(&at, what, "keep one document per file: remove the `---`")
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.tag(tag.as_deref(), &at)?;
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let text = Value::Text { text: text.into_owned(), quoted: !plain };
                let node = Node { at, value: if null { Value::Null } else { text } };
                self.grow(&node.at, 1)?;
                self.close(Built { node, nodes: 1, depth: 1 }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), &at)?;
                self.open(at, anchor, Inside::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), &at)?;
                self.open(at, anchor, Inside::Map(OpenMap::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.stack.pop()?;
                let value = match open.inside {
                    Inside::Map(map) => Value::Map(map.entries),
                    Inside::List(items) => Value::List(items),
                };
                let node = Node { at: open.at, value };
                self.close(Built { node, nodes: open.nodes, depth: open.depth }, open.anchor)
            }
            Event::Alias(anchor) => {
                let Some(built) = self.anchors.get(&anchor) else {
                    let what = "an alias refers to a node that contains it";
                    return self.stop(&at, what, "write the value out");
                };
                let built = built.clone();
                self.grow(&at, built.nodes)?;
                self.close(built, 0)
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::UnresolvedAlias(_)
            | Event::Anchor(..) => Some(()),
            // Kinds of events that a later version of the parser may add carry no nodes.
            _ => Some(()),
        }
    }

    fn open(&mut self, at: Place, anchor: usize, inside: Inside) -> Option<()> {
        self.grow(&at, 1)?;
        self.stack.push(Open { at, anchor, nodes: 1, depth: 1, inside });
        Some(())
    }

    /// Counts nodes that are about to be kept.
    fn grow(&mut self, at: &Place, nodes: usize) -> Option<()> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES || self.stack.len() > MAX_DEPTH {
            let what = format!("the file grows beyond {MAX_NODES} nodes or {MAX_DEPTH} levels");
            return self.stop(at, &what, "split it, or use fewer aliases");
        }
        Some(())
    }

    fn close(&mut self, built: Built, anchor: usize) -> Option<()> {
        let at = built.node.at.clone();
        if built.depth > MAX_DEPTH {
            return self.stop(&at, &format!("this has more than {MAX_DEPTH} levels"), "nest less");
        }
        if anchor != 0 {
            self.grow(&at, built.nodes)?;
            self.anchors.insert(anchor, built.clone());
        }
        let Some(parent) = self.stack.last_mut() else {
            self.root = Some(built);
            return Some(());
        };
        parent.nodes += built.nodes;
        parent.depth = parent.depth.max(built.depth + 1);
        let map = match &mut parent.inside {
            Inside::List(items) => {
                items.push(built.node);
                return Some(());
            }
            Inside::Map(map) => map,
        };
        if let Some((key, key_at)) = map.waiting.take() {
            match map.lines.get(&key) {
                Some(line) => {
                    let what = format!("`{key}` stands here twice, first in line {line}");
                    self.report.at(&key_at, what, "remove one");
                }
                None => {
                    map.lines.insert(key.clone(), key_at.line);
                    map.entries.push(Entry { key, key_at, value: built.node });
                }
            }
            return Some(());
        }
        let (what, mend) = match built.node.value {
            Value::Text { text, .. } if text != "<<" => {
                map.waiting = Some((text, at));
                return Some(());
            }
            Value::Text { .. } => ("merge keys `<<` are not read here", "write the entries out"),
            Value::Null => {
                ("a key is missing before the `:`", "write the key, in quotes if it is `null`")
            }
            Value::List(_) | Value::Map(_) => ("a list or map is no key", "write a text as key"),
        };
        self.stop(&at, what, mend)
    }

    fn tag(&mut self, tag: Option<&Tag>, at: &Place) -> Option<()> {
        match tag {
            Some(tag) if !tag.is_yaml_core_schema() => {
                let what = format!("the tag `{}` means nothing here", tag.original());
                self.stop(at, &what, "remove it; put a text that starts with ! in quotes")
            }
            _ => Some(()),
        }
    }

    fn stop(&mut self, at: &Place, what: &str, mend: &str) -> Option<()> {
        self.report.at(at, what, mend);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, String> {
        let file = Arc::new(SourceFile { name: "t.yaml".into(), text: text.into() });
        let mut report = Report::default();
        let node = parse(&file, &mut report);
        report.finish().map_err(|problems| problems.to_string())?;
        Ok(node.unwrap())
    }

    #[test]
    fn scalars_keep_their_text() {
        let node = read("a: [33.30, 007, 1e3, yes, '~', ~, 2026-01-01]").unwrap();
        let Value::Map(entries) = node.value else { panic!() };
        let Value::List(items) = &entries[0].value.value else { panic!() };
        let text = |node: &Node| match &node.value {
            Value::Text { text, .. } => text.clone(),
            other @ (Value::Null | Value::List(_) | Value::Map(_)) => format!("{other:?}"),
        };
        let texts: Vec<String> = items.iter().map(text).collect();
        assert_eq!(texts, ["33.30", "007", "1e3", "yes", "~", "Null", "2026-01-01"]);
        assert_eq!((items[1].at.line, items[1].at.column), (1, 12));
    }

    #[test]
    fn aliases_are_copies() {
        let node = read("a: &x {k: v}\nb: *x\n").unwrap();
        let Value::Map(entries) = node.value else { panic!() };
        let Value::Map(inner) = &entries[1].value.value else { panic!() };
        assert_eq!(inner[0].key, "k");
    }

    #[test]
    fn what_is_refused() {
        let refused = |text: &str| read(text).unwrap_err();
        assert!(
            refused("a: 1\nb: 2\na: 3\n")
                .starts_with("t.yaml:3:1: `a` stands here twice, first in line 1 (remove one)")
        );
        assert!(refused("a: [1, 2\nb: 3\n").contains("this is not YAML"));
        assert!(refused("a: 1\n---\nb: 2\n").contains("a second document"));
        assert!(refused("a: !secret x\n").contains("the tag `!secret` means nothing here"));
        assert!(refused("x: &x {a: 1}\ny: {<<: *x}\n").contains("merge keys"));
        assert!(refused("? [a]\n: 1\n").contains("is no key"));
        assert!(refused("a: *b\n").contains("this is not YAML"));
    }

    #[test]
    fn bombs_are_bounded() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..10 {
            let prior = format!("*a{}, ", i - 1).repeat(10);
            bomb.push_str(&format!("a{i}: &a{i} [{prior}]\n"));
        }
        assert!(read(&bomb).unwrap_err().contains("200000 nodes"));
        let deep = format!("a: {}{}", "[".repeat(200), "]".repeat(200));
        assert!(read(&deep).unwrap_err().contains("64 levels"));
    }
}
