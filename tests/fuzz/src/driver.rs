//! The sockets of a core on a kernel that is late, short, out of order, out of buffers, or broken: see `driver::play_any`.

pub fn run(data: &[u8]) {
    ringway::driver::play_any(data).expect("the machine has descriptors left");
}
