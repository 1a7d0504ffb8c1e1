//! Statuses of back ends that have a meaning: an error or a disconnect, as text of the configuration.

use crate::limits;

/// A status and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    pub status: u16,
    pub code: u32,
    pub text: String,
    pub to: TransformTo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransformTo {
    Error,
    Temporary,
    Disconnect,
}

pub(super) fn transforms(text: &str) -> Result<(), String> {
    parse_transforms(text).map(|_| ()).ok_or_else(|| {
        "statuses with their meaning, such as \"403 error 403 forbidden; 401 disconnect 4401 log in\"; codes of \
         errors are above 0, those of disconnects from 3000 to 4999"
            .to_owned()
    })
}

pub(super) fn parse_transforms(text: &str) -> Option<Vec<Transform>> {
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let mut words = part.splitn(4, ' ');
            let status: u16 = words.next()?.parse().ok().filter(|status| (100..=599).contains(status))?;
            let to = match words.next()? {
                "error" => TransformTo::Error,
                "temporary" => TransformTo::Temporary,
                "disconnect" => TransformTo::Disconnect,
                _ => return None,
            };
            let code: u32 = words.next()?.parse().ok()?;
            let is_legal = match to {
                TransformTo::Error | TransformTo::Temporary => code > 0,
                TransformTo::Disconnect => (3000..=4999).contains(&code),
            };
            let text = words.next().unwrap_or_default().trim().to_owned();
            let fits = text.len() <= limits::CLOSE_REASON_BYTES_MAX;
            (is_legal && fits && status != 200).then_some(Transform { status, code, text, to })
        })
        .collect()
}
