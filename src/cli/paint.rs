//! Colour for people at a terminal, and for nobody else.
//! Invariant: painted and plain text differ in escape sequences only. `NO_COLOR` is honoured (no-color.org).

use std::io::IsTerminal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    enabled: bool,
}

impl Paint {
    pub const PLAIN: Self = Self { enabled: false };
    #[cfg(test)]
    pub const COLOURED: Self = Self { enabled: true };

    pub fn stdout() -> Self {
        Self::on(&std::io::stdout())
    }

    pub fn stderr() -> Self {
        Self::on(&std::io::stderr())
    }

    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    pub fn doubtful(self, text: &str) -> String {
        self.wrap("1;33", text)
    }

    pub fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    pub fn strong(self, text: &str) -> String {
        self.wrap("1", text)
    }

    fn on(stream: &impl IsTerminal) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { enabled: stream.is_terminal() && !unwanted }
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.enabled { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
