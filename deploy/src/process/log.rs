//! What children print: into a bounded file, and to our stderr with a prefix where that is wanted.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A log file is renamed to `….1` when it reaches this many bytes.
const MAX_BYTES: u64 = 10 * 1024 * 1024;
/// Lines that are kept for error messages.
const TAIL_LINES: usize = 20;
/// A longer line is cut into several.
const MAX_LINE: usize = 16 * 1024;

/// Where the output of a child goes. The default keeps only the last lines, for error messages.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// The file that it is appended to; at most two generations of 10 MiB each.
    pub file: Option<PathBuf>,
    /// Also to our stderr, as `name | line`.
    pub echo: bool,
}

impl Log {
    /// Into a file only.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { file: Some(path.into()), echo: false }
    }

    /// Starts the thread that carries what `read` yields until it ends.
    pub(super) fn pump(
        &self,
        name: &str,
        read: impl FnMut(&mut [u8]) -> io::Result<usize> + Send + 'static,
    ) -> io::Result<Pump> {
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let mut sink = Sink {
            file: self.file.as_deref().map(Rotating::open).transpose()?,
            prefix: self.echo.then(|| format!("{name} | ")),
            tail: Arc::clone(&tail),
        };
        let thread = std::thread::Builder::new()
            .name(format!("log-{name}"))
            .spawn(move || carry(read, |line| sink.put(line)))?;
        Ok(Pump { tail, thread })
    }
}

/// Cuts what `read` yields into lines.
fn carry(mut read: impl FnMut(&mut [u8]) -> io::Result<usize>, mut put: impl FnMut(&[u8])) {
    let mut buffer = vec![0; MAX_LINE];
    let mut pending: Vec<u8> = Vec::new();
    loop {
        let size = match read(&mut buffer) {
            Ok(0) => break,
            Ok(size) => size,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                put(format!("output lost: {error}").as_bytes());
                break;
            }
        };
        for piece in buffer[..size].split_inclusive(|byte| *byte == b'\n') {
            pending.extend_from_slice(piece);
            if pending.last() == Some(&b'\n') {
                pending.pop();
                put(&pending);
                pending.clear();
            } else if pending.len() >= MAX_LINE {
                put(&pending);
                pending.clear();
            }
        }
    }
    if !pending.is_empty() {
        put(&pending);
    }
}

struct Sink {
    file: Option<Rotating>,
    prefix: Option<String>,
    tail: Arc<Mutex<VecDeque<String>>>,
}

impl Sink {
    fn put(&mut self, line: &[u8]) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.put(line)
        {
            // A full disk must not stop the child: say so once, go on without the file.
            tracing::warn!(file = %file.path.display(), %error, "log file given up");
            self.file = None;
        }
        let text = String::from_utf8_lossy(line);
        if let Some(prefix) = &self.prefix {
            // Whoever closed our stderr does not want to read it; nobody is left to tell.
            writeln!(io::stderr().lock(), "{prefix}{text}").ok();
        }
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(text.into_owned());
    }
}

/// A file that is appended to and renamed to `….1` when full.
struct Rotating {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Rotating {
    fn open(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, size })
    }

    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        if self.size >= MAX_BYTES {
            rotate(&self.path)?;
            *self = Self::open(&self.path)?;
        }
        let mut whole = Vec::with_capacity(line.len() + 1);
        whole.extend_from_slice(line);
        whole.push(b'\n');
        self.file.write_all(&whole)?;
        self.size += whole.len() as u64;
        Ok(())
    }
}

/// Renames `path` to `path.1`, replacing an older one; a file that is not there is fine.
pub fn rotate(path: &Path) -> io::Result<()> {
    let mut old = path.as_os_str().to_owned();
    old.push(".1");
    match std::fs::rename(path, old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The running thread of one child's output.
#[derive(Debug)]
pub(super) struct Pump {
    tail: Arc<Mutex<VecDeque<String>>>,
    thread: JoinHandle<()>,
}

impl Pump {
    pub(super) fn tail(&self) -> String {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Waits until all output is carried, at most `limit`.
    pub(super) fn settle(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&str]) -> Vec<String> {
        let mut chunks = chunks.iter();
        let mut seen = Vec::new();
        let read = |buffer: &mut [u8]| {
            let Some(chunk) = chunks.next() else { return Ok(0) };
            buffer[..chunk.len()].copy_from_slice(chunk.as_bytes());
            Ok(chunk.len())
        };
        carry(read, |line| seen.push(String::from_utf8_lossy(line).into_owned()));
        seen
    }

    #[test]
    fn lines_are_joined_over_reads_and_the_last_needs_no_newline() {
        assert_eq!(lines(&["a\nb", "c\n", "\nd"]), ["a", "bc", "", "d"]);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let long = "x".repeat(MAX_LINE - 1);
        let seen = lines(&[&long, &long, "\n"]);
        assert_eq!(seen.iter().map(String::len).sum::<usize>(), 2 * (MAX_LINE - 1));
        assert!(seen.len() > 1);
    }

    #[test]
    fn a_full_file_is_renamed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let mut file = Rotating::open(&path).unwrap();
        file.put(b"first").unwrap();
        file.size = MAX_BYTES;
        file.put(b"second").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second\n");
        assert_eq!(std::fs::read_to_string(folder.path().join("x.log.1")).unwrap(), "first\n");
    }

    #[test]
    fn the_tail_keeps_the_last_lines() {
        let mut text = (0..30).map(|line| format!("{line}\n")).collect::<String>().into_bytes();
        let read = move |buffer: &mut [u8]| {
            let size = text.len().min(buffer.len());
            buffer[..size].copy_from_slice(&text[..size]);
            text.drain(..size);
            Ok(size)
        };
        let pump = Log::default().pump("x", read).unwrap();
        pump.settle(Duration::from_secs(5));
        assert!(pump.tail().starts_with("10\n") && pump.tail().ends_with("\n29"));
    }
}
