//! How many processes a run needs, on which cores, and from which addresses they connect.
//!
//! Knows the three limits of a client machine: cores, descriptors per process, and ports per pair of addresses.

/// Descriptors of a worker that are not connections: pipes, epoll, and room for the sockets of a dying generation.
pub const RESERVED_DESCRIPTOR_COUNT: u64 = 64;
/// Share of the port range to use per source address: the search for a free port grows slow beyond it.
const PORT_SHARE_DIVISOR: u32 = 2;
/// Source addresses are 127.0.0.1 and up.
pub const SOURCE_COUNT_MAX: u32 = 65_000;

/// What there is to choose from.
#[derive(Clone, Debug)]
pub struct Means {
    /// Cores that this process may run on.
    pub cores_allowed: Vec<u32>,
    pub cores_online: u32,
    pub descriptors: u64,
    pub ports: u32,
    /// The server is on this machine.
    pub local: bool,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staff {
    /// The core of each engine.
    pub cores: Vec<Option<u32>>,
    /// Empty: the kernel's choice.
    pub sources: Vec<[u8; 4]>,
    /// What the user should know about the choice.
    pub remarks: Vec<String>,
}

pub fn staff(connections: u32, cores: Option<&[u32]>, sources: Option<u32>, means: &Means) -> Staff {
    let mut remarks = Vec::new();
    let mut cores = choose_cores(cores, means);
    cores.truncate(connections.max(1) as usize);
    let capacity = means.descriptors.saturating_sub(RESERVED_DESCRIPTOR_COUNT).max(1);
    let needed = u64::from(connections).div_ceil(capacity) as usize;
    if needed > cores.len() {
        remarks.push(format!(
            "{connections} connections need more than the {} descriptors of a process: using {needed} processes \
             (`ulimit -n` raises the limit)",
            means.descriptors
        ));
        let chosen = cores.clone();
        cores = (0..needed).map(|index| chosen.get(index % chosen.len().max(1)).copied().flatten()).collect();
    }
    let per_source = (means.ports / PORT_SHARE_DIVISOR).max(1);
    let sources = sources.unwrap_or_else(|| connections.div_ceil(per_source).max(1));
    let sources =
        if means.local && sources > 1 { loopback(sources.min(SOURCE_COUNT_MAX)) } else { Vec::new() };
    Staff { cores, sources, remarks }
}

/// One engine a core. On the server's own machine half of the cores are left to the server, unless somebody has
/// already divided them.
fn choose_cores(cores: Option<&[u32]>, means: &Means) -> Vec<Option<u32>> {
    if let Some(cores) = cores {
        return cores.iter().map(|core| Some(*core)).collect();
    }
    let allowed = means.cores_allowed.len();
    if means.local && allowed as u32 == means.cores_online {
        return vec![None; (allowed / 2).max(1)];
    }
    means.cores_allowed.iter().map(|core| Some(*core)).collect()
}

/// 127.0.0.1, 127.0.0.2 and so on, without .0 and .255.
fn loopback(count: u32) -> Vec<[u8; 4]> {
    (0..count).map(|index| [127, 0, (index / 254) as u8, (index % 254 + 1) as u8]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means() -> Means {
        Means {
            cores_allowed: vec![0, 1, 2, 3],
            cores_online: 4,
            descriptors: 1_064,
            ports: 30_000,
            local: true,
        }
    }

    #[test]
    fn a_local_server_keeps_half_of_the_cores() {
        assert_eq!(staff(100, None, None, &means()).cores, [None, None]);
        let divided = Means { cores_allowed: vec![3], ..means() };
        assert_eq!(staff(100, None, None, &divided).cores, [Some(3)]);
        let remote = Means { local: false, ..means() };
        assert_eq!(staff(100, None, None, &remote).cores.len(), 4);
    }

    #[test]
    fn connections_beyond_the_descriptor_limit_get_more_processes() {
        let staff = staff(2_500, Some(&[1, 2]), None, &means());
        assert_eq!(staff.cores, [Some(1), Some(2), Some(1)]);
        assert!(staff.remarks[0].contains("using 3 processes"), "{:?}", staff.remarks);
    }

    #[test]
    fn there_is_no_engine_without_a_connection() {
        assert_eq!(staff(1, Some(&[1, 2]), None, &means()).cores, [Some(1)]);
    }

    #[test]
    fn sources_multiply_with_the_connections_on_loopback_only() {
        assert!(staff(15_000, None, None, &means()).sources.is_empty());
        assert_eq!(staff(40_000, None, None, &means()).sources.len(), 3);
        let sources = staff(100, None, Some(300), &means()).sources;
        assert_eq!(
            (sources[0], sources[253], sources[254]),
            ([127, 0, 0, 1], [127, 0, 0, 254], [127, 0, 1, 1])
        );
        assert!(staff(40_000, None, None, &Means { local: false, ..means() }).sources.is_empty());
    }
}
