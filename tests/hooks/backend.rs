//! A back end over real sockets: it answers as the test says, and remembers what it was asked.

use super::support::wait::PATIENCE;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// Serves until the test process ends.
pub struct Backend {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

type Answers = dyn Fn(&Question) -> Answer + Send + Sync;

struct Shared {
    answers: Mutex<Arc<Answers>>,
    asked: Mutex<Vec<Question>>,
    gate: Mutex<bool>,
    opened: Condvar,
}

#[derive(Clone, Debug)]
pub struct Question {
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

pub enum Answer {
    Result(Value),
    Status(u16),
    /// The same, once the test opens the gate.
    Late(Value),
}

impl Backend {
    pub fn start(answers: impl Fn(&Question) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answers: Mutex::new(Arc::new(answers)),
            asked: Mutex::default(),
            gate: Mutex::new(false),
            opened: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&theirs);
                thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { address, shared }
    }

    /// Answers every question with this.
    pub fn saying(data: &'static str) -> Self {
        Self::start(move |_| Answer::Result(json!({ "data": data })))
    }

    /// From now on.
    pub fn answer(&self, answers: impl Fn(&Question) -> Answer + Send + Sync + 'static) {
        *self.shared.answers.lock().unwrap() = Arc::new(answers);
    }

    pub fn asked(&self) -> Vec<Question> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Late answers are given from now on.
    pub fn open(&self) {
        *self.shared.gate.lock().unwrap() = true;
        self.shared.opened.notify_all();
    }
}

fn serve(mut stream: &TcpStream, shared: &Shared) {
    let Some(question) = read(stream) else { return };
    shared.asked.lock().unwrap().push(question.clone());
    let answers = Arc::clone(&shared.answers.lock().unwrap());
    let (status, body) = match answers(&question) {
        Answer::Result(result) => (200, json!({ "result": result }).to_string()),
        Answer::Status(status) => (status, String::new()),
        Answer::Late(result) => {
            let gate = shared.gate.lock().unwrap();
            drop(shared.opened.wait_timeout_while(gate, PATIENCE, |open| !*open).unwrap());
            (200, json!({ "result": result }).to_string())
        }
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
}

fn read(stream: &TcpStream) -> Option<Question> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Question { path, headers, body: serde_json::from_slice(&body).ok()? })
}
