//! Key sets from a real HTTP server that turns its keys, fails and lies.

use super::client::{backend, client};
use crate::auth::{Auth, KeyOptions, Keys, TokenError};
use crate::control::client::RequestBounds;
use crate::control::jwks::{FetchError, Jwks, JwksBounds, JwksFigures, Renewal};
use crate::limits::KEY_SET_ADDRESS_COUNT_MAX;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A pause that no test outlasts, and one that none notices.
const LONG: Duration = Duration::from_hours(1);
const NONE: Duration = Duration::ZERO;

struct Signer {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl Signer {
    fn new(kid: &'static str) -> Self {
        Self { kid, pair: Ed25519KeyPair::generate().unwrap() }
    }

    fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x})
    }

    fn token(&self, claims: &Value) -> String {
        let key = EncodingKey::from_ed_der(self.pair.to_pkcs8().unwrap().as_ref());
        let header = Header { kid: Some(self.kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }
}

/// What the server answers, and how often it was asked.
#[derive(Default)]
struct Issuer {
    /// By realm.
    keys: Mutex<BTreeMap<String, Vec<Value>>>,
    broken: Mutex<Option<(StatusCode, String)>>,
    asked: AtomicU32,
    /// One permit an answer, when it is closed behind a gate.
    gate: Option<Semaphore>,
}

impl Issuer {
    fn publish(&self, realm: &str, signers: &[&Signer]) {
        let keys = signers.iter().map(|signer| signer.jwk()).collect();
        self.keys.lock().unwrap().insert(realm.to_owned(), keys);
    }

    fn breaks(&self, status: StatusCode, body: &str) {
        *self.broken.lock().unwrap() = Some((status, body.to_owned()));
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn answer(State(issuer): State<Arc<Issuer>>, Path(realm): Path<String>) -> Response {
    issuer.asked.fetch_add(1, Ordering::Relaxed);
    if let Some(gate) = &issuer.gate {
        gate.acquire().await.unwrap().forget();
    }
    if let Some((status, body)) = issuer.broken.lock().unwrap().clone() {
        return (status, body).into_response();
    }
    match issuer.keys.lock().unwrap().get(&realm) {
        Some(keys) => json!({"keys": keys}).to_string().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

struct World {
    issuer: Arc<Issuer>,
    jwks: Jwks,
    /// What the shards have.
    auth: Arc<Mutex<Auth>>,
    host: String,
}

impl World {
    async fn new(issuer: Issuer, pause: Duration, life: Duration) -> Self {
        let issuer = Arc::new(issuer);
        let router = Router::new().route("/{realm}/keys", get(answer)).with_state(Arc::clone(&issuer));
        let (address, _) = backend(router).await;
        let options = KeyOptions {
            jwks_endpoint: format!("http://{address}/{{{{realm}}}}/keys"),
            issuer_regex: "https://idp.example/(?P<realm>[a-z0-9]+)".to_owned(),
            ..KeyOptions::default()
        };
        let auth = Auth { connection: Keys::new(&options).unwrap(), ..Auth::default() };
        let auth = Arc::new(Mutex::new(auth));
        let shared = Arc::clone(&auth);
        let bounds = JwksBounds {
            pause,
            life,
            request: RequestBounds { time_max: Duration::from_secs(20), body_bytes_max: 64 * 1024 },
        };
        let jwks = Jwks::new(client(), bounds, move |sets| {
            let mut auth = shared.lock().unwrap();
            *auth = auth.with_sets(&sets);
        });
        Self { issuer, jwks, auth, host: format!("http://{address}") }
    }

    async fn simple(issuer: Issuer) -> Self {
        Self::new(issuer, LONG, LONG).await
    }

    fn address(&self, realm: &str) -> String {
        format!("{}/{realm}/keys", self.host)
    }

    /// As a shard does: looks, asks once, looks again.
    async fn connect(&self, signer: &Signer, realm: &str) -> Result<String, TokenError> {
        let token = signer.token(&json!({"sub": "42", "iss": format!("https://idp.example/{realm}")}));
        let look =
            || self.auth.lock().unwrap().connection(&token, 1_750_000_000).map(|claims| claims.user.into());
        match look() {
            Err(TokenError::UnknownKey { kid, address, .. }) => {
                self.jwks.renew(&address, &kid).await;
                look()
            }
            other => other,
        }
    }
}

#[tokio::test]
async fn a_key_is_fetched_when_the_first_token_names_it_and_kept() {
    let world = World::simple(Issuer::default()).await;
    let signer = Signer::new("one");
    world.issuer.publish("red", &[&signer]);
    for _ in 0..3 {
        assert_eq!(world.connect(&signer, "red").await, Ok("42".to_owned()));
    }
    assert_eq!(world.issuer.asked(), 1);
    assert_eq!(world.jwks.figures(), JwksFigures { fetched: 1, failed: 0 });
}

#[tokio::test]
async fn a_turned_key_is_found_after_the_pause_and_a_withdrawn_one_is_gone() {
    let world = World::new(Issuer::default(), NONE, LONG).await;
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    world.issuer.publish("red", &[&old]);
    assert!(world.connect(&old, "red").await.is_ok());
    world.issuer.publish("red", &[&new]);
    assert!(world.connect(&old, "red").await.is_ok(), "nobody has looked yet");
    assert!(world.connect(&new, "red").await.is_ok());
    assert!(matches!(world.connect(&old, "red").await, Err(TokenError::UnknownKey { .. })));
}

#[tokio::test]
async fn a_flood_of_invented_names_causes_one_request_a_pause() {
    let world = World::simple(Issuer::default()).await;
    world.issuer.publish("red", &[&Signer::new("one")]);
    let address = world.address("red");
    assert!(matches!(world.jwks.renew(&address, "one").await, Renewal::Renewed));
    for index in 0..1000 {
        assert!(matches!(world.jwks.renew(&address, &format!("invented-{index}")).await, Renewal::TooSoon));
    }
    assert_eq!(world.issuer.asked(), 1);
    assert!(
        matches!(world.jwks.renew(&address, "one").await, Renewal::Renewed),
        "what is there is no reason to ask"
    );
}

#[tokio::test]
async fn a_thousand_who_want_the_same_key_at_once_share_one_request() {
    let gate = Some(Semaphore::new(0));
    let world = World::simple(Issuer { gate, ..Issuer::default() }).await;
    world.issuer.publish("red", &[&Signer::new("one")]);
    let address = world.address("red");
    let waiting: Vec<_> = (0..1000)
        .map(|_| {
            let (jwks, address) = (world.jwks.clone(), address.clone());
            tokio::spawn(async move { jwks.renew(&address, "one").await })
        })
        .collect();
    while world.issuer.asked() == 0 {
        tokio::task::yield_now().await;
    }
    world.issuer.gate.as_ref().unwrap().add_permits(1);
    for waiter in waiting {
        assert!(matches!(waiter.await.unwrap(), Renewal::Renewed));
    }
    assert_eq!(world.issuer.asked(), 1);
}

#[tokio::test]
async fn a_failure_of_any_kind_keeps_the_keys_that_were_there() {
    let world = World::new(Issuer::default(), NONE, LONG).await;
    let signer = Signer::new("one");
    world.issuer.publish("red", &[&signer]);
    assert!(world.connect(&signer, "red").await.is_ok());
    let long = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(100_000));
    for (status, body) in [
        (StatusCode::INTERNAL_SERVER_ERROR, "{}"),
        (StatusCode::FOUND, ""),
        (StatusCode::OK, "<html>"),
        (StatusCode::OK, "{\"keys\":[]}"),
        (StatusCode::OK, &long),
    ] {
        world.issuer.breaks(status, body);
        let renewal = world.jwks.renew(&world.address("red"), "other").await;
        assert!(matches!(renewal, Renewal::Failed(_)), "{status} {renewal:?}");
        assert!(world.connect(&signer, "red").await.is_ok(), "{status}");
    }
    assert_eq!(world.jwks.figures(), JwksFigures { fetched: 1, failed: 5 });
}

#[tokio::test]
async fn an_issuer_that_cannot_be_reached_is_a_passing_error() {
    let world = World::simple(Issuer::default()).await;
    let signer = Signer::new("one");
    world.issuer.breaks(StatusCode::SERVICE_UNAVAILABLE, "");
    let error = world.connect(&signer, "red").await.unwrap_err();
    assert!(matches!(error, TokenError::UnknownKey { is_current: false, .. }), "{error}");
    let unreachable = world.jwks.renew("http://127.0.0.1:1/keys", "one").await;
    assert!(matches!(unreachable, Renewal::Failed(FetchError::Request(_))), "{unreachable:?}");
}

#[tokio::test]
async fn a_realm_that_exists_is_served_by_its_own_keys_alone() {
    let world = World::simple(Issuer::default()).await;
    let (red, blue) = (Signer::new("one"), Signer::new("one"));
    world.issuer.publish("red", &[&red]);
    world.issuer.publish("blue", &[&blue]);
    assert!(world.connect(&red, "red").await.is_ok());
    assert!(world.connect(&blue, "blue").await.is_ok());
    assert!(matches!(world.connect(&red, "blue").await, Err(TokenError::Invalid(_))));
}

#[tokio::test]
async fn invented_realms_fill_a_bounded_list_and_push_nobody_out() {
    let world = World::simple(Issuer::default()).await;
    let signer = Signer::new("one");
    world.issuer.publish("red", &[&signer]);
    assert!(world.connect(&signer, "red").await.is_ok());
    let mut crowded = 0;
    for index in 0..KEY_SET_ADDRESS_COUNT_MAX + 50 {
        match world.jwks.renew(&world.address(&format!("r{index}")), "one").await {
            Renewal::Failed(FetchError::Status(StatusCode::NOT_FOUND)) => {}
            Renewal::Crowded => crowded += 1,
            other @ (Renewal::Renewed | Renewal::TooSoon | Renewal::Failed(_)) => panic!("{other:?}"),
        }
    }
    assert_eq!(crowded, 51);
    assert_eq!(world.issuer.asked() as usize, KEY_SET_ADDRESS_COUNT_MAX);
    assert!(world.connect(&signer, "red").await.is_ok());
}

#[tokio::test]
async fn sets_are_fetched_at_the_start_and_again_when_they_are_old() {
    let world = World::new(Issuer::default(), NONE, Duration::from_millis(20)).await;
    world.issuer.publish("red", &[&Signer::new("one")]);
    let address = world.address("red");
    let kids = || {
        let sets = world.jwks.sets();
        sets.values().flat_map(|set| set.kids().map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let fixed = [address.as_str()];
    let watching = async {
        while kids() != ["one"] {
            tokio::task::yield_now().await;
        }
        world.issuer.breaks(StatusCode::BAD_GATEWAY, "");
        let failed = world.jwks.figures().failed;
        while world.jwks.figures().failed < failed + 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(kids(), ["one"], "kept while the issuer is down, which is asked again");
        *world.issuer.broken.lock().unwrap() = None;
        world.issuer.publish("red", &[&Signer::new("two")]);
        while kids() != ["two"] {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = world.jwks.keep_fresh(&fixed) => unreachable!(),
        done = tokio::time::timeout(Duration::from_secs(20), watching) => done.unwrap(),
    }
}
