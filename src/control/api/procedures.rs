//! rpc: procedures that the server answers itself, in one table.
//! Invariant: a procedure is quick and asks no core. Those of back ends are reached by clients, not from here.

use super::Api;
use super::error::ApiError;
use super::request::{Text, read};
use crate::proto::Object;
use crate::sys::clock;
use serde::Deserialize;

#[derive(Deserialize)]
struct RpcRequest<'a> {
    #[serde(default, borrow)]
    method: Text<'a>,
}

type Procedure = fn(&mut Object<'_>);

const PROCEDURES: &[(&str, Procedure)] = &[("ping", ping), ("time", time)];

impl Api {
    #[expect(clippy::unused_self, reason = "a method as all others are")]
    pub(super) fn rpc(&self, params: &[u8], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let request: RpcRequest = read(params)?;
        if request.method.is_empty() {
            return Err(ApiError::BadRequest("method is missing"));
        }
        let found = PROCEDURES.iter().find(|(name, _)| *name == &*request.method);
        let (_, procedure) = found.ok_or(ApiError::NotFound)?;
        let mut object = Object::open(out);
        object.object("data", procedure);
        object.close();
        Ok(())
    }
}

/// Proves that the API answers.
fn ping(_: &mut Object<'_>) {}

/// The clock of the node, in Unix milliseconds.
fn time(to: &mut Object<'_>) {
    to.number_always("time_ms", u64::try_from(clock::wall().as_millis()).unwrap_or(u64::MAX));
}
