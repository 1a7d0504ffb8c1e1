#![expect(unsafe_code, reason = "a seccomp filter is installed on a thread of the test")]

use super::*;

#[test]
fn this_machine_has_what_the_driver_needs() {
    let features = probe().expect("the tests need a kernel with io_uring");
    assert!(features.coop_taskrun && features.buffer_ring && features.multishot_recv);
    assert_eq!(features.kernel, kernel_release());
}

#[test]
fn a_probe_leaves_no_descriptor_behind() {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    probe().unwrap();
    // Other tests of this process open and close theirs meanwhile, so look for growth by repetition.
    let before = count();
    for _ in 0..50 {
        probe().unwrap();
    }
    assert!(count() < before + 50, "descriptors leak: {} before, {} after", before, count());
}

#[test]
fn a_seccomp_filter_is_named_as_the_cause() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let refusal = std::thread::spawn(move || {
            forbid_setup(errno);
            probe().unwrap_err()
        });
        let refusal = refusal.join().unwrap();
        assert!(matches!(refusal, Refusal::Filtered), "{refusal:?}");
        assert!(refusal.fix().contains("seccomp"));
    }
}

#[test]
fn every_errno_of_a_refusal_has_a_name() {
    let named = |errno: Errno| refusal(io::Error::from(errno), "6.1.0");
    assert!(matches!(named(Errno::NOSYS), Refusal::Absent { .. }));
    assert!(matches!(named(Errno::NOMEM), Refusal::Memory));
    assert!(matches!(named(Errno::MFILE), Refusal::Descriptors));
    assert!(matches!(named(Errno::IO), Refusal::Failed { .. }));
}

/// Answers `errno` to io_uring_setup on the calling thread, as a container runtime would.
fn forbid_setup(errno: i32) {
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    let filter = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = [
        filter(load, 0, 0, 0),
        filter(equal, 0, 1, libc::SYS_io_uring_setup as u32),
        filter(answer, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        filter(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: takes numbers only.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the program is valid for the duration of the call, which copies it.
    let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    assert_eq!(done, 0);
}
