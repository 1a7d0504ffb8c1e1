//! Rows: what is sent and what is expected, one attack each, in TOML. `README.md` of this crate describes the fields.
//! Invariant: a row that lets servers differ says in `policy` why they may.

use crate::conn::KEY_TEXT;
use crate::player;
use crate::step::{self, Step};
use crate::target::Target;
use serde::Deserialize;
use std::path::Path;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub id: String,
    pub title: String,
    /// Section of an RFC, or what went wrong elsewhere.
    pub source: String,
    /// 0: before every release; 1: nice to have.
    #[serde(default)]
    pub priority: u8,
    /// What the target must offer or be known for.
    #[serde(default)]
    pub needs: Vec<String>,
    #[serde(default)]
    pub policy: String,
    /// The path that it speaks to.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// So many peers do the same at the same time.
    #[serde(default = "one")]
    pub connections: usize,
    /// One after the other.
    #[serde(default = "one")]
    pub times: usize,
    /// Answers no ping.
    #[serde(default)]
    pub mute: bool,
    /// Bytes by which the resident memory of the server may grow meanwhile.
    pub memory: Option<u64>,
    /// Counters of Ringway that have to move.
    #[serde(default)]
    pub moves: Vec<String>,
    /// Values of `{case}` and `{case2}`; each is a conversation of its own.
    #[serde(default)]
    pub cases: Vec<Case>,
    pub steps: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endpoint {
    /// The path of the target's address.
    #[default]
    Echo,
    /// That of the client protocol.
    Client,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Case {
    One(String),
    Two(String, String),
}

#[derive(Debug, thiserror::Error)]
pub enum RowError {
    #[error("cannot read {path}: {cause}")]
    Unreadable { path: String, cause: String },
    #[error("{path}: {cause}")]
    Malformed { path: String, cause: String },
    #[error("row {id}: {cause}")]
    Row { id: String, cause: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    row: Vec<Row>,
}

const EMBEDDED: [(&str, &str); 8] = [
    ("handshake.toml", include_str!("../rows/handshake.toml")),
    ("frames.toml", include_str!("../rows/frames.toml")),
    ("text.toml", include_str!("../rows/text.toml")),
    ("endings.toml", include_str!("../rows/endings.toml")),
    ("slowness.toml", include_str!("../rows/slowness.toml")),
    ("deflate.toml", include_str!("../rows/deflate.toml")),
    ("tls.toml", include_str!("../rows/tls.toml")),
    ("client.toml", include_str!("../rows/client.toml")),
];

fn one() -> usize {
    1
}

/// The rows that are part of the program.
pub fn embedded() -> Result<Vec<Row>, RowError> {
    let files = EMBEDDED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    read(files.collect())
}

/// The rows of the `*.toml` files in a folder.
pub fn of_folder(folder: &Path) -> Result<Vec<Row>, RowError> {
    let unreadable = |path: &Path, cause: std::io::Error| RowError::Unreadable {
        path: path.display().to_string(),
        cause: cause.to_string(),
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|cause| unreadable(folder, cause))? {
        let path = entry.map_err(|cause| unreadable(folder, cause))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).map_err(|cause| unreadable(&path, cause))?;
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(RowError::Unreadable {
            path: folder.display().to_string(),
            cause: "no *.toml there".into(),
        });
    }
    read(files)
}

fn read(files: Vec<(String, String)>) -> Result<Vec<Row>, RowError> {
    let mut rows: Vec<Row> = Vec::new();
    for (path, text) in files {
        let file: File =
            toml::from_str(&text).map_err(|cause| RowError::Malformed { path, cause: cause.to_string() })?;
        for row in file.row {
            if rows.iter().any(|other| other.id == row.id) {
                return Err(row.error("the id is taken".into()));
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

impl Row {
    fn error(&self, cause: String) -> RowError {
        RowError::Row { id: self.id.clone(), cause }
    }

    /// The conversations of this row with a target: what is varied, and the steps.
    pub fn conversations(&self, target: &Target) -> Result<Vec<(String, Vec<Step>)>, RowError> {
        let cases = match self.cases.as_slice() {
            [] => vec![(String::new(), String::new())],
            cases => cases.iter().map(Case::values).collect(),
        };
        let mut conversations = Vec::new();
        for (case, case2) in cases {
            let script = self.steps.replace("{case}", &case).replace("{case2}", &case2);
            let script =
                filled(&script, |name| self.value(name, target)).map_err(|cause| self.error(cause))?;
            let steps = step::parse(&script).map_err(|cause| self.error(cause))?;
            if self.policy.is_empty() && steps.iter().any(step::tolerates) {
                return Err(self.error("lets servers differ, but has no policy that says why".into()));
            }
            conversations.push((case, steps));
        }
        Ok(conversations)
    }

    /// The path that it speaks to.
    pub fn path<'t>(&self, target: &'t Target) -> &'t str {
        match self.endpoint {
            Endpoint::Echo => &target.path,
            Endpoint::Client => target.known.client_path.as_deref().unwrap_or(&target.path),
        }
    }

    /// What a name in braces stands for.
    fn value(&self, name: &str, target: &Target) -> Result<String, String> {
        let limit = || target.known.message_bytes.ok_or("the limit of messages is not known");
        Ok(match name {
            "host" => target.host.clone(),
            "path" => self.path(target).to_owned(),
            "head" => escaped(&player::head(target, self.path(target))),
            "key" => format!("Sec-WebSocket-Key: {KEY_TEXT}\\r\\n"),
            "version" => "Sec-WebSocket-Version: 13\\r\\n".to_owned(),
            "upgrade" => "Upgrade: websocket\\r\\nConnection: Upgrade\\r\\n".to_owned(),
            "message_limit" => limit()?.to_string(),
            "over_limit" => (limit()? + 1).to_string(),
            "half_limit" => (limit()? / 2).to_string(),
            _ => return Err(format!("{{{name}}} stands for nothing")),
        })
    }

    /// Everything that it needs, the endpoint included.
    pub fn requirements(&self) -> impl Iterator<Item = &str> {
        let protocol = (self.endpoint == Endpoint::Client).then_some("client-protocol");
        self.needs.iter().map(String::as_str).chain(protocol)
    }
}

impl Case {
    fn values(&self) -> (String, String) {
        match self {
            Self::One(case) => (case.clone(), String::new()),
            Self::Two(case, case2) => (case.clone(), case2.clone()),
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\r', "\\r").replace('\n', "\\n")
}

/// Puts values in the place of `{names}`; braces around anything else, such as JSON, stay.
fn filled(script: &str, value: impl Fn(&str) -> Result<String, String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = script;
    while let Some(at) = rest.find(['{', '\\']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('\\') {
            let len = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
            out.push_str(&rest[..len]);
            rest = &rest[len..];
            continue;
        }
        let end =
            rest[1..].find(|c: char| !c.is_ascii_lowercase() && c != '_').map_or(rest.len(), |end| end + 1);
        if end > 1 && rest[end..].starts_with('}') {
            out.push_str(&value(&rest[1..end])?);
            rest = &rest[end + 1..];
        } else {
            out.push('{');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Known;
    use crate::tls::Trust;
    use std::time::Duration;

    fn target() -> Target {
        let known = Known {
            message_bytes: Some(65_536),
            handshake: Some(Duration::from_secs(1)),
            message: Some(Duration::from_secs(1)),
            stale: Some(Duration::from_secs(1)),
            client_path: Some("/client".into()),
        };
        let mut target = Target::new("ws://127.0.0.1:1/echo", &Trust::Machine, known).unwrap();
        target.offers.deflate = true;
        target.offers.client_protocol = true;
        target
    }

    #[test]
    fn every_embedded_row_is_understood() {
        let target = target();
        let secure = Target { tls: Some(crate::tls::config(&Trust::Anybody).unwrap()), ..target.clone() };
        let rows = embedded().unwrap();
        assert!(rows.len() > 80, "{} rows", rows.len());
        for row in &rows {
            row.conversations(&target).unwrap();
            let lack = |target: &Target| row.requirements().find_map(|need| target.lacks(need));
            let lacks = (lack(&target), lack(&secure));
            assert!(lacks.0.is_none() || lacks.1.is_none(), "{}: never run: {lacks:?}", row.id);
            assert!(!row.title.is_empty() && !row.source.is_empty(), "{}", row.id);
        }
    }

    fn of(text: &str) -> Result<Vec<(String, Vec<Step>)>, String> {
        let rows = read(vec![("test".into(), text.into())]).map_err(|error| error.to_string())?;
        rows[0].conversations(&target()).map_err(|error| error.to_string())
    }

    const START: &str = "[[row]]\nid = \"X-01\"\ntitle = \"a\"\nsource = \"b\"\n";

    #[test]
    fn cases_and_names_are_filled_in() {
        let conversations = of(&format!(
            "{START}cases = [[\"a\", \"400\"], \"b\"]\nsteps = '''\nsend \"{{case}}{{over_limit}}{{\\\"a\\\":{{}}}}\"\n'''"
        ));
        let conversations = conversations.unwrap();
        let Step::Send(bytes, _) = &conversations[0].1[0] else { panic!("{conversations:?}") };
        assert_eq!(bytes, b"a65537{\"a\":{}}");
        assert_eq!(conversations[1].0, "b");
    }

    #[test]
    fn mistakes_in_rows_are_named() {
        for (row, fault) in [
            ("steps = 'send \"{hots}\"'", "hots"),
            ("steps = 'closed 1002 ~ end'", "policy"),
            ("steps = 'sned'", "sned"),
            ("steps = ''\nstesp = ''", "stesp"),
        ] {
            let error = of(&format!("{START}{row}")).unwrap_err();
            assert!(error.contains(fault), "{error}");
        }
        assert!(of(&format!("{START}steps = ''\n{START}steps = ''")).unwrap_err().contains("taken"));
    }
}
