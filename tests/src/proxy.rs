//! A small TCP proxy between a process and one of its servers, which can cut, hold up or slow down what passes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Bytes that are carried at a time.
const CHUNK: usize = 8 * 1024;

/// What happens to what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It passes.
    Open,
    /// Nothing passes, and nobody is told: connections stay, new ones are taken and hear nothing.
    Stalled,
    /// New connections end at once.
    Closed,
    /// So many bytes per second pass in each direction of each connection.
    Slow(u64),
}

/// Where a proxy leads to.
#[derive(Debug, Clone)]
pub enum Target {
    /// Host and port.
    Tcp(String),
    /// A unix socket.
    Unix(PathBuf),
}

/// A standing proxy; it ends when dropped.
pub struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
    cuts: watch::Sender<u64>,
    carried: Arc<AtomicU64>,
    // The last: what runs on it ends with it.
    _runtime: Runtime,
}

impl Proxy {
    /// Starts one on a free port of 127.0.0.1, with everything open.
    ///
    /// # Errors
    /// When there is no port or thread.
    pub fn start(target: Target) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("a runtime for a proxy")?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
        let address = listener.local_addr()?;
        let ((way, ways), (cuts, cut)) = (watch::channel(Way::Open), watch::channel(0));
        let carried = Arc::<AtomicU64>::default();
        let passage = Passage { ways, cut, carried: Arc::clone(&carried) };
        runtime.spawn(async move {
            // An error is of one connection that went away before it was taken.
            loop {
                if let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(passage.clone().serve(client, target.clone()));
                }
            }
        });
        Ok(Self { address, way, cuts, carried, _runtime: runtime })
    }

    /// Its host and port.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Ends every connection.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Bytes that passed so far.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }
}

#[derive(Clone)]
struct Passage {
    ways: watch::Receiver<Way>,
    cut: watch::Receiver<u64>,
    carried: Arc<AtomicU64>,
}

impl Passage {
    async fn serve(self, client: TcpStream, target: Target) {
        if *self.ways.borrow() == Way::Closed {
            return;
        }
        let mut cut = self.cut.clone();
        cut.mark_unchanged();
        tokio::select! {
            // Whichever end went away, the other one goes with it.
            _ = self.carry(client, target) => {}
            _ = cut.changed() => {}
        }
    }

    async fn carry(self, client: TcpStream, target: Target) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        let (read, write) = client.into_split();
        match target {
            Target::Tcp(address) => {
                let server = TcpStream::connect(address).await?;
                server.set_nodelay(true)?;
                let (from, to) = server.into_split();
                self.both((read, write), (from, to)).await
            }
            Target::Unix(path) => {
                let (from, to) = UnixStream::connect(path).await?.into_split();
                self.both((read, write), (from, to)).await
            }
        }
    }

    async fn both(
        self,
        (read, write): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
        (from, to): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    ) -> std::io::Result<()> {
        tokio::select! {
            up = self.clone().one(read, to) => up,
            down = self.clone().one(from, write) => down,
        }
    }

    async fn one(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> std::io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let way = *self.ways.borrow();
            let room = match way {
                Way::Slow(rate) => usize::try_from(rate / 20).unwrap_or(CHUNK).clamp(1, CHUNK),
                Way::Open | Way::Stalled | Way::Closed => CHUNK,
            };
            let read = from.read(&mut buffer[..room]).await?;
            if read == 0 {
                return Ok(());
            }
            // The proxy itself ends with its senders.
            if self.ways.wait_for(|way| *way != Way::Stalled).await.is_err() {
                return Ok(());
            }
            let way = *self.ways.borrow();
            if let Way::Slow(rate) = way {
                let millis = read as u64 * 1_000 / rate.max(1);
                tokio::time::sleep(Duration::from_millis(millis)).await;
            }
            to.write_all(&buffer[..read]).await?;
            self.carried.fetch_add(read as u64, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream as Blocking;
    use std::time::Instant;

    fn echo() -> String {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut buffer = [0; 1_024];
                    while let Ok(read @ 1..) = stream.read(&mut buffer) {
                        stream.write_all(&buffer[..read]).unwrap();
                    }
                });
            }
        });
        address
    }

    #[test]
    fn it_passes_stalls_slows_and_cuts() {
        let proxy = Proxy::start(Target::Tcp(echo())).unwrap();
        let connect = || {
            let stream = Blocking::connect(proxy.address()).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            stream
        };
        let mut stream = connect();
        let mut answer = [0; 4];
        stream.write_all(b"ping").unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!((&answer, proxy.carried()), (b"ping", 8));
        proxy.set(Way::Stalled);
        stream.write_all(b"pong").unwrap();
        assert!(stream.read_exact(&mut answer).is_err(), "nothing comes, and no end");
        proxy.set(Way::Open);
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"pong");
        proxy.set(Way::Slow(40));
        let since = Instant::now();
        stream.write_all(b"slow").unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert!(since.elapsed() >= Duration::from_millis(190), "{:?}", since.elapsed());
        proxy.set(Way::Closed);
        proxy.cut();
        assert_eq!(stream.read(&mut answer).unwrap_or(0), 0, "it is cut");
        let mut refused = connect();
        assert_eq!(refused.read(&mut answer).unwrap_or(0), 0, "it is refused");
    }
}
