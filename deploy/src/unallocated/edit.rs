//! Changes of the user's CSV files: one line each, everything else to the byte. Pure.

use anyhow::{Context, Result};

/// The file with an alias more for the owner of that id.
///
/// # Errors
/// When the file is no CSV, or has no such owner or no column `aliases`.
pub fn add_alias(text: &str, owner: &str, value: &str) -> Result<String> {
    let lines = Lines::of(text)?;
    let (id, aliases) = (
        lines.column("id")?,
        lines
            .column("aliases")
            .context("the owner file has no column `aliases`: add one, and run this again")?,
    );
    let row = lines.row(|cells| cells.get(id).is_some_and(|cell| cell.trim() == owner))?;
    let row = row.with_context(|| format!("the owner file has no owner {owner}"))?;
    let with = |cells: &mut Vec<String>| {
        let known = cells[aliases].trim().to_owned();
        cells[aliases] =
            if known.is_empty() { value.to_owned() } else { format!("{known}; {value}") };
    };
    lines.changed(row, with)
}

/// The file with this value for a key: in its row where that is there with an empty value, else in a new last row.
///
/// # Errors
/// When the file is no CSV, or lacks a column.
pub fn set_row(
    text: &str,
    (key_column, key): (&str, &str),
    (value_column, value): (&str, &str),
) -> Result<String> {
    let lines = Lines::of(text)?;
    let (at_key, at_value) = (lines.column(key_column)?, lines.column(value_column)?);
    let row = lines.row(|cells| cells.get(at_key).is_some_and(|cell| cell.trim() == key))?;
    if let Some(row) = row {
        return lines.changed(row, |cells| cells[at_value] = value.to_owned());
    }
    let mut cells = vec![String::new(); lines.header.len()];
    (cells[at_key], cells[at_value]) = (key.to_owned(), value.to_owned());
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    Ok(format!("{text}{end}{}\n", written(&cells)?))
}

struct Lines<'t> {
    text: &'t str,
    header: Vec<String>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Result<Self> {
        let header = reader(text).headers().context("the file has no header")?.clone();
        let header = header.iter().map(|name| name.trim().to_owned()).collect();
        Ok(Self { text, header })
    }

    fn column(&self, name: &str) -> Result<usize> {
        let at = self.header.iter().position(|column| column == name);
        at.with_context(|| format!("the file has no column {name}"))
    }

    /// Bytes of the first record that is looked for: from its first to behind its last.
    fn row(
        &self,
        wanted: impl Fn(&[String]) -> bool,
    ) -> Result<Option<(usize, usize, Vec<String>)>> {
        let mut reader = reader(self.text);
        let mut record = csv::StringRecord::new();
        loop {
            if !reader.read_record(&mut record)? {
                return Ok(None);
            }
            let cells: Vec<String> = record.iter().map(str::to_owned).collect();
            if wanted(&cells) {
                let start = record.position().map_or(0, csv::Position::byte) as usize;
                // Lines without anything before a record count as part of it.
                let blank = self.text[start..].len()
                    - self.text[start..].trim_start_matches(['\r', '\n']).len();
                return Ok(Some((start + blank, reader.position().byte() as usize, cells)));
            }
        }
    }

    fn changed(
        &self,
        (start, end, mut cells): (usize, usize, Vec<String>),
        change: impl FnOnce(&mut Vec<String>),
    ) -> Result<String> {
        cells.resize(self.header.len(), String::new());
        change(&mut cells);
        let (before, rest) = self.text.split_at(start);
        let (old, after) = rest.split_at(end - start);
        let ending = &old[old.trim_end_matches(['\r', '\n']).len()..];
        Ok(format!("{before}{}{ending}{after}", written(&cells)?))
    }
}

fn reader(text: &str) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes())
}

fn written(cells: &[String]) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells)?;
    let bytes = writer.into_inner().context("memory takes all")?;
    Ok(String::from_utf8(bytes)?.trim_end_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_changes_and_the_rest_stays_to_the_byte() {
        let owners = "id,name,aliases\r\n\r\nsearch,\"Se, arch\",\r\ncheckout,Check,cart\r\n";
        let changed = add_alias(owners, "search", "serach").unwrap();
        assert_eq!(changed, owners.replace("\"Se, arch\",", "\"Se, arch\",serach"));
        let changed = add_alias(owners, "checkout", "chekout").unwrap();
        assert_eq!(changed, owners.replace("cart", "cart; chekout"));
        assert!(add_alias(owners, "nobody", "x").is_err());
        let table = "SubAccountId,name,team\n111,prod,checkout\n333,sandbox,";
        let set = |key: &str| set_row(table, ("SubAccountId", key), ("team", "search")).unwrap();
        assert_eq!(set("333"), format!("{table}search"));
        assert_eq!(set("444"), format!("{table}\n444,,search\n"));
    }
}
