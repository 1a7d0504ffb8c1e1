//! Subscribes to every channel, comes back after each loss with the place that it had reached, and writes down what it
//! sees. It is strict: every offset follows the one before, or the server has said that something is missing.

use super::book::{Book, Pages, Place, hash};
use super::run::{CHANNELS, Stop};
use crate::support::client::upgrade_head;
use crate::support::frame::{CLOSE, Frame, PING, PONG, TEXT, masked};
use crate::support::wait::pause;
use ringway::sys::clock;
use ringway::time::Moment;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

#[derive(Debug)]
pub struct Subscriber {
    id: usize,
    address: SocketAddr,
    /// How far it has come, by channel; also read by whoever waits for it.
    places: Mutex<HashMap<&'static str, Place>>,
}

/// One connection.
struct Line {
    stream: TcpStream,
    received: Vec<u8>,
    /// Subscribe commands without a reply: channel and where it stood.
    asked: HashMap<u64, (&'static str, Option<Place>)>,
    last_command: u64,
    pending: VecDeque<Value>,
}

impl Subscriber {
    pub fn new(id: usize, address: SocketAddr) -> Self {
        Self { id, address, places: Mutex::default() }
    }

    /// Until the run is over.
    pub fn run(&self, book: &Book, stop: &Stop) {
        let mut lost_at: Option<Moment> = None;
        while !stop.is_ended() {
            if let Ok(line) = self.enter() {
                self.listen(line, book, stop, &mut lost_at);
            }
            if lost_at.is_none() {
                lost_at = Some(clock::now());
            }
            pause(RETRY_DELAY);
        }
    }

    /// Whether it has come as far as this.
    pub fn has_reached(&self, place: &Place) -> bool {
        self.places.lock().unwrap().get(place.channel) == Some(place)
    }

    pub fn place(&self, channel: &str) -> Option<Place> {
        self.places.lock().unwrap().get(channel).cloned()
    }

    fn enter(&self) -> io::Result<Line> {
        let stream = TcpStream::connect_timeout(&self.address, SILENCE_MAX)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        stream.set_nodelay(true)?;
        let mut line = Line {
            stream,
            received: Vec::new(),
            asked: HashMap::new(),
            last_command: 0,
            pending: VecDeque::new(),
        };
        line.stream.write_all(format!("{}\r\n", upgrade_head("/connection/websocket")).as_bytes())?;
        let end = loop {
            if let Some(at) = line.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            line.fill()?;
        };
        let head: Vec<u8> = line.received.drain(..end).collect();
        if !head.starts_with(b"HTTP/1.1 101") {
            return Err(io::Error::other("not upgraded"));
        }
        line.send("connect", &json!({}))?;
        for channel in CHANNELS {
            line.subscribe(channel, self.place(channel))?;
        }
        Ok(line)
    }

    fn listen(&self, mut line: Line, book: &Book, stop: &Stop, lost_at: &mut Option<Moment>) {
        while !stop.is_ended() {
            let Ok(message) = line.message(stop) else { return };
            if let Some(id) = message["id"].as_u64() {
                let Some((channel, since)) = line.asked.remove(&id) else { continue };
                if message["error"].is_object() {
                    // Temporary: the whole connection begins anew.
                    return;
                }
                self.joined(channel, since, &message["subscribe"], &mut book.open());
                if line.asked.is_empty()
                    && let Some(lost) = lost_at.take()
                {
                    book.open().recoveries.push(clock::now().since(lost));
                }
                continue;
            }
            let push = &message["push"];
            let channel = CHANNELS.into_iter().find(|channel| push["channel"] == *channel);
            match channel {
                Some(channel) if push["pub"].is_object() => self.saw(channel, &push["pub"], &mut book.open()),
                Some(channel) if push["unsubscribe"].is_object() => {
                    // From 2500 on a client is to subscribe again.
                    if line.subscribe(channel, self.place(channel)).is_err() {
                        return;
                    }
                }
                Some(_) | None => book.open().violated(format!("an unexpected message: {message}")),
            }
        }
    }

