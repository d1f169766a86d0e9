//! From the levels of leaves to cells: nested ones as JSON.

use super::leaf::{Form, Leaf, quote};
use super::schema::{Node, Shape};

/// The levels of a column do not fit its schema: it is damaged.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken;

/// The leaves of all columns.
pub type Leaves = [Box<dyn Leaf>];

/// Writes the next row's cell of a column: nothing for null, JSON for what is nested.
///
/// # Errors
/// When it is damaged.
pub fn cell(column: &Node, leaves: &mut Leaves, out: &mut Vec<u8>) -> Result<(), Broken> {
    let (def, rep) = leaves[column.leaves.start].next().ok_or(Broken)?;
    if rep != 0 {
        return Err(Broken);
    }
    match column.shape {
        Shape::Leaf if def >= column.def => {
            taken(leaves[column.leaves.start].take(Form::Plain, out))
        }
        _ if def < column.def => skip(column, leaves),
        Shape::Leaf | Shape::Struct(_) | Shape::List(..) | Shape::Map(..) => {
            json(column, leaves, Form::Json, out)
        }
    }
}

/// Writes a value of JSON.
fn json(node: &Node, leaves: &mut Leaves, form: Form, out: &mut Vec<u8>) -> Result<(), Broken> {
    let first = node.leaves.start;
    let (def, _) = leaves[first].next().ok_or(Broken)?;
    if def < node.def {
        out.extend_from_slice(if form == Form::Key { b"\"\"" } else { b"null" });
        return skip(node, leaves);
    }
    match &node.shape {
        Shape::Leaf => taken(leaves[first].take(form, out)),
        Shape::Struct(fields) => {
            for (at, field) in fields.iter().enumerate() {
                out.push(if at == 0 { b'{' } else { b',' });
                quote(field.name.as_bytes(), out);
                out.push(b':');
                json(field, leaves, Form::Json, out)?;
            }
            out.push(b'}');
            Ok(())
        }
        Shape::List(repeated, element) => {
            out.push(b'[');
            if def < repeated.def {
                skip(node, leaves)?;
            } else {
                loop {
                    json(element, leaves, Form::Json, out)?;
                    if !goes_on(leaves, first, repeated.rep) {
                        break;
                    }
                    out.push(b',');
                }
            }
            out.push(b']');
            Ok(())
        }
        Shape::Map(repeated, pair) => {
            let [key, value] = &**pair;
            out.push(b'{');
            if def < repeated.def {
                skip(node, leaves)?;
            } else {
                loop {
                    json(key, leaves, Form::Key, out)?;
                    out.push(b':');
                    json(value, leaves, Form::Json, out)?;
                    if !goes_on(leaves, first, repeated.rep) {
                        break;
                    }
                    out.push(b',');
                }
            }
            out.push(b'}');
            Ok(())
        }
    }
}

/// Whether another element follows in what repeats at this level.
fn goes_on(leaves: &Leaves, first: usize, rep: i16) -> bool {
    leaves[first].next().is_some_and(|(_, next)| next == rep)
}

/// Passes over a node that has no value here: each of its leaves has one level that says so.
fn skip(node: &Node, leaves: &mut Leaves) -> Result<(), Broken> {
    for leaf in &mut leaves[node.leaves.clone()] {
        leaf.next().ok_or(Broken)?;
        leaf.skip();
    }
    Ok(())
}

fn taken(it: bool) -> Result<(), Broken> {
    it.then_some(()).ok_or(Broken)
}
