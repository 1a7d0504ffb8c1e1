//! What a revocation ends, and tokens whose key comes later.

use super::*;
use crate::auth::{
    Algorithm, Auth, Change, KeyOptions, KeySet, KeySets, Keys, Revocations, Secret, TokenName,
};
use crate::channels::Policy;
use crate::shard::ask::{Answer, Ask, AskId};
use crate::shard::mail::Mail;
use crate::shard::memo::Memo;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use std::sync::Arc;

const ADDRESS: &str = "http://issuer.example/keys";

fn keys() -> Keys {
    Keys::new(&KeyOptions { hmac_secret: Secret::new("secret"), ..KeyOptions::default() }).unwrap()
}

fn token(claims: &str) -> String {
    keys().sign(Algorithm::Hs256, claims.as_bytes()).unwrap()
}

fn bench() -> Bench {
    Bench::new(|options| {
        let settings = options.settings_mut();
        settings.auth = Arc::new(Auth {
            connection: keys(),
            subscription: Some(
                Keys::new(&KeyOptions { jwks_endpoint: ADDRESS.to_owned(), ..KeyOptions::default() })
                    .unwrap(),
            ),
            ..Auth::default()
        });
        settings.set_policy(Policy { subscribe: crate::channels::Permission::default(), ..Policy::open() });
    })
}

impl Bench {
    fn connected(&mut self, claims: &str) -> ConnId {
        let id = self.upgraded("/connection/websocket");
        self.say(id, &format!(r#"{{"id":1,"connect":{{"token":"{}"}}}}"#, token(claims)));
        assert!(self.texts(id).join("").contains(r#""connect":"#));
        id
    }

    fn adopts(&mut self, change: impl FnOnce(&Auth) -> Auth) {
        let mut settings = Settings::clone(&self.shard.settings);
        settings.auth = Arc::new(change(&settings.auth));
        self.shard.handle(self.now, Input::Mail(Mail::Settings(Arc::new(settings))));
        self.settle();
    }

    fn keys_are_here(&mut self, asked: AskId) {
        let mail = Mail::Answer { request: asked.request, answer: Box::new(Answer::Keys) };
        self.shard.handle(self.now, Input::Mail(mail));
        self.settle();
    }

    fn revoke(&mut self, change: Change) {
        self.adopts(|auth| {
            let mut revocations = Revocations::clone(&auth.revocations);
            revocations.apply(change, 0).unwrap();
            Auth { revocations: Arc::new(revocations), ..auth.clone() }
        });
        self.pass(1);
    }
}

#[test]
fn a_revoked_token_ends_its_connection_and_no_other() {
    let mut bench = bench();
    let one = bench.connected(r#"{"sub":"u","jti":"1"}"#);
    let two = bench.connected(r#"{"sub":"u","jti":"2"}"#);
    bench.revoke(Change::RevokeToken { name: TokenName::of_jti("1"), until: 0 });
    assert_eq!(bench.texts(one), ["close 3500 invalid token"]);
    assert_eq!(bench.texts(two), [""; 0]);
    bench.revoke(Change::RevokeUser { user: "u".into(), channel: None, before: 1, until: 0 });
    assert_eq!(
        bench.texts(two),
        ["close 3500 invalid token"],
        "a token that does not say when it was issued"
    );
}

#[test]
fn a_blocked_user_goes_and_anonymous_clients_stay() {
    let mut bench = bench();
    let (nobody, user) = (bench.client(), bench.connected(r#"{"sub":"u"}"#));
    bench.revoke(Change::BlockUser { user: "u".into(), until: 0 });
    assert_eq!(bench.texts(user), ["close 3507 permission denied"]);
    assert_eq!(bench.texts(nobody), [""; 0]);
}

#[test]
fn every_connection_of_a_large_core_is_looked_at_whatever_comes_in_between() {
    let mut bench = bench();
    let first = bench.connected(r#"{"sub":"first","jti":"1"}"#);
    for _ in 0..2_100 {
        bench.shard.open(bench.now, Admission::Welcome);
    }
    let last = bench.connected(r#"{"sub":"last","jti":"2"}"#);
    for (user, turns) in [("last", false), ("first", true)] {
        let change = Change::BlockUser { user: user.into(), until: 0 };
        bench.adopts(|auth| {
            let mut revocations = Revocations::clone(&auth.revocations);
            revocations.apply(change, 0).unwrap();
            Auth { revocations: Arc::new(revocations), ..auth.clone() }
        });
        if !turns {
            bench.shard.advance(bench.now);
            assert_eq!(bench.texts(last), [""; 0], "one turn is not enough");
        }
    }
    bench.pass(1);
    assert_eq!(bench.texts(last), ["close 3507 permission denied"]);
    assert_eq!(bench.texts(first), ["close 3507 permission denied"]);
    assert!(bench.shard.revoking.deadline(bench.now).is_none(), "the core may sleep");
}

#[test]
fn a_subscription_waits_for_the_key_of_its_token_and_ends_when_that_is_revoked() {
    let mut bench = bench();
    let id = bench.connected(r#"{"sub":"u"}"#);
    let pair = Ed25519KeyPair::generate().unwrap();
    let header = Header { kid: Some("k".to_owned()), ..Header::new(jsonwebtoken::Algorithm::EdDSA) };
    let claims = json!({"sub": "u", "channel": "$a", "jti": "s"});
    let key = EncodingKey::from_ed_der(pair.to_pkcs8().unwrap().as_ref());
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    let subscribe =
        |command: u32| format!(r#"{{"id":{command},"subscribe":{{"channel":"$a","token":"{token}"}}}}"#);
    bench.memos.clear();
    bench.say(id, &subscribe(2));
    assert_eq!(bench.texts(id), [""; 0]);
    let Some(Memo::Ask { id: asked, ask: Ask::Keys { kid, address } }) = bench.memos.pop() else {
        panic!("no question for the key");
    };
    assert_eq!((&*kid, &*address), ("k", ADDRESS));
    bench.keys_are_here(asked);
    assert_eq!(
        bench.texts(id),
        [r#"{"id":2,"error":{"code":100,"message":"internal server error","temporary":true}}"#],
        "the key could not be had, and may be there later"
    );
    bench.say(id, &subscribe(3));
    let Some(Memo::Ask { id: asked, .. }) = bench.memos.pop() else { panic!("no question for the key") };
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x}]}).to_string();
    let set = Arc::new(KeySet::parse(set.as_bytes(), 0).unwrap());
    bench.adopts(|auth| auth.with_sets(&KeySets::from([(Box::from(ADDRESS), set)])));
    bench.keys_are_here(asked);
    assert_eq!(bench.texts(id)[0], r#"{"id":3,"subscribe":{}}"#);
    bench.revoke(Change::RevokeUser { user: "u".into(), channel: Some("$b".into()), before: 1, until: 0 });
    assert_eq!(bench.texts(id), [""; 0], "another channel");
    bench.revoke(Change::RevokeToken { name: TokenName::of_jti("s"), until: 0 });
    let gone = r#"{"push":{"channel":"$a","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#;
    assert_eq!(bench.texts(id), [gone], "the connection itself goes on");
}
