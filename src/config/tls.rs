//! TLS as it is configured: what is wrong with it, what the public port is accepted with, what will trouble clients.
//! Invariant: whatever `problems` lets pass, `acceptor` takes.

use super::relations::Broken;
use super::table::tls::{Certificate, Tls};
use super::warning::Warning;
use crate::fatal::Fatal;
use crate::tls::{Acceptor, ClientAuth, Identity, IdentityProblem, Terms, TermsProblem, Validity};
use std::time::Duration;

impl Tls {
    /// What certificates, keys and those who vouch for clients would have to be.
    pub(super) fn problems(&self) -> Vec<Broken> {
        if !self.enabled {
            return Vec::new();
        }
        let mut broken: Vec<Broken> =
            self.all().filter_map(|(section, one)| of_certificate(&section, one)).collect();
        if self.auth() != ClientAuth::Off && self.client_ca_pem.is_empty() {
            broken.push(Broken::new(
                "tls.client_ca_pem",
                &["tls.client_auth"],
                "set, since clients show certificates: tls.client_ca_pem_file = \"FILE\"",
            ));
        } else if broken.is_empty()
            && let Err(problem) = self.build()
        {
            let key = match problem {
                TermsProblem::Roots(_) => "tls.client_ca_pem",
                TermsProblem::Rustls(_) => "tls.cert_pem",
            };
            broken.push(Broken::new(key, &["tls.client_auth"], problem.to_string()));
        }
        broken
    }

    /// None: the public port is plain.
    pub(super) fn acceptor(&self) -> Result<Option<Acceptor>, Fatal> {
        if !self.enabled {
            return Ok(None);
        }
        let refused = |problem: TermsProblem| Fatal::Config {
            file: None,
            problems: vec![format!("tls: it must be {problem}")],
        };
        self.build().map(Some).map_err(refused)
    }

    fn build(&self) -> Result<Acceptor, TermsProblem> {
        // One that cannot be loaded has been reported on its own.
        let identities = self.all().filter_map(|(_, one)| one.load().ok());
        Acceptor::new(Terms {
            identities: identities.collect(),
            client_auth: self.auth(),
            client_roots: self.client_ca_pem.expose(),
            only_tls13: self.min_version == "1.3",
            has_tickets: self.session_tickets,
            patience: self.handshake_timeout,
            rate: (self.handshake_rate_limit > 0).then_some(self.handshake_rate_limit),
        })
    }

    fn auth(&self) -> ClientAuth {
        match self.client_auth {
            "required" => ClientAuth::Required,
            "optional" => ClientAuth::Optional,
            _ => ClientAuth::Off,
        }
    }

    /// Certificates that have ended at `now`, in the place of others that have not. A start has to make do with what there is;
    /// a reload that brings such a one has taken a wrong file.
    pub fn regressions(&self, running: &Self, now: Duration) -> Vec<String> {
        let now = now.as_secs().cast_signed();
        let until = |one: &Certificate| one.load().ok()?.validity.map(|validity| validity.until);
        let mut regressions = Vec::new();
        for (section, one) in self.all().filter(|_| self.enabled && running.enabled) {
            let in_force = running.all().find(|(other, _)| *other == section);
            let Some((new, old)) = until(one).zip(in_force.and_then(|(_, other)| until(other))) else {
                continue;
            };
            if new < now && old >= now {
                let days = (now - new) / Validity::DAY_S;
                regressions.push(format!(
                    "the certificate of {section}.cert_pem ended {days} days ago, while that in force is valid; \
                     put a renewed one there"
                ));
            }
        }
        regressions
    }

    /// Certificates that clients will refuse at `now`, since the epoch of Unix.
    pub(super) fn warnings(&self, now: Duration) -> Vec<Warning> {
        let now = now.as_secs().cast_signed();
        let validities = self.all().filter_map(|(section, one)| Some((section, one.load().ok()?.validity?)));
        let mut warnings = Vec::new();
        for (section, validity) in validities.filter(|_| self.enabled) {
            let option = format!("{section}.cert_pem");
            if validity.until < now {
                warnings.push(Warning::CertificateExpired {
                    option,
                    days: (now - validity.until) / Validity::DAY_S,
                });
            } else if validity.from > now {
                warnings.push(Warning::CertificateEarly { option });
            } else if validity.until < now + Validity::NOTICE_S {
                warnings.push(Warning::CertificateEnding {
                    option,
                    days: (validity.until - now) / Validity::DAY_S,
                });
            }
        }
        warnings
    }
}

impl Certificate {
    pub fn load(&self) -> Result<Identity, IdentityProblem> {
        Identity::load(self.cert_pem.expose(), self.key_pem.expose())
    }
}

fn of_certificate(section: &str, one: &Certificate) -> Option<Broken> {
    let (cert, key) = (format!("{section}.cert_pem"), format!("{section}.key_pem"));
    for (option, value) in [(&cert, &one.cert_pem), (&key, &one.key_pem)] {
        if value.is_empty() {
            return Some(Broken::new(
                option,
                &["tls.enabled"],
                format!("set, since TLS is on: {option}_file = \"FILE\""),
            ));
        }
    }
    let problem = one.load().err()?;
    let (option, other) = if problem.is_of_certificate() { (&cert, &key) } else { (&key, &cert) };
    Some(Broken::new(option, &[other], problem.to_string()))
}
