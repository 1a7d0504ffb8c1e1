//! What clients say they are: few applications, very many clients.
//!
//! Invariant: clients of an application that was seen lately share one allocation for its name; a client whose name is
//! nobody else's has its own, and what is remembered here has an end.

use crate::conn::session::App;
use std::rc::Rc;

#[derive(Debug, Default)]
pub(super) struct Apps(Vec<Rc<App>>);

impl Apps {
    /// None for a client that says nothing.
    pub(super) fn share(&mut self, name: &str, version: &str) -> Option<Rc<App>> {
        let (name, version) = (shortened(name), shortened(version));
        if name.is_empty() && version.is_empty() {
            return None;
        }
        let at = self.0.iter().position(|app| *app.name == *name && *app.version == *version);
        let app = match at {
            Some(at) => self.0.remove(at),
            None => Rc::new(App { name: Box::from(name), version: Box::from(version) }),
        };
        self.0.truncate(APPS_KEPT - 1);
        self.0.insert(0, Rc::clone(&app));
        Some(app)
    }
}

/// As much as an operator reads, cut between characters.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(APP_BYTES_MAX)]
}

/// Applications and versions that are in use at the same time, mostly.
const APPS_KEPT: usize = 16;
/// Bytes of a name, and of a version: clients choose them, and each may keep one of its own alive.
const APP_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_one_application_share_its_name() {
        let mut apps = Apps::default();
        let first = apps.share("web", "2").unwrap();
        for n in 0..APPS_KEPT - 1 {
            apps.share(&n.to_string(), "").unwrap();
        }
        assert!(Rc::ptr_eq(&first, &apps.share("web", "2").unwrap()));
        assert!(!Rc::ptr_eq(&first, &apps.share("web", "3").unwrap()));
        assert!(apps.share("", "").is_none());
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let mut apps = Apps::default();
        for n in 0..100 {
            apps.share(&n.to_string(), "").unwrap();
        }
        assert_eq!(apps.0.len(), APPS_KEPT);
        let long = apps.share(&"я".repeat(100), "").unwrap();
        assert_eq!(long.name.len(), APP_BYTES_MAX);
    }
}
