//! The columns of a file, as far as they nest. Pure.

use std::ops::Range;

use parquet::basic::{ConvertedType, LogicalType, Repetition};
use parquet::schema::types::Type;

use super::text::Meaning;

/// How deep columns may nest: no bill's do more than a few levels.
const DEPTH_MAX: usize = 16;

/// A column, or a part of a nested one.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The definition level from which on it is there; below, it is null.
    pub def: i16,
    /// The leaves that it consists of.
    pub leaves: Range<usize>,
    /// What it consists of.
    pub shape: Shape,
}

/// What a column consists of.
#[derive(Debug)]
pub enum Shape {
    /// A value.
    Leaf,
    /// Named parts.
    Struct(Vec<Node>),
    /// Any number of elements.
    List(Repeated, Box<Node>),
    /// Any number of keys, each with its value.
    Map(Repeated, Box<[Node; 2]>),
}

/// The levels of what repeats.
#[derive(Debug, Clone, Copy)]
pub struct Repeated {
    /// The definition level from which on there are elements; below, there is none.
    pub def: i16,
    /// The repetition level of each element but the first.
    pub rep: i16,
}

/// The columns of a schema, and what the values of each leaf mean.
///
/// # Errors
/// The column that is not read, and why.
pub fn columns(root: &Type) -> Result<(Vec<Node>, Vec<Meaning>), (String, String)> {
    let mut leaves = Vec::new();
    let columns = root.get_fields().iter().map(|field| {
        let top = Place { def: 0, rep: 0, depth: 0 };
        node(field, top, &mut leaves).map_err(|why| (field.name().to_owned(), why))
    });
    let columns = columns.collect::<Result<_, _>>()?;
    Ok((columns, leaves))
}

/// The levels of what a node is part of.
#[derive(Clone, Copy)]
struct Place {
    def: i16,
    rep: i16,
    depth: usize,
}

fn node(it: &Type, of: Place, leaves: &mut Vec<Meaning>) -> Result<Node, String> {
    let repetition = it.get_basic_info().has_repetition().then(|| it.get_basic_info().repetition());
    match repetition {
        Some(Repetition::REPEATED) => {
            // A list without a group around it.
            let inner = Place { def: of.def + 1, rep: of.rep + 1, ..of };
            let start = leaves.len();
            let element = Box::new(present(it, inner, leaves)?);
            let shape = Shape::List(Repeated { def: inner.def, rep: inner.rep }, element);
            let leaves = start..leaves.len();
            Ok(Node { name: it.name().to_owned(), def: of.def, leaves, shape })
        }
        Some(Repetition::OPTIONAL) => present(it, Place { def: of.def + 1, ..of }, leaves),
        Some(Repetition::REQUIRED) | None => present(it, of, leaves),
    }
}

/// What a type is where it is there.
fn present(it: &Type, at: Place, leaves: &mut Vec<Meaning>) -> Result<Node, String> {
    let start = leaves.len();
    let inner = Place { depth: at.depth + 1, ..at };
    if inner.depth > DEPTH_MAX {
        return Err(format!("nested deeper than {DEPTH_MAX} levels"));
    }
    let shape = if it.is_primitive() {
        leaves.push(Meaning::of(it)?);
        Shape::Leaf
    } else {
        let (fields, again) = (it.get_fields(), Repeated { def: at.def + 1, rep: at.rep + 1 });
        let below = Place { def: again.def, rep: again.rep, ..inner };
        match (annotation(it), fields) {
            (Annotation::Map, [pairs]) if pairs.is_group() && pairs.get_fields().len() == 2 => {
                let [key, value] = [0, 1].map(|n| node(&pairs.get_fields()[n], below, leaves));
                Shape::Map(again, Box::new([key?, value?]))
            }
            (Annotation::List, [list]) if is_wrapped(it, list) => {
                Shape::List(again, Box::new(node(&list.get_fields()[0], below, leaves)?))
            }
            (Annotation::List, [list]) if is_repeated(list) => {
                Shape::List(again, Box::new(present(list, below, leaves)?))
            }
            _ => {
                let fields = fields.iter().map(|field| node(field, inner, leaves));
                Shape::Struct(fields.collect::<Result<_, _>>()?)
            }
        }
    };
    if start == leaves.len() {
        return Err("without any value".to_owned());
    }
    Ok(Node { name: it.name().to_owned(), def: at.def, leaves: start..leaves.len(), shape })
}

enum Annotation {
    Map,
    List,
    None,
}

fn annotation(it: &Type) -> Annotation {
    let info = it.get_basic_info();
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::Map), _) | (None, ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE) => {
            Annotation::Map
        }
        (Some(LogicalType::List), _) | (None, ConvertedType::LIST) => Annotation::List,
        _ => Annotation::None,
    }
}

fn is_repeated(it: &Type) -> bool {
    let info = it.get_basic_info();
    info.has_repetition() && info.repetition() == Repetition::REPEATED
}

/// Whether the repeated part of a list is a mere wrapper of its element, by the format's rules for old writers.
fn is_wrapped(list: &Type, repeated: &Type) -> bool {
    let tuple = format!("{}_tuple", list.name());
    is_repeated(repeated)
        && repeated.is_group()
        && repeated.get_fields().len() == 1
        && repeated.name() != "array"
        && repeated.name() != tuple
}
