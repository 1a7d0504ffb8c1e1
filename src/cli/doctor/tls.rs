//! What clients will think of our certificates, and what compression may cost. A certificate that does not fit its key, or
//! that cannot be read, is found with the rest of the configuration.

use super::Finding;
use crate::config::Config;
use crate::sys::clock;
use crate::tls::{Identity, Outline, Validity, outlines};

/// `names`: by which clients will come.
pub fn examine(config: &Config, names: &[String]) -> Vec<Finding> {
    let mut findings = vec![compression(config)];
    if !config.tls.enabled {
        if !names.is_empty() {
            findings.push(Finding::warn(
                "TLS",
                "off: no client can come by https or wss",
                "tls.enabled = true",
            ));
        }
        return findings;
    }
    let now = clock::wall().as_secs().cast_signed();
    findings.push(protocol(config));
    let identities = config.tls.all().filter_map(|(section, one)| Some((section, one.load().ok()?)));
    let identities: Vec<(String, Identity)> = identities.collect();
    for (section, identity) in &identities {
        findings.extend(certificate(section, &identity.outlines(), now));
    }
    for name in names {
        findings.push(coverage(name, identities.iter().map(|(section, identity)| (&**section, identity))));
    }
    for outline in outlines(config.tls.client_ca_pem.expose()) {
        findings.extend(ending(CLIENT_CA, "tls.client_ca_pem", outline.validity, now));
    }
    findings
}

fn protocol(config: &Config) -> Finding {
    let versions = if config.tls.min_version == "1.3" { "TLS 1.3" } else { "TLS 1.2 and 1.3" };
    let clients = match config.tls.client_auth {
        "required" => "; every client shows a certificate",
        "optional" => "; clients may show certificates",
        _ => "",
    };
    Finding::ok("TLS", format!("{versions}, HTTP/1.1{clients}"))
}

fn certificate(section: &str, chain: &[Outline], now: i64) -> Vec<Finding> {
    let Some(first) = chain.first() else { return Vec::new() };
    let name = format!("certificate of {section}");
    let option = format!("{section}.cert_pem");
    let mut findings: Vec<Finding> = ending(&name, &option, first.validity, now).into_iter().collect();
    // The others are as old as they are long before us, mostly, and nobody looks at them.
    for above in chain.iter().skip(1) {
        findings.extend(ending(&format!("{name}, its issuer"), &option, above.validity, now));
    }
    if first.names.is_empty() {
        let said = "it has no subjectAltName: clients look for names nowhere else and refuse it";
        findings.push(Finding::warn(&name, said, "have one made with the names by which clients come"));
    }
    let breaks = chain
        .windows(2)
        .position(|pair| pair.first().zip(pair.last()).is_some_and(|(one, above)| !one.is_issued_by(above)));
    if let Some(at) = breaks {
        let said = format!("number {} of its chain was not issued by number {}", at + 1, at + 2);
        let fix = format!(
            "put them into the file of {option} in order: the certificate, then its issuer, and so on"
        );
        findings.push(Finding::warn(&name, said, fix));
    }
    if findings.is_empty() {
        let days = (first.validity.until - now) / Validity::DAY_S;
        let issuers = match chain.len() - 1 {
            0 if first.is_issued_by(first) => {
                ", its own issuer: clients have to be told to trust it".to_owned()
            }
            0 => ", without the certificate of its issuer: right if clients have that themselves".to_owned(),
            count => format!(", with {count} above it"),
        };
        findings
            .push(Finding::ok(&name, format!("{}; good for {days} days{issuers}", first.names.join(", "))));
    }
    findings
}

/// None: it is valid, and for a while.
fn ending(name: &str, option: &str, validity: Validity, now: i64) -> Option<Finding> {
    let fix = format!("replace the file of {option} and send SIGHUP");
    let refused =
        if name == CLIENT_CA { "clients that it vouches for are refused" } else { "clients refuse it" };
    if validity.until < now {
        Some(Finding::fail(
            name,
            format!("it ended {} days ago: {refused}", (now - validity.until) / Validity::DAY_S),
            fix,
        ))
    } else if validity.from > now {
        let said = format!("it begins in {} days: {refused}", (validity.from - now) / Validity::DAY_S + 1);
        Some(Finding::fail(name, said, "set the clock of this machine, or wait"))
    } else if validity.until < now + Validity::NOTICE_S {
        Some(Finding::warn(
            name,
            format!("it ends in {} days", (validity.until - now) / Validity::DAY_S),
            fix,
        ))
    } else {
        None
    }
}

