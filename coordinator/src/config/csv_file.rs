//! CSV files with a header: what tables and the owner directory are read from.

use std::path::Path;
use std::sync::Arc;

use proto::config::Validity;
use proto::time::UnitDate;

use super::problem::{Place, Report, SourceFile, suggest};
use super::read;
use super::yaml::Node;

/// Most bytes of a CSV file.
const MAX_CSV: u64 = 32 * 1024 * 1024;

/// A CSV file with a header.
pub struct CsvFile {
    /// For places.
    pub file: Arc<SourceFile>,
    /// Column names, trimmed.
    pub header: Vec<String>,
    /// Line and trimmed cells of each row, as many as the header has.
    pub rows: Vec<(usize, Vec<String>)>,
}

impl CsvFile {
    /// Reads the file that `node` names. `None` when it could not be read (a problem says why).
    pub fn read(dir: &Path, node: &Node, report: &mut Report) -> Option<Self> {
        let name = read::text(node, "`file`", report)?;
        let text = match text_of(&dir.join(name)) {
            Ok(text) => text,
            Err((why, mend)) => {
                report.at(&node.at, format!("cannot read the file {name}: {why}"), mend);
                return None;
            }
        };
        report.reads(&dir.join(name));
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let file = Arc::new(SourceFile { name: name.to_owned(), text });
        let mut this = Self { file, header: Vec::new(), rows: Vec::new() };
        let records = records(&this.file, report)?;
        let mut records = records.into_iter();
        this.header = records.next().map(|(_, cells)| cells).unwrap_or_default();
        if this.header.iter().all(String::is_empty) {
            let what = "the file has no header";
            this.note(1, what, "write the names of the columns in its first line", report);
            return None;
        }
        for (index, name) in this.header.iter().enumerate() {
            if !name.is_empty() && this.header[..index].contains(name) {
                let what = format!("the column `{name}` is there twice");
                this.note(1, &what, "rename or remove one", report);
            }
        }
        let (rows, odd): (Vec<_>, Vec<_>) =
            records.partition(|(_, cells)| cells.len() == this.header.len());
        for (line, cells) in odd {
            let what =
                format!("this row has {} cells, the header {}", cells.len(), this.header.len());
            let mend = "add what is missing, or put cells that hold a comma in quotes";
            this.note(line, &what, mend, report);
        }
        this.rows = rows;
        Some(this)
    }

    /// Notes a problem of a line.
    pub fn note(&self, line: usize, what: &str, mend: &str, report: &mut Report) {
        report.at(&Place::line(&self.file, line), what, mend);
    }

    /// Index of a column that must be there; `at` is where somebody asks for it.
    pub fn column(&self, name: &str, at: &Place, report: &mut Report) -> Option<usize> {
        let found = self.header.iter().position(|column| column == name);
        if found.is_none() {
            let mend = suggest(name, self.header.iter().map(String::as_str));
            report.at(at, format!("{} has no column `{name}`", self.file.name), mend);
        }
        found
    }

    /// Days for which a row holds, from `valid_from` and `valid_to` (the first day after), where these columns exist.
    pub fn validity(&self, line: usize, cells: &[String], report: &mut Report) -> Option<Validity> {
        let from = self.date("valid_from", line, cells, report);
        let until = self.date("valid_to", line, cells, report);
        let valid = Validity { from: from?, until: until? };
        if let (Some(from), Some(until)) = (valid.from, valid.until)
            && until <= from
        {
            let what = format!("the row ends ({until}) before it begins ({from})");
            self.note(
                line,
                &what,
                "`valid_to` is the first day on which it no longer holds",
                report,
            );
            return None;
        }
        Some(valid)
    }

    fn date(
        &self,
        column: &str,
        line: usize,
        cells: &[String],
        report: &mut Report,
    ) -> Option<Option<UnitDate>> {
        let index = self.header.iter().position(|name| name == column);
        let Some(text) = index.map(|index| cells[index].as_str()).filter(|text| !text.is_empty())
        else {
            return Some(None);
        };
        let date = text.parse().ok();
        if date.is_none() {
            let mend = "write a date as YYYY-MM-DD, or leave it empty";
            self.note(line, &format!("`{column}` is {text:?}"), mend, report);
        }
        date.map(Some)
    }
}

/// Every record with the line that it starts in.
fn records(file: &Arc<SourceFile>, report: &mut Report) -> Option<Vec<(usize, Vec<String>)>> {
    let mut builder = csv::ReaderBuilder::new();
    builder.trim(csv::Trim::All).flexible(true).has_headers(false);
    let mut records = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for record in builder.from_reader(file.text.as_bytes()).records() {
        match record {
            Ok(record) => {
                // The reader's own line is that of the blank lines before.
                let at = record.position().map_or(0, csv::Position::byte);
                let at = usize::try_from(at).unwrap_or(usize::MAX).min(file.text.len());
                let blank =
                    file.text[at..].bytes().take_while(|b| matches!(b, b'\n' | b'\r')).count();
                line += file.text[counted..at + blank].bytes().filter(|b| *b == b'\n').count();
                counted = at + blank;
                records.push((line, record.iter().map(str::to_owned).collect()));
            }
            Err(error) => {
                let what = format!("this is not CSV: {error}");
                report.at(&Place::line(file, line), what, "write comma-separated UTF-8 text");
                return None;
            }
        }
    }
    Some(records)
}

fn text_of(path: &Path) -> Result<String, (String, &'static str)> {
    let failed = |error: std::io::Error| {
        let mend = "write a path relative to the configuration folder, and make the file readable";
        (error.to_string(), mend)
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_CSV {
        let what = format!("it has {size} bytes, more than {MAX_CSV}");
        return Err((what, "split it, or leave out rows"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|b| **b == b'\n').count() + 1;
        (format!("line {line} is not UTF-8"), "save it as UTF-8")
    })
}
