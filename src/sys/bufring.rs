//! Receive buffers of one core, provided to the kernel as one ring of addresses.
//!
//! Invariant: a buffer is either the kernel's (its entry lies between head and tail of the ring) or it is named by
//! exactly one `Chunk`. A `Chunk` cannot be copied, so nothing reads a buffer that the kernel may write.
#![expect(unsafe_code, reason = "shares memory with the kernel")]

use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::io;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};

/// The only buffer group of a ring.
pub(super) const GROUP: u16 = 0;

/// Bytes that the kernel wrote for one receive. Give it back with `Ring::recycle`.
#[derive(Debug)]
pub struct Chunk {
    buffer: u16,
    len: u32,
}

#[cfg(debug_assertions)]
impl Chunk {
    /// For a kernel that is played: see `driver::play_any`.
    pub const fn of(buffer: u16, len: u32) -> Self {
        Self { buffer, len }
    }

    pub const fn parts(&self) -> (u16, u32) {
        (self.buffer, self.len)
    }
}

pub(super) struct BufferRing {
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    count: u16,
    buffer_bytes: u32,
    tail: u16,
}

impl BufferRing {
    /// Maps `count` buffers of `buffer_bytes` and fills the ring. `count` is a power of two.
    pub(super) fn new(count: u16, buffer_bytes: u32) -> io::Result<Self> {
        let entries = map(count as usize * size_of::<BufRingEntry>())?.cast();
        let memory = map(count as usize * buffer_bytes as usize)?;
        let mut ring = Self { entries, memory, count, buffer_bytes, tail: 0 };
        for buffer in 0..count {
            ring.provide(buffer);
        }
        Ok(ring)
    }

    /// Address of the entries, for registration. Valid as long as `self`.
    pub(super) fn address(&self) -> u64 {
        self.entries.as_ptr() as u64
    }

    pub(super) fn count(&self) -> u16 {
        self.count
    }

    /// The chunk of a completion that carried this buffer id.
    pub(super) fn chunk(&self, buffer: u16, len: u32) -> Option<Chunk> {
        (buffer < self.count && len <= self.buffer_bytes).then_some(Chunk { buffer, len })
    }

    pub(super) fn bytes(&mut self, chunk: &Chunk) -> &mut [u8] {
        // A chunk of another ring would lie elsewhere; there is one ring a core, and this is what keeps it harmless.
        assert!(chunk.buffer < self.count && chunk.len <= self.buffer_bytes, "a chunk belongs to its ring");
        let offset = chunk.buffer as usize * self.buffer_bytes as usize;
        // SAFETY: the buffer lies inside the mapping, as asserted above.
        let start = unsafe { self.memory.as_ptr().add(offset) };
        // SAFETY: the kernel wrote `len` bytes and gave the buffer up; the chunk is unique and `self` is borrowed.
        unsafe { slice::from_raw_parts_mut(start, chunk.len as usize) }
    }

    #[expect(clippy::needless_pass_by_value, reason = "whoever gives a chunk back may not keep it")]
    pub(super) fn recycle(&mut self, chunk: Chunk) {
        self.provide(chunk.buffer);
    }

    fn provide(&mut self, buffer: u16) {
        let index = (self.tail & (self.count - 1)) as usize;
        let address = self.memory.as_ptr() as u64 + u64::from(buffer) * u64::from(self.buffer_bytes);
        // SAFETY: the index is below `count`, so the entry lies inside the mapping.
        let entry = unsafe { self.entries.as_ptr().add(index) };
        // SAFETY: entries beyond the tail are ours; the kernel reads them only after the store below.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(self.buffer_bytes);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the first entry of a mapped ring carries the tail in its reserved field.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the field is aligned, mapped for our life, and only ever accessed atomically by us and the kernel.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        let entries_bytes = self.count as usize * size_of::<BufRingEntry>();
        // SAFETY: mapped by `new` with this length; the owner drops us only when the kernel is done with the ring.
        let _ = unsafe { munmap(self.entries.as_ptr().cast(), entries_bytes) };
        let memory_bytes = self.count as usize * self.buffer_bytes as usize;
        // SAFETY: as above.
        let _ = unsafe { munmap(self.memory.as_ptr().cast(), memory_bytes) };
    }
}

fn map(bytes: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: an anonymous private mapping at an address of the kernel's choice aliases nothing.
    let address = unsafe {
        mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
    }?;
    NonNull::new(address.cast()).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
}
