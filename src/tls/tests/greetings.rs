//! Handshakes: what is agreed on, and what is refused.

use super::{Authority, Pair, der};
use crate::tls::{Acceptor, ClientAuth, Failure, Identity, IdentityProblem, Version};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, Error, SupportedProtocolVersion};
use std::sync::Arc;

const BOTH: [(&SupportedProtocolVersion, Version); 2] = [(&TLS13, Version::Tls13), (&TLS12, Version::Tls12)];

#[test]
fn a_client_that_comes_back_goes_on_without_certificates_also_after_a_reload() {
    let authority = Authority::new();
    for (version, name) in BOTH {
        let config = Arc::new(authority.client_config(&[version]));
        let first = authority.acceptor();
        let second = authority.acceptor().succeeding(Some(&first));
        for (acceptor, is_resumed) in [(&first, false), (&first, true), (&second, true)] {
            let mut pair = Pair::new(acceptor, &config, "localhost");
            pair.talk().unwrap();
            let opened = pair.opened.unwrap();
            assert_eq!((opened.version, opened.is_resumed), (name, is_resumed));
        }
        // From now on clients may show certificates: a ticket would let them in without a look at those.
        let roots = authority.0.pem();
        let other = Acceptor::new(authority.terms(ClientAuth::Optional, &roots)).unwrap();
        let mut pair = Pair::new(&other.succeeding(Some(&first)), &config, "localhost");
        pair.talk().unwrap();
        assert!(!pair.opened.unwrap().is_resumed);
    }
}

/// A ticket carries a certificate on that may have ended since, and would do so with every new one that it brings.
#[test]
fn whoever_shows_a_certificate_shows_it_every_time() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let roots = clients.0.pem();
    for (version, _) in BOTH {
        for auth in [ClientAuth::Required, ClientAuth::Optional] {
            let (chain, key) = der(&clients.issue(&["somebody"]));
            let builder = authority.client_builder(&[version]);
            let config = Arc::new(builder.with_client_auth_cert(chain, key.into()).unwrap());
            let first = Acceptor::new(authority.terms(auth, &roots)).unwrap();
            let second = Acceptor::new(authority.terms(auth, &roots)).unwrap().succeeding(Some(&first));
            for acceptor in [&first, &first, &second] {
                let mut pair = Pair::new(acceptor, &config, "localhost");
                pair.talk().unwrap();
                assert!(!pair.opened.unwrap().is_resumed);
            }
            // Others vouch for clients now.
            let others = Authority::new().0.pem();
            let other = Acceptor::new(authority.terms(auth, &others)).unwrap().succeeding(Some(&second));
            let mut pair = Pair::new(&other, &config, "localhost");
            let _ = pair.talk();
            assert!(matches!(pair.failure, Some(Failure::Certificate(_))), "{:?}", pair.failure);
        }
    }
}

#[test]
fn a_client_certificate_that_has_ended_is_refused() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let roots = clients.0.pem();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["somebody".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let certificate = params.signed_by(&key, &clients.0).unwrap();
    let shown = (certificate.pem(), key.serialize_pem());
    for (version, _) in BOTH {
        let (chain, key) = der(&shown);
        let builder = authority.client_builder(&[version]);
        let config = Arc::new(builder.with_client_auth_cert(chain, key.into()).unwrap());
        let acceptor = Acceptor::new(authority.terms(ClientAuth::Optional, &roots)).unwrap();
        let mut pair = Pair::new(&acceptor, &config, "localhost");
        assert_eq!(pair.talk(), Err(Error::AlertReceived(AlertDescription::CertificateExpired)));
        assert!(matches!(pair.failure, Some(Failure::Certificate(_))), "{:?}", pair.failure);
    }
}

/// What a session began with it ends with, whatever is configured meanwhile.
#[test]
fn a_handshake_goes_on_as_it_began_while_certificates_change() {
    let authority = Authority::new();
    for (version, _) in BOTH {
        let config = Arc::new(authority.client_config(&[version]));
        let first = authority.acceptor();
        let mut pair = Pair::new(&first, &config, "localhost");
        let mut hello = pair.client_says();
        let (one, two) = hello.split_at_mut(100);
        pair.feed(one);
        let stranger = Authority::new();
        drop(stranger.acceptor().succeeding(Some(&first)));
        drop(first);
        pair.feed(two);
        pair.talk().unwrap();
        assert!(pair.session.is_open());
    }
}

#[test]
fn tickets_can_be_switched_off() {
    let authority = Authority::new();
    let mut terms = authority.terms(ClientAuth::Off, "");
    terms.has_tickets = false;
    let acceptor = Acceptor::new(terms).unwrap();
    for (version, _) in BOTH {
        let config = Arc::new(authority.client_config(&[version]));
        for _ in 0..2 {
            let mut pair = Pair::new(&acceptor, &config, "localhost");
            pair.talk().unwrap();
            assert!(!pair.opened.unwrap().is_resumed);
        }
    }
}

