//! The allocator, where Rust's own interface ends.
#![expect(unsafe_code, reason = "calls into the allocator")]

/// Gives free memory of this thread back to the kernel. Costs some microseconds: for cores that have become quiet.
pub fn give_back() {
    // SAFETY: walks only structures of the calling thread's heap; without a heap of this allocator it does nothing.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