    fn joined(&self, channel: &'static str, since: Option<Place>, reply: &Value, pages: &mut Pages) {
        let epoch = reply["epoch"].as_str().unwrap_or_default().to_owned();
        let top = Place { channel, epoch, offset: reply["offset"].as_u64().unwrap_or_default() };
        let missed = reply["publications"].as_array().map_or(&[][..], Vec::as_slice);
        let Some(since) = since else {
            pages.started(self.id, top.clone());
            self.places.lock().unwrap().insert(channel, top);
            return;
        };
        if reply["recovered"] != true {
            if !missed.is_empty() {
                pages.violated(format!(
                    "subscriber {}: not recovered, and yet {} publications",
                    self.id,
                    missed.len()
                ));
            }
            pages.signalled(self.id, since, top.clone());
            self.places.lock().unwrap().insert(channel, top);
            return;
        }
        // The place from which on it recovers; what follows counts on from there, and so does the next push.
        if top != since {
            pages.violated(format!("subscriber {}: recovers from {top:?} and not from {since:?}", self.id));
        }
        for publication in missed {
            self.saw(channel, publication, pages);
        }
    }

    fn saw(&self, channel: &'static str, publication: &Value, pages: &mut Pages) {
        let offset = publication["offset"].as_u64().unwrap_or_default();
        let mut places = self.places.lock().unwrap();
        let Some(place) = places.get_mut(channel) else {
            return pages.violated(format!("a publication before the subscription: {publication}"));
        };
        if offset != place.offset + 1 {
            let what = if offset <= place.offset { "twice" } else { "a hole without a signal" };
            pages.violated(format!("subscriber {}: {what}: {offset} behind {place:?}", self.id));
        }
        place.offset = offset;
        pages.saw(self.id, place.clone(), hash(&publication["data"]));
    }
}

impl Line {
    fn subscribe(&mut self, channel: &'static str, since: Option<Place>) -> io::Result<()> {
        let request = match &since {
            Some(Place { epoch, offset, .. }) => {
                json!({ "channel": channel, "recover": true, "epoch": epoch, "offset": offset })
            }
            None => json!({ "channel": channel, "recoverable": true, "positioned": true }),
        };
        let command = self.send("subscribe", &request)?;
        self.asked.insert(command, (channel, since));
        Ok(())
    }

    fn send(&mut self, method: &str, request: &Value) -> io::Result<u64> {
        self.last_command += 1;
        let command = json!({ "id": self.last_command, method: request }).to_string();
        self.stream.write_all(&masked(TEXT, command.as_bytes()))?;
        Ok(self.last_command)
    }

    /// The next reply or push; pings are answered. An error is the end, of the run perhaps.
    fn message(&mut self, stop: &Stop) -> io::Result<Value> {
        while !stop.is_ended() {
            // One message a frame may carry several documents.
            if let Some(message) = self.pending.pop_front() {
                return Ok(message);
            }
            let Some(frame) = Frame::take(&mut self.received) else {
                self.fill()?;
                continue;
            };
            match frame.first {
                TEXT => self.sort(&frame.payload)?,
                PING => self.stream.write_all(&masked(PONG, &frame.payload))?,
                CLOSE => {
                    let _ = self.stream.write_all(&masked(CLOSE, &frame.payload));
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    fn sort(&mut self, text: &[u8]) -> io::Result<()> {
        for document in text.split(|&byte| byte == b'\n').filter(|document| !document.is_empty()) {
            let message: Value = serde_json::from_slice(document)?;
            if message == json!({}) {
                self.stream.write_all(&masked(TEXT, b"{}"))?;
            } else {
                self.pending.push_back(message);
            }
        }
        Ok(())
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            len => {
                self.received.extend_from_slice(&chunk[..len]);
                Ok(())
            }
        }
    }
}

/// The server pings every second.
const SILENCE_MAX: Duration = Duration::from_secs(4);
const RETRY_DELAY: Duration = Duration::from_millis(100);
