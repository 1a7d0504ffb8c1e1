//! How two sides come to agree on permessage-deflate. RFC 7692 section 7.1.
//!
//! Invariant: what is answered grants nothing that was not offered, and is no more than our terms allow. An offer that
//! has a parameter twice, one that is unknown or a value that is none is declined, and the next one is looked at: "A
//! server MUST decline an extension negotiation offer for this extension if [...]" (section 7.1).
//! Knows nothing of how anything is compressed.

/// What we are willing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Messages may build on those before: memory for each connection.
    pub takeover: bool,
    /// 9 to 15: how far back they may then refer, in either direction, where the client leaves it to us.
    pub takeover_window_bits: u8,
}

/// What both sides keep to from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Our messages build on each other.
    pub server_takeover: bool,
    pub client_takeover: bool,
    /// 9 to 15.
    pub server_window_bits: u8,
    /// 8 to 15; of interest only if the client's messages build on each other.
    pub client_window_bits: u8,
    says_server_window: bool,
    says_client_window: bool,
}

/// One offer that can be understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: ClientWindow,
}

/// What the client says of its own window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ClientWindow {
    /// It cannot be limited.
    #[default]
    Unsaid,
    /// It knows the parameter.
    Any,
    /// It will not use a larger one in any case.
    Bits(u8),
}

/// The offers of a header field that is well-formed, most wanted first.
pub(super) fn offers(value: &str) -> impl Iterator<Item = Offer> {
    value.split(',').filter_map(|extension| {
        let mut parts = extension.split(';').map(trim);
        if parts.next() == Some(NAME) { Offer::parse(parts) } else { None }
    })
}

/// The first offer that we can live with.
pub(super) fn agree(offers: &[Offer], terms: Terms) -> Option<Agreement> {
    offers.iter().find_map(|offer| offer.accept(terms))
}

impl Offer {
    fn parse<'a>(parameters: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut offer = Self::default();
        for parameter in parameters {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (trim(name), Some(trim(value))),
                None => (parameter, None),
            };
            let is_first = match (name, value) {
                ("server_no_context_takeover", None) => {
                    !std::mem::replace(&mut offer.server_no_context_takeover, true)
                }
                ("client_no_context_takeover", None) => {
                    !std::mem::replace(&mut offer.client_no_context_takeover, true)
                }
                ("server_max_window_bits", Some(value)) => {
                    offer.server_max_window_bits.replace(window_bits(value)?).is_none()
                }
                ("client_max_window_bits", value) => {
                    let window = match value {
                        None => ClientWindow::Any,
                        Some(value) => ClientWindow::Bits(window_bits(value)?),
                    };
                    let before = std::mem::replace(&mut offer.client_max_window_bits, window);
                    before == ClientWindow::Unsaid
                }
                _ => false,
            };
            if !is_first {
                return None;
            }
        }
        Some(offer)
    }

    fn accept(self, terms: Terms) -> Option<Agreement> {
        // zlib makes no raw stream with a window of 256 bytes: it would take 512, which the client could not read.
        if self.server_max_window_bits == Some(8) {
            return None;
        }
        let server_takeover = terms.takeover && !self.server_no_context_takeover;
        let client_takeover = terms.takeover && !self.client_no_context_takeover;
        let ours = if server_takeover { terms.takeover_window_bits } else { WINDOW_BITS_MAX };
        let server_window_bits = ours.min(self.server_max_window_bits.unwrap_or(WINDOW_BITS_MAX));
        // A client that did not say that it knows the parameter must not be answered with it (section 7.1.2.2).
        let limit = terms.takeover_window_bits;
        let (client_window_bits, is_news) = match self.client_max_window_bits {
            ClientWindow::Unsaid => (WINDOW_BITS_MAX, false),
            ClientWindow::Any => (limit, true),
            ClientWindow::Bits(bits) => (limit.min(bits), limit < bits),
        };
        Some(Agreement {
            server_takeover,
            client_takeover,
            server_window_bits,
            client_window_bits,
            says_server_window: self.server_max_window_bits.is_some() || server_window_bits < WINDOW_BITS_MAX,
            says_client_window: client_takeover && is_news,
        })
    }
}

impl Agreement {
    /// As an element of `Sec-WebSocket-Extensions`.
    pub(super) fn append(self, out: &mut Vec<u8>) {
        out.extend_from_slice(NAME.as_bytes());
        if !self.server_takeover {
            out.extend_from_slice(b"; server_no_context_takeover");
        }
        if !self.client_takeover {
            out.extend_from_slice(b"; client_no_context_takeover");
        }
        if self.says_server_window {
            out.extend_from_slice(format!("; server_max_window_bits={}", self.server_window_bits).as_bytes());
        }
        if self.says_client_window {
            out.extend_from_slice(format!("; client_max_window_bits={}", self.client_window_bits).as_bytes());
        }
    }
}

