//! Lines as bytes of the spool, in an encoding whose byte order is the canonical order of lines.
//!
//! `resource id, 0 | charge start | base | amounts | charge end, period, currency | cells`
//!
//! Lines of one resource stand together, which keeps batches small; then come the hours; then the *base*: the hash
//! of everything but numbers. Lines with one base differ in numbers at most, and so are told apart by these, last.

use proto::column::{put_varint, take_varint};
use proto::currency::Currency;
use proto::hash::Hash128;
use proto::ids::{SourceId, TenantId};
use proto::line::{BillingLineItem, LineId};
use proto::money::Amount;
use proto::time::{BillingPeriod, UtcSeconds};

use super::header::ColumnNames;
use crate::identity::{Identity, PERIOD_BYTES, Tag, line_id, period_bytes};

/// No number.
const NONE: u8 = 0xff;
/// Set in the byte of the scale of a negative number.
const NEGATIVE: u8 = 0x40;

/// What a line carries as values of its own.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Start of the charge period.
    pub charge_start: UtcSeconds,
    /// End of the charge period.
    pub charge_end: UtcSeconds,
    /// Billing period.
    pub billing_period: BillingPeriod,
    /// Currency.
    pub currency: Currency,
    /// The measure that `cost` names.
    pub amount: Amount,
    /// `None` equals the amount.
    pub measures: [Option<Amount>; 4],
    /// Pricing and consumed quantity.
    pub quantities: [Option<Amount>; 2],
}

/// Writes lines for the spool.
#[derive(Debug)]
pub struct Encoder {
    identity: Identity,
    cells: Vec<u8>,
    resource: Vec<u8>,
}

impl Encoder {
    /// An encoder of the lines of a source.
    #[must_use]
    pub fn new(tenant: &TenantId, source: &SourceId) -> Self {
        Self { identity: Identity::new(tenant, source), cells: Vec::new(), resource: Vec::new() }
    }

    /// Starts a line.
    pub fn begin(&mut self) {
        self.identity.begin();
        self.cells.clear();
        self.resource.clear();
    }

    /// Adds a cell; cells come sorted by name, and are not empty. `tag` stands for the name in the line's identity;
    /// `None` keeps the cell out of it.
    pub fn cell(&mut self, number: u32, tag: Option<Tag>, text: &[u8]) {
        if let Some(tag) = tag {
            self.identity.cell(tag, text);
        }
        put_varint(&mut self.cells, u128::from(number));
        put_varint(&mut self.cells, text.len() as u128);
        self.cells.extend_from_slice(text);
    }

    /// Adds the cell of the resource's id, which lines are sorted by. It holds no byte 0.
    pub fn resource(&mut self, number: u32, tag: Tag, text: &[u8]) {
        self.identity.cell(tag, text);
        put_varint(&mut self.cells, u128::from(number));
        put_varint(&mut self.cells, 0);
        self.resource.extend_from_slice(text);
    }

    /// Writes the line to `out`, which is emptied first.
    pub fn finish(&mut self, head: &Head, out: &mut Vec<u8>) {
        let base = self.identity.base(
            head.charge_start,
            head.charge_end,
            head.billing_period,
            head.currency,
        );
        out.clear();
        out.extend_from_slice(&self.resource);
        out.push(0);
        out.extend_from_slice(&(head.charge_start.0 ^ i64::MIN).to_be_bytes());
        out.extend_from_slice(&base.0);
        put_amount(out, Some(head.amount));
        head.measures.iter().chain(&head.quantities).for_each(|amount| put_amount(out, *amount));
        out.extend_from_slice(&head.charge_end.0.to_be_bytes());
        out.extend_from_slice(&period_bytes(head.billing_period));
        out.extend_from_slice(head.currency.as_str().as_bytes());
        out.extend_from_slice(&self.cells);
    }
}

fn put_amount(out: &mut Vec<u8>, amount: Option<Amount>) {
    let Some(amount) = amount else { return out.push(NONE) };
    out.push(amount.scale() as u8 | if amount.is_negative() { NEGATIVE } else { 0 });
    put_varint(out, amount.mantissa().unsigned_abs());
}

