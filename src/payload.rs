//! Bytes that are ready for the wire, shared by reference.
//!
//! Invariant: a payload is whole frames, or a whole HTTP answer; nobody changes it after it was made. Inside a core a clone costs
//! one plain increment; `Parcel` is the form that crosses cores, one atomic increment per core, never per subscriber.

use std::rc::Rc;
use std::sync::Arc;

/// Framed bytes inside one core.
#[derive(Clone, Debug)]
pub struct Payload(Rc<Body>);

#[derive(Debug)]
enum Body {
    Local(Box<[u8]>),
    /// Never compressed.
    Bare(Box<[u8]>),
    Parcel(Parcel),
}

/// Framed bytes on their way between cores.
#[derive(Clone, Debug)]
pub struct Parcel(Arc<[u8]>);

impl Payload {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Rc::new(Body::Local(bytes.into_boxed_slice())))
    }

    /// Leaves as it is, whatever its connection has agreed on.
    pub fn bare(bytes: Vec<u8>) -> Self {
        Self(Rc::new(Body::Bare(bytes.into_boxed_slice())))
    }

    pub fn is_bare(&self) -> bool {
        matches!(&*self.0, Body::Bare(_))
    }

    pub fn copy(bytes: &[u8]) -> Self {
        Self(Rc::new(Body::Local(Box::from(bytes))))
    }

    pub fn bytes(&self) -> &[u8] {
        match &*self.0 {
            Body::Local(bytes) | Body::Bare(bytes) => bytes,
            Body::Parcel(parcel) => &parcel.0,
        }
    }

    pub fn len(&self) -> u32 {
        self.bytes().len() as u32
    }

    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// Whether both are the same bytes in memory, not merely equal ones.
    pub fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl From<Parcel> for Payload {
    fn from(parcel: Parcel) -> Self {
        Self(Rc::new(Body::Parcel(parcel)))
    }
}

impl Parcel {
    pub fn new(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}
