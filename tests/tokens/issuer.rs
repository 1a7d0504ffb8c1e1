//! An issuer of tokens: keys of its own, a server that publishes them, and a count of how often it was asked.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub struct Signer {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl Signer {
    pub fn new(kid: &'static str) -> Self {
        Self { kid, pair: Ed25519KeyPair::generate().unwrap() }
    }

    pub fn token(&self, claims: &Value) -> String {
        self.token_with(self.kid, claims)
    }

    /// One that names another key.
    pub fn token_with(&self, kid: &str, claims: &Value) -> String {
        let key = EncodingKey::from_ed_der(self.pair.to_pkcs8().unwrap().as_ref());
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }

    fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x})
    }
}

/// Serves `/<realm>/keys` until the test process ends.
pub struct Issuer {
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    realms: BTreeMap<String, Vec<Value>>,
    /// By path.
    asked: BTreeMap<String, u32>,
}

impl Issuer {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Mutex<Shared>>::default();
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(&stream, &theirs);
            }
        });
        Self { address, shared }
    }

    pub fn publish(&self, realm: &str, signers: &[&Signer]) {
        let keys = signers.iter().map(|signer| signer.jwk()).collect();
        self.shared.lock().unwrap().realms.insert(realm.to_owned(), keys);
    }

    pub fn forget(&self, realm: &str) {
        self.shared.lock().unwrap().realms.remove(realm);
    }

    pub fn asked(&self, realm: &str) -> u32 {
        self.shared.lock().unwrap().asked.get(realm).copied().unwrap_or_default()
    }
}

fn answer(mut stream: &TcpStream, shared: &Mutex<Shared>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    lines.find(String::is_empty);
    let realm = first.split(['/', ' ']).nth(2).unwrap_or_default().to_owned();
    let mut shared = shared.lock().unwrap();
    *shared.asked.entry(realm.clone()).or_default() += 1;
    let (status, body) = match shared.realms.get(&realm) {
        Some(keys) => ("200 OK", json!({ "keys": keys }).to_string()),
        None => ("404 Not Found", String::new()),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
}
