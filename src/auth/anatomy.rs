//! What a token says of itself, for people who look for a mistake. Nothing here has been verified.

use super::error::Flaw;
use super::jws::decode;
use super::members::Members;
use crate::limits::TOKEN_BYTES_MAX;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anatomy {
    /// JSON text.
    pub header: String,
    /// Names and their JSON text, in the order of the names.
    pub claims: Vec<(String, String)>,
}

impl Anatomy {
    /// As much as can be read, whatever the algorithm and even without a signature.
    pub fn of(token: &str) -> Result<Self, Flaw> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Flaw::TooLong);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims)) = (parts.next(), parts.next()) else { return Err(Flaw::Parts) };
        let (header, claims) = (decode(header)?, decode(claims)?);
        let claims = Members::parse(&claims)?;
        let text = |name: &str| (printable(name), printable(claims.get(name).unwrap_or("null")));
        Ok(Self {
            header: printable(&String::from_utf8_lossy(&header)),
            claims: claims.names().map(text).collect(),
        })
    }

    pub fn claim(&self, name: &str) -> Option<&str> {
        let found = self.claims.iter().find(|(own, value)| own == name && value != "null");
        found.map(|(_, value)| value.as_str())
    }
}

/// A terminal obeys control characters, and whoever wrote the token is a stranger.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