/// "a decimal integer value without leading zeroes between 8 to 15, inclusive" (section 7.1.2), as a token or quoted.
fn window_bits(value: &str) -> Option<u8> {
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match quoted.map(|text| text.replace('\\', "")).as_deref().unwrap_or(value) {
        "8" => Some(8),
        "9" => Some(9),
        "10" => Some(10),
        "11" => Some(11),
        "12" => Some(12),
        "13" => Some(13),
        "14" => Some(14),
        "15" => Some(15),
        _ => None,
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

const NAME: &str = "permessage-deflate";
const WINDOW_BITS_MAX: u8 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    const WITHOUT: Terms = Terms { takeover: false, takeover_window_bits: 12 };
    const WITH: Terms = Terms { takeover: true, takeover_window_bits: 12 };

    /// The answer to a header field, empty if all offers were declined.
    fn answer(value: &str, terms: Terms) -> String {
        let offers: Vec<Offer> = offers(value).collect();
        let mut out = Vec::new();
        if let Some(agreement) = agree(&offers, terms) {
            agreement.append(&mut out);
        }
        String::from_utf8(out).unwrap()
    }

    const NEITHER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    #[test]
    fn without_takeover_every_message_stands_by_itself_whatever_is_offered() {
        for offer in [
            "permessage-deflate",
            // Browsers.
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=10; client_no_context_takeover",
            "permessage-deflate;server_no_context_takeover ; client_no_context_takeover",
            // Eight bits of the client can be read with a larger window.
            "permessage-deflate; client_max_window_bits=8",
        ] {
            assert_eq!(answer(offer, WITHOUT), NEITHER, "{offer}");
        }
    }

    /// RFC 7692 section 7.1.2.1.
    #[test]
    fn the_window_of_the_server_is_what_the_client_asks_for() {
        for bits in 9..=15 {
            let offer = format!("permessage-deflate; server_max_window_bits={bits}");
            assert_eq!(answer(&offer, WITHOUT), format!("{NEITHER}; server_max_window_bits={bits}"));
            let takeover = answer(&offer, WITH);
            assert_eq!(takeover, format!("permessage-deflate; server_max_window_bits={}", bits.min(12)));
        }
        assert_eq!(
            answer("permessage-deflate; server_max_window_bits=\"1\\0\"", WITHOUT),
            format!("{NEITHER}; server_max_window_bits=10")
        );
    }

    /// RFC 7692 sections 7.1.1 and 7.1.2.2.
    #[test]
    fn with_takeover_windows_are_no_larger_than_our_terms_where_the_client_can_be_told() {
        for (offer, wanted) in [
            ("permessage-deflate", "permessage-deflate; server_max_window_bits=12"),
            (
                "permessage-deflate; client_max_window_bits",
                "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
            ),
            (
                "permessage-deflate; client_max_window_bits=15; server_max_window_bits=9",
                "permessage-deflate; server_max_window_bits=9; client_max_window_bits=12",
            ),
            (
                // It keeps to its own promise without being asked.
                "permessage-deflate; client_max_window_bits=8",
                "permessage-deflate; server_max_window_bits=12",
            ),
            (
                "permessage-deflate; server_no_context_takeover; client_max_window_bits",
                "permessage-deflate; server_no_context_takeover; client_max_window_bits=12",
            ),
            (
                "permessage-deflate; client_no_context_takeover; client_max_window_bits",
                "permessage-deflate; client_no_context_takeover; server_max_window_bits=12",
            ),
        ] {
            assert_eq!(answer(offer, WITH), wanted, "{offer}");
        }
    }

    #[test]
    fn offers_that_are_not_legal_are_declined_and_the_next_one_is_taken() {
        for offer in [
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=010",
            "permessage-deflate; client_max_window_bits=0",
            "permessage-deflate; client_max_window_bits=255",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; unknown",
            // Legal, but nothing that zlib can do.
            "permessage-deflate; server_max_window_bits=8",
            "permessage-bzip2",
            "x-webkit-deflate-frame",
            "Permessage-Deflate; constructor; __proto__=1",
            "",
        ] {
            assert_eq!(answer(offer, WITHOUT), "", "{offer}");
            let with_fallback = format!("{offer}, permessage-deflate; server_max_window_bits=9");
            assert_eq!(answer(&with_fallback, WITHOUT), format!("{NEITHER}; server_max_window_bits=9"));
        }
    }

    #[test]
    fn the_first_offer_that_can_be_met_is_the_one_that_is_answered() {
        let offers = "foo, permessage-deflate; server_max_window_bits=10, permessage-deflate";
        assert_eq!(answer(offers, WITHOUT), format!("{NEITHER}; server_max_window_bits=10"));
        let many = "permessage-deflate; server_max_window_bits=8, ".repeat(1_000);
        assert_eq!(answer(&many, WITH), "");
    }
}