fn coverage<'a>(name: &str, identities: impl Iterator<Item = (&'a str, &'a Identity)>) -> Finding {
    let about = format!("name {name}");
    let mut known = Vec::new();
    for (section, identity) in identities {
        if identity.covers(name) {
            return Finding::ok(&about, format!("it is in the certificate of {section}"));
        }
        known.extend(identity.outlines().into_iter().next().map(|outline| outline.names).unwrap_or_default());
    }
    let said = format!("no certificate has it, but {}: clients that come by it refuse us", known.join(", "));
    Finding::fail(
        &about,
        said,
        "have one made for it, and add it as [[tls.certificates]] or in the place of tls.cert_pem",
    )
}

fn compression(config: &Config) -> Finding {
    let websocket = &config.websocket;
    if !websocket.compression {
        return Finding::ok("compression", "off: messages go as they are");
    }
    if !websocket.compression_takeover {
        return Finding::ok("compression", "on, each message by itself: no memory for a connection");
    }
    let each = 2_u64 << websocket.compression_takeover_window;
    let memory = u64::from(websocket.compression_takeover_memory);
    let count = memory / each;
    let said = format!("on, with takeover: {} MiB are room for {count} connections", memory >> 20);
    if config.client.connection_limit > 0 && u64::from(config.client.connection_limit) > count {
        let fix = format!(
            "websocket.compression_takeover_memory = {}, or a smaller websocket.compression_takeover_window",
            u64::from(config.client.connection_limit) * each
        );
        Finding::warn(
            "compression",
            format!("{said}, and client.connection_limit allows more: they do without"),
            fix,
        )
    } else {
        Finding::ok("compression", said)
    }
}

const CLIENT_CA: &str = "authority of clients";

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    fn issuer(name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn identity(
        hosts: &[&str],
        issuer: &CertifiedIssuer<'static, KeyPair>,
        above: &str,
        years: [i32; 2],
    ) -> Identity {
        let key = KeyPair::generate().unwrap();
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.not_before = rcgen::date_time_ymd(years[0], 1, 1);
        params.not_after = rcgen::date_time_ymd(years[1], 1, 1);
        let pem = params.signed_by(&key, issuer).unwrap().pem() + above;
        Identity::load(&pem, &key.serialize_pem()).unwrap()
    }

    fn verdicts(identity: &Identity, now: i64) -> Vec<(Verdict, String)> {
        let findings = certificate("tls", &identity.outlines(), now);
        assert!(findings.iter().all(|finding| finding.fix.is_none() == (finding.verdict == Verdict::Ok)));
        findings.into_iter().map(|finding| (finding.verdict, finding.text)).collect()
    }

    #[test]
    fn a_certificate_is_judged_by_its_dates_names_and_chain() {
        let (above, other) = (issuer("above"), issuer("other"));
        let year = |year: i64| (year - 1970) * 31_556_952;
        let good = identity(&["a.example", "b.example"], &above, &above.pem(), [2020, 2040]);
        let [(Verdict::Ok, said)] = &verdicts(&good, year(2030))[..] else { panic!() };
        assert!(
            said.starts_with("a.example, b.example; good for 36") && said.ends_with("with 1 above it"),
            "{said}"
        );
        let [(Verdict::Fail, said)] = &verdicts(&good, year(2041))[..] else { panic!() };
        assert!(said.starts_with("it ended 36"), "{said}");
        assert!(matches!(verdicts(&good, year(2019))[..], [(Verdict::Fail, _)]));
        assert!(matches!(verdicts(&good, year(2040) - 2 * Validity::DAY_S)[..], [(Verdict::Warn, _)]));
        let [(Verdict::Warn, said)] =
            &verdicts(&identity(&["a"], &above, &other.pem(), [2020, 2040]), year(2030))[..]
        else {
            panic!()
        };
        assert_eq!(said, "number 1 of its chain was not issued by number 2");
        assert!(matches!(
            verdicts(&identity(&[], &above, "", [2020, 2040]), year(2030))[..],
            [(Verdict::Warn, _)]
        ));
    }

    #[test]
    fn a_name_that_no_certificate_has_is_a_failure() {
        let above = issuer("above");
        let identity = identity(&["a.example", "*.b.example"], &above, "", [2020, 2040]);
        let ask = |name: &str| coverage(name, std::iter::once(("tls", &identity)));
        assert_eq!(ask("a.example").verdict, Verdict::Ok);
        assert_eq!(ask("chat.b.example").verdict, Verdict::Ok);
        for name in ["b.example", "x.a.example", "not a name"] {
            let finding = ask(name);
            assert_eq!(finding.verdict, Verdict::Fail, "{name}");
            assert!(finding.text.contains("a.example, *.b.example"));
        }
    }

    #[test]
    fn takeover_is_counted_in_connections() {
        let mut config = Config::development();
        assert_eq!(compression(&config).verdict, Verdict::Ok);
        config.websocket.compression = true;
        config.websocket.compression_takeover = true;
        assert!(compression(&config).text.contains("8192 connections"), "{}", compression(&config).text);
        config.client.connection_limit = 10_000;
        assert_eq!(compression(&config).verdict, Verdict::Warn);
    }
}
