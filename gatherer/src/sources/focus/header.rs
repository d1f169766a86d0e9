//! What stands where in the records of one file.

use std::collections::HashMap;

use proto::line::Measure;

use super::columns::{self, COLUMNS, Kind};
use super::error::FocusError;
use super::records::Record;
use crate::identity::{Tag, tag};

/// Columns of all files of a gather that FOCUS does not know: named by number in the spool.
#[derive(Debug, Default)]
pub struct ColumnNames {
    own: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl ColumnNames {
    /// The number of a column, known or not.
    pub fn number_of(&mut self, name: &str) -> u32 {
        columns::number(name).map_or_else(|| self.number(name), |number| number as u32)
    }
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = (COLUMNS.len() + self.own.len()) as u32;
        self.own.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
    /// The provider's own columns, as FOCUS has them named.
    pub fn of_provider(&self) -> impl Iterator<Item = &str> {
        self.own.iter().map(String::as_str).filter(|name| name.starts_with("x_"))
    }
    /// The name of a column.
    #[must_use]
    pub fn name(&self, number: u32) -> Option<&str> {
        let number = number as usize;
        COLUMNS
            .get(number)
            .map(|c| c.name)
            .or_else(|| Some(self.own.get(number - COLUMNS.len())?.as_str()))
    }
}

/// A column whose cells lines keep as text.
#[derive(Debug, Clone)]
pub struct CellColumn {
    /// Place in the record, from 0.
    pub field: usize,
    /// Number in the spool.
    pub number: u32,
    /// What stands in it.
    pub kind: Kind,
    /// Stands for the name where identities are hashed.
    pub tag: Tag,
}

/// Where the columns of a file are. Places count from 0.
#[derive(Debug)]
pub struct Layout {
    /// Number of columns.
    pub width: usize,
    /// Start of the charge period.
    pub charge_start: usize,
    /// End of the charge period.
    pub charge_end: Option<usize>,
    /// Start of the billing period.
    pub billing_start: Option<usize>,
    /// Currency.
    pub currency: usize,
    /// The four costs, in the order of [`Measure::ALL`].
    pub measures: [Option<usize>; 4],
    /// Pricing and consumed quantity.
    pub quantities: [Option<usize>; 2],
    /// Tags.
    pub tags: Option<usize>,
    /// All columns but those that are always carried as numbers, sorted by name. The ones of times are in here too:
    /// their cells are kept where the number says less than the text.
    pub cells: Vec<CellColumn>,
    /// The column of resource ids: its place among the cells.
    pub resource: Option<usize>,
    /// All names as the file writes them, in the file's order.
    pub written: Vec<String>,
}

const NO_COST: (&str, &str) = (
    ", which `cost` names",
    "write the cost column that the file has under `cost` (BilledCost, EffectiveCost, ContractedCost, ListCost), or fetch the bill with it",
);
const NO_DATE: (&str, &str) =
    (", so its charges have no date", "fetch the bill as FOCUS, which has it in every version");
const NO_CURRENCY: (&str, &str) =
    (", so its costs have no currency", "fetch the bill as FOCUS, which has it in every version");
const SEPARATOR: &str = "separate its columns by commas";
/// About so many bytes of column names are listed.
const PRESENT_BYTES_MAX: usize = 1_500;

impl Layout {
    /// The layout that a file's first record gives. Names of FOCUS columns are known in any letter case; blanks
    /// around names do not count.
    ///
    /// # Errors
    /// When a column that is needed is missing, or one is there twice.
    pub fn read(
        path: &str,
        header: &Record<'_>,
        cost: Measure,
        names: &mut ColumnNames,
    ) -> Result<Self, FocusError> {
        let mut written = Vec::with_capacity(header.fields());
        for i in 0..header.fields() {
            // UTF-16 without its mark reads as UTF-8 full of NUL.
            let text = std::str::from_utf8(header.field(i)).ok().filter(|t| !t.contains('\0'));
            let text = text.ok_or_else(|| FocusError::HeaderText(path.to_owned()))?;
            written.push(text.trim().to_owned());
        }
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut cells = Vec::new();
        for (field, text) in written.iter().enumerate() {
            let known = columns::recognise(text).map(|number| COLUMNS[number]);
            let name = match known {
                Some(column) => column.name.to_owned(),
                None if text.is_empty() => format!("x_Column{}", field + 1),
                None => text.clone(),
            };
            if let Some(first) = places.insert(name.clone(), field) {
                let (first, second) = (first + 1, field + 1);
                return Err(FocusError::TwiceColumn {
                    path: path.to_owned(),
                    column: name,
                    first,
                    second,
                });
            }
            let number = names.number_of(&name);
            let kind = known.map_or(Kind::Text, |column| column.kind);
            let cell = CellColumn { field, number, kind, tag: tag(&name) };
            cells.push((name, cell));
        }
        let place = |name: &str| places.get(name).copied();
        let need = |column: &'static str, (why, mend): (&'static str, &'static str)| {
            place(column).ok_or_else(|| {
                let separated = written.len() == 1 && written[0].contains([';', '\t', '|']);
                let mend = if separated { SEPARATOR } else { mend };
                let present = listed(&written);
                FocusError::NoColumn { path: path.to_owned(), column, why, mend, present }
            })
        };
        need(cost.column(), NO_COST)?;
        let charge_start = need(columns::CHARGE_START, NO_DATE)?;
        let currency = need(columns::CURRENCY, NO_CURRENCY)?;
        let measures = Measure::ALL.map(|measure| place(measure.column()));
        let quantities = columns::QUANTITIES.map(place);
        cells.retain(|(_, cell)| cell.field != currency && !measures.contains(&Some(cell.field)));
        cells.sort_by(|a, b| a.0.cmp(&b.0));
        let resource = cells.iter().position(|(name, _)| name == proto::line::cell::RESOURCE_ID);
        Ok(Self {
            width: written.len(),
            charge_start,
            charge_end: place(columns::CHARGE_END),
            billing_start: place(columns::BILLING_START),
            currency,
            measures,
            quantities,
            tags: place(proto::line::cell::TAGS),
            cells: cells.into_iter().map(|(_, cell)| cell).collect(),
            resource,
            written,
        })
    }
}

/// The names of columns, as many as a message bears: what is taken for a header may be any file's first line.
fn listed(names: &[String]) -> String {
    let mut text = String::new();
    for (at, name) in names.iter().enumerate() {
        if text.len() > PRESENT_BYTES_MAX {
            return format!("{text} and {} more", names.len() - at);
        }
        let comma = if at == 0 { "" } else { ", " };
        text.push_str(comma);
        text.extend(name.chars().take(PRESENT_BYTES_MAX));
    }
    text
}