fn take_amount(rest: &mut &[u8]) -> Option<Option<Amount>> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    if *first == NONE {
        return Some(None);
    }
    let units = i128::try_from(take_varint(rest)?).ok()?;
    let mantissa = if first & NEGATIVE == 0 { units } else { -units };
    Amount::from_parts(mantissa, u32::from(first & !NEGATIVE)).map(Some)
}

/// Reads lines of one date back, in their order, and gives each its id.
pub struct Decoder<'n> {
    names: &'n ColumnNames,
    base: Hash128,
    ordinal: u64,
    begun: bool,
    period: ([u8; PERIOD_BYTES], BillingPeriod),
    currency: ([u8; 3], Currency),
    line: BillingLineItem,
    spare: Vec<(String, String)>,
}

impl<'n> Decoder<'n> {
    /// A decoder of records whose columns have these names.
    #[must_use]
    pub fn new(names: &'n ColumnNames) -> Self {
        let period = proto::time::FIRST_DATE.period();
        let currency: Currency = "XXX".parse().expect("ISO 4217 has XXX for no currency");
        let line = BillingLineItem {
            id: LineId::default(),
            charge_start: UtcSeconds(0),
            charge_end: UtcSeconds(0),
            billing_period: period,
            currency,
            amount: Amount::ZERO,
            measures: [None; 4],
            quantities: [None; 2],
            resolution_key: None,
            cells: Vec::new(),
        };
        let (base, spare) = (Hash128([0; 16]), Vec::new());
        let (period, currency) = ((period_bytes(period), period), (*b"XXX", currency));
        Self { names, base, ordinal: 0, begun: false, period, currency, line, spare }
    }

    /// The line that a record holds. Records of one date must come in their order. `None`: it holds none.
    pub fn line(&mut self, record: &[u8]) -> Option<&BillingLineItem> {
        let split = memchr::memchr(0, record)?;
        let (resource, mut rest) = (&record[..split], &record[split + 1..]);
        let start = i64::from_be_bytes(take(&mut rest)?) ^ i64::MIN;
        let base = Hash128(take(&mut rest)?);
        self.ordinal = if self.begun && base == self.base { self.ordinal + 1 } else { 0 };
        (self.base, self.begun) = (base, true);
        self.line.id = line_id(base, self.ordinal);
        self.line.charge_start = UtcSeconds(start);
        self.line.amount = take_amount(&mut rest)??;
        for measure in &mut self.line.measures {
            *measure = take_amount(&mut rest)?;
        }
        for quantity in &mut self.line.quantities {
            *quantity = take_amount(&mut rest)?;
        }
        self.line.charge_end = UtcSeconds(i64::from_be_bytes(take(&mut rest)?));
        self.line.billing_period = recall(&mut self.period, take(&mut rest)?)?;
        self.line.currency = recall(&mut self.currency, take(&mut rest)?)?;
        let mut count = 0;
        while !rest.is_empty() {
            let number = u32::try_from(take_varint(&mut rest)?).ok()?;
            let length = usize::try_from(take_varint(&mut rest)?).ok()?;
            let (text, tail) = rest.split_at_checked(length)?;
            rest = tail;
            let text = if length == 0 { resource } else { text };
            self.set_cell(count, self.names.name(number)?, std::str::from_utf8(text).ok()?);
            count += 1;
        }
        self.spare.extend(self.line.cells.drain(count..));
        Some(&self.line)
    }

    /// Cells are overwritten in place, so that a million lines do not cost a million times their strings.
    fn set_cell(&mut self, at: usize, name: &str, text: &str) {
        if at == self.line.cells.len() {
            self.line.cells.push(self.spare.pop().unwrap_or_default());
        }
        let cell = &mut self.line.cells[at];
        for (slot, text) in [(&mut cell.0, name), (&mut cell.1, text)] {
            if slot != text {
                slot.clear();
                slot.push_str(text);
            }
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

/// The value of a text; the last one is remembered, because it is nearly always the same.
fn recall<const N: usize, T: Copy + std::str::FromStr>(
    memory: &mut ([u8; N], T),
    text: [u8; N],
) -> Option<T> {
    if memory.0 != text {
        *memory = (text, std::str::from_utf8(&text).ok()?.parse().ok()?);
    }
    Some(memory.1)
}