/// RFC 7301 section 3.2.
#[test]
fn a_client_that_speaks_no_http_1_hears_so_in_the_handshake() {
    let authority = Authority::new();
    let acceptor = authority.acceptor();
    for (offer, is_welcome) in
        [(&["h2"][..], false), (&["h2", "http/1.1"], true), (&["http/1.1"], true), (&[], true)]
    {
        let mut config = authority.client_config(&[&TLS13, &TLS12]);
        config.alpn_protocols = offer.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut pair = Pair::new(&acceptor, &Arc::new(config), "localhost");
        let said = pair.talk();
        assert_eq!(pair.session.is_open(), is_welcome, "{offer:?}");
        if !is_welcome {
            assert_eq!(pair.failure, Some(Failure::Incompatible(Error::NoApplicationProtocol)));
            assert_eq!(said, Err(Error::AlertReceived(AlertDescription::NoApplicationProtocol)));
        }
    }
}

#[test]
fn the_certificate_is_that_of_the_name_or_else_the_first() {
    let authority = Authority::new();
    let mut terms = authority.terms(ClientAuth::Off, "");
    terms.identities.push(authority.identity(&["b.example", "*.c.example"]));
    let acceptor = Acceptor::new(terms).unwrap();
    let config = Arc::new(authority.client_config(&[&TLS13]));
    for name in ["localhost", "b.example", "x.c.example"] {
        let mut pair = Pair::new(&acceptor, &config, name);
        pair.talk().unwrap();
        assert!(pair.session.is_open(), "{name}");
    }
    let mut pair = Pair::new(&acceptor, &config, "stranger.example");
    let refusal = pair.talk();
    assert!(matches!(refusal, Err(Error::InvalidCertificate(_))), "the client's own verdict: {refusal:?}");
    // And it tells us.
    let mut alert = pair.client_says();
    pair.feed(&mut alert);
    assert!(matches!(pair.failure, Some(Failure::GivenUp(_))), "{:?}", pair.failure);
}

#[test]
fn clients_show_certificates_as_the_terms_want() {
    let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let roots = clients.0.pem();
    let (good, bad) = (clients.issue(&["somebody"]), strangers.issue(&["nobody"]));
    for (version, _) in BOTH {
        for (auth, shown, is_welcome) in [
            (ClientAuth::Required, Some(&good), true),
            (ClientAuth::Required, None, false),
            (ClientAuth::Required, Some(&bad), false),
            (ClientAuth::Optional, Some(&good), true),
            (ClientAuth::Optional, None, true),
            (ClientAuth::Optional, Some(&bad), false),
            (ClientAuth::Off, Some(&bad), true),
        ] {
            let acceptor = Acceptor::new(authority.terms(auth, &roots)).unwrap();
            let builder = authority.client_builder(&[version]);
            let config = match shown {
                Some(pair) => {
                    let (chain, key) = der(pair);
                    builder.with_client_auth_cert(chain, key.into()).unwrap()
                }
                None => builder.with_no_client_auth(),
            };
            let mut pair = Pair::new(&acceptor, &Arc::new(config), "localhost");
            let _ = pair.talk();
            assert_eq!(pair.session.is_open(), is_welcome, "{auth:?} {:?}", pair.failure);
            let is_certificate = matches!(pair.failure, Some(Failure::Certificate(_)));
            assert_eq!(is_certificate, !is_welcome, "{auth:?} {:?}", pair.failure);
        }
    }
}

#[test]
fn an_old_version_is_refused_if_the_terms_say_so() {
    let authority = Authority::new();
    let mut terms = authority.terms(ClientAuth::Off, "");
    terms.only_tls13 = true;
    let acceptor = Acceptor::new(terms).unwrap();
    let mut pair = Pair::new(&acceptor, &Arc::new(authority.client_config(&[&TLS12])), "localhost");
    assert_eq!(pair.talk(), Err(Error::AlertReceived(AlertDescription::ProtocolVersion)));
    assert!(matches!(pair.failure, Some(Failure::Incompatible(_))));
}

#[test]
fn certificates_and_keys_that_do_not_do_are_told_apart() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["a.example"]);
    let (_, other) = authority.issue(&["b.example"]);
    let problem = |certificate: &str, key: &str| Identity::load(certificate, key).unwrap_err();
    assert_eq!(problem("", &key), IdentityProblem::NoCertificate);
    assert_eq!(problem(&key, &key), IdentityProblem::NoCertificate);
    assert_eq!(problem(&certificate, &certificate), IdentityProblem::NoKey);
    assert_eq!(problem(&certificate, &other), IdentityProblem::Mismatch);
    let broken = certificate.replace('A', "B");
    assert!(problem(&broken, &key).is_of_certificate());
    assert!(Identity::load(&certificate, &key).is_ok());
    // The key may stand in the same file.
    let both = format!("{key}{certificate}");
    assert!(Identity::load(&both, &both).is_ok());
}
