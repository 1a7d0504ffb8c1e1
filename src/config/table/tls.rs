//! TLS on the public port. Certificates and keys are kept in files (`tls.cert_pem_file`), which a reload reads again.

use crate::auth::Secret;
use crate::config::list::{ListOf, Named};
use crate::config::option::{
    Entry, MINUTE_MS, OFF, ON, SECOND_MS, choice, count, duration, restart, secret, switch,
};
use crate::limits;
use std::time::Duration;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    pub enabled: bool,
    pub certificate: Certificate,
    /// Shown to clients that ask for one of their names.
    pub certificates: Vec<Named<Certificate>>,
    pub client_auth: &'static str,
    pub client_ca_pem: Secret,
    pub min_version: &'static str,
    pub session_tickets: bool,
    pub handshake_timeout: Duration,
    pub handshake_rate_limit: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    pub cert_pem: Secret,
    pub key_pem: Secret,
}

impl Tls {
    /// All certificates, the default first, each with the section that it stands in.
    pub fn all(&self) -> impl Iterator<Item = (String, &Certificate)> {
        let named = self
            .certificates
            .iter()
            .map(|named| (format!("{}.{}", CERTIFICATES.key, named.name), &named.options));
        std::iter::once(("tls".to_owned(), &self.certificate)).chain(named)
    }
}

pub const OPTIONS: &[Entry] = &[
    restart(switch(
        "tls.enabled",
        OFF,
        |c| &mut c.tls.enabled,
        "Speaks TLS on the public port, and nothing else: wss:// and https://.",
    )),
    secret(
        "tls.cert_pem",
        |c| &mut c.tls.certificate.cert_pem,
        "Certificate and its chain (PEM), mostly as tls.cert_pem_file; for clients that ask for none of tls.certificates.",
    ),
    secret(
        "tls.key_pem",
        |c| &mut c.tls.certificate.key_pem,
        "Private key of it (PEM, without a password), mostly as tls.key_pem_file.",
    ),
    choice(
        "tls.client_auth",
        &["off", "optional", "required"],
        |c| &mut c.tls.client_auth,
        "Whether clients show a certificate (mutual TLS); one that is shown must be valid.",
    ),
    secret(
        "tls.client_ca_pem",
        |c| &mut c.tls.client_ca_pem,
        "Certificates of those who vouch for clients (PEM), mostly as tls.client_ca_pem_file.",
    ),
    choice(
        "tls.min_version",
        &["1.2", "1.3"],
        |c| &mut c.tls.min_version,
        "Oldest version of TLS that clients may speak.",
    ),
    switch(
        "tls.session_tickets",
        ON,
        |c| &mut c.tls.session_tickets,
        "Lets clients that come back go on without certificates and signatures; never with tls.client_auth.",
    ),
    duration(
        "tls.handshake_timeout",
        limits::TLS_HANDSHAKE_MS_MAX,
        [100, 5 * MINUTE_MS],
        |c| &mut c.tls.handshake_timeout,
        "Time from the connection to the end of the TLS handshake; beyond: closed.",
    ),
    count(
        "tls.handshake_rate_limit",
        "a second and core",
        1000,
        [0, 1_000_000],
        |c| &mut c.tls.handshake_rate_limit,
        "TLS handshakes that a core begins, 0 for no limit; beyond: closed before it costs anything.",
    ),
];

const _: () =
    assert!(limits::TLS_HANDSHAKE_MS_MAX >= SECOND_MS, "honest clients on slow networks get through");

pub static CERTIFICATES: ListOf<Certificate> = ListOf {
    key: "tls.certificates",
    entries: &[
        secret("cert_pem", |c| &mut c.cert_pem, "Certificate and its chain (PEM), mostly as cert_pem_file."),
        secret(
            "key_pem",
            |c| &mut c.key_pem,
            "Private key of it (PEM, without a password), mostly as key_pem_file.",
        ),
    ],
    place: |c| &mut c.tls.certificates,
    check_name: |name| if name.is_empty() { Err("a name for the log".to_owned()) } else { Ok(()) },
    doc: "Another certificate, for clients that ask for one of the names in it (SNI).",
};
