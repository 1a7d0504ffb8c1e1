//! Certificates made for a test, in a folder that goes with it.

use crate::support::server::Server;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Somebody whom clients trust.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub folder: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tls-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "authority of a test");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, folder };
        fs::write(authority.roots(), authority.issuer.pem()).unwrap();
        authority.issue("server", &["localhost"]);
        authority
    }

    /// Who vouches for all of these.
    pub fn roots(&self) -> PathBuf {
        self.folder.join("roots.pem")
    }

    pub fn roots_der(&self) -> rustls::pki_types::CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Writes NAME.cert.pem and NAME.key.pem.
    pub fn issue(&self, name: &str, hosts: &[&str]) {
        self.issue_until(name, hosts, 2090);
    }

    pub fn issue_until(&self, name: &str, hosts: &[&str], year: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(hosts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        for (kind, pem) in [("cert", certificate.pem()), ("key", key.serialize_pem())] {
            fs::write(self.folder.join(format!("{name}.{kind}.pem")), pem).unwrap();
        }
    }

    /// The section of a server with the certificate of that name, with `more` at its end.
    pub fn section(&self, name: &str, more: &str) -> String {
        let folder = self.folder.display();
        format!(
            "[tls]\nenabled = true\ncert_pem_file = \"{folder}/{name}.cert.pem\"\n\
             key_pem_file = \"{folder}/{name}.key.pem\"\n{more}\n"
        )
    }

    pub fn serve(&self, more: &str) -> Server {
        Server::echo(&self.section("server", more))
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
