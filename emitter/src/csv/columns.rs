//! The columns of CSV files, and what stands in them. Pure.

use csv::ByteRecord;
use proto::config::emitter::CSV_COLUMNS;
use proto::line::Measure;
use proto::money::Amount;
use proto::time::UtcSeconds;

use crate::clock::Clock;
use crate::emission::{Place, VisibleRow};

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The source's kind.
    Ecosystem,
    /// Whose.
    Tenant,
    /// Of which source.
    Source,
    /// Start of the charge period, or of the days that are added up.
    Start,
    /// What cost money.
    Resource,
    /// Coarse kind of product.
    ProductCategory,
    /// Kind of product.
    ProductType,
    /// Who caused it.
    Identity,
    /// `usage` or `shared`.
    CostType,
    /// The measure that the source's `cost` names.
    Amount,
    /// ISO code.
    Currency,
    /// The tier's name.
    Method,
    /// Reason or detail.
    Detail,
    /// Id of the line.
    Line,
    /// Id of the rule.
    Rule,
    /// End of the charge period, or of the days that are added up; exclusive.
    End,
    /// The provider's month.
    BillingPeriod,
    /// The month that it is booked in.
    BookingPeriod,
    /// Provider's invoice.
    Invoice,
    /// Provider.
    Provider,
    /// Payer's account.
    BillingAccount,
    /// Account, subscription or project.
    SubAccount,
    /// Service.
    Service,
    /// Usage, Purchase, Tax, Credit, Adjustment.
    ChargeCategory,
    /// Absent or Correction.
    ChargeClass,
    /// Who pays.
    Owner,
    /// The pricing quantity, else the consumed one.
    Quantity,
    /// Its unit.
    Unit,
    /// A cost.
    Cost(Measure),
    /// Kind of booking.
    Entry,
}

/// In the order of [`CSV_COLUMNS`].
const COLUMNS: [Column; CSV_COLUMNS.len()] = [
    Column::Ecosystem,
    Column::Tenant,
    Column::Source,
    Column::Start,
    Column::Resource,
    Column::ProductCategory,
    Column::ProductType,
    Column::Identity,
    Column::CostType,
    Column::Amount,
    Column::Currency,
    Column::Method,
    Column::Detail,
    Column::Line,
    Column::Rule,
    Column::End,
    Column::BillingPeriod,
    Column::BookingPeriod,
    Column::Invoice,
    Column::Provider,
    Column::BillingAccount,
    Column::SubAccount,
    Column::Service,
    Column::ChargeCategory,
    Column::ChargeClass,
    Column::Owner,
    Column::Quantity,
    Column::Unit,
    Column::Cost(Measure::Billed),
    Column::Cost(Measure::Effective),
    Column::Cost(Measure::Contracted),
    Column::Cost(Measure::List),
    Column::Entry,
];

/// What stands in a column.
pub enum Cell<'a> {
    /// A text.
    Text(&'a str),
    /// A time or id: nothing that a spreadsheet could run.
    Plain(&'a [u8]),
    /// A number.
    Number(Amount),
    /// Nothing.
    Null,
}

/// Space for cells that are made, not there already.
#[derive(Default)]
pub struct Scratch {
    clock: Clock,
    line: [u8; 32],
}

impl Column {
    /// The column of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        CSV_COLUMNS.iter().position(|column| *column == name).map(|at| COLUMNS[at])
    }

    /// What stands in it; `span` is what the row's time is told as.
    pub fn cell<'a>(
        self,
        row: &'a VisibleRow,
        place: &'a Place,
        span: [UtcSeconds; 2],
        scratch: &'a mut Scratch,
    ) -> Cell<'a> {
        let (line, why) = (&*row.of, &*row.why);
        let text = |text: &'a Option<String>| text.as_deref().map_or(Cell::Null, Cell::Text);
        match self {
            Self::Ecosystem => text(&place.ecosystem),
            Self::Tenant => Cell::Text(place.tenant.as_str()),
            Self::Source => Cell::Text(place.source.as_str()),
            Self::Start => Cell::Plain(scratch.clock.text(span[0])),
            Self::Resource => text(&line.resource_id),
            Self::ProductCategory => text(&line.product_category),
            Self::ProductType => text(&line.product_type),
            Self::Identity => Cell::Text(&why.identity),
            Self::CostType => Cell::Text(&why.cost_type),
            Self::Amount => Cell::Number(row.amount),
            Self::Currency => Cell::Text(&line.currency),
            Self::Method => Cell::Text(&why.method),
            Self::Detail => text(&why.detail),
            Self::Line => {
                scratch.line = row.line.0.hex();
                Cell::Plain(&scratch.line)
            }
            Self::Rule => Cell::Text(&why.rule),
            Self::End => Cell::Plain(scratch.clock.text(span[1])),
            Self::BillingPeriod => Cell::Text(&line.billing_period),
            Self::BookingPeriod => Cell::Text(&why.booking_period),
            Self::Invoice => text(&line.invoice_id),
            Self::Provider => text(&line.provider),
            Self::BillingAccount => text(&line.billing_account_id),
            Self::SubAccount => text(&line.sub_account_id),
            Self::Service => text(&line.service),
            Self::ChargeCategory => text(&line.charge_category),
            Self::ChargeClass => text(&line.charge_class),
            Self::Owner => Cell::Text(&why.owner),
            Self::Quantity => row.quantity().map_or(Cell::Null, |(number, _)| Cell::Number(number)),
            Self::Unit => row.quantity().map_or(Cell::Null, |(_, unit)| Cell::Text(unit)),
            Self::Cost(measure) => Cell::Number(row.measures[measure as usize]),
            Self::Entry => Cell::Text(&why.entry),
        }
    }
}

impl Cell<'_> {
    /// Gives the bytes to be written to `out`, maybe in two pieces.
    pub fn write(&self, out: &mut impl FnMut(&[u8])) {
        match self {
            Self::Text(text) => {
                if is_formula(text) {
                    out(b"'");
                }
                out(text.as_bytes());
            }
            Self::Plain(bytes) => out(bytes),
            Self::Number(number) => out(number.to_text().as_bytes()),
            Self::Null => {}
        }
    }

    /// Appends it as a field.
    pub fn push(&self, out: &mut ByteRecord) {
        match self {
            Self::Text(text) if is_formula(text) => out.push_field(format!("'{text}").as_bytes()),
            Self::Text(text) => out.push_field(text.as_bytes()),
            Self::Plain(bytes) => out.push_field(bytes),
            Self::Number(number) => out.push_field(number.to_text().as_bytes()),
            Self::Null => out.push_field(b""),
        }
    }
}

/// Whether a spreadsheet would run the text; an apostrophe in front keeps it from that.
fn is_formula(text: &str) -> bool {
    match text.as_bytes().first() {
        None => false,
        Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r') => true,
        Some(first) => !first.is_ascii() && text.starts_with(['＝', '＋', '－', '＠']),
    }
}
