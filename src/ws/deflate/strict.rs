//! For tests: a reader of DEFLATE that makes nothing of it but the list of distances. RFC 1951 section 3.2.
//! It shares no code with any other, and it is how we know that a compressor stays within its window.

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn one(&mut self) -> u32 {
        let bit = self.bytes[self.at / 8] >> (self.at % 8) & 1;
        self.at += 1;
        u32::from(bit)
    }

    fn take(&mut self, count: u32) -> u32 {
        (0..count).map(|place| self.one() << place).sum()
    }
}

/// Canonical codes: how many there are of each length, and their symbols in order (section 3.2.2).
struct Codes {
    counts: [u32; 16],
    symbols: Vec<u32>,
}

impl Codes {
    fn new(lengths: &[u32]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().filter(|&&length| length > 0).for_each(|&length| counts[length as usize] += 1);
        let mut symbols = Vec::new();
        for length in 1..16 {
            symbols.extend((0..lengths.len()).filter(|&at| lengths[at] == length).map(|at| at as u32));
        }
        Self { counts, symbols }
    }

    fn read(&self, bits: &mut Bits<'_>) -> u32 {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for length in 1..16 {
            code |= bits.one();
            let count = self.counts[length];
            if code < first + count {
                return self.symbols[(index + code - first) as usize];
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        panic!("no such code");
    }
}

/// All distances up to the last block.
pub(super) fn distances(bytes: &[u8]) -> Vec<u32> {
    let mut bits = Bits { bytes, at: 0 };
    let mut distances = Vec::new();
    loop {
        let is_last = bits.one() == 1;
        match bits.take(2) {
            0 => {
                bits.at = bits.at.next_multiple_of(8);
                let len = bits.take(16);
                assert_eq!(bits.take(16), !len & 0xffff);
                bits.at += len as usize * 8;
            }
            1 => {
                let lengths: Vec<u32> = (0..288)
                    .map(|at| match at {
                        0..144 | 280..288 => 8,
                        144..256 => 9,
                        _ => 7,
                    })
                    .collect();
                block(&mut bits, &Codes::new(&lengths), &Codes::new(&[5; 30]), &mut distances);
            }
            2 => {
                let (literals, far) = dynamic(&mut bits);
                block(&mut bits, &literals, &far, &mut distances);
            }
            _ => panic!("no such block"),
        }
        if is_last {
            return distances;
        }
    }
}

fn dynamic(bits: &mut Bits<'_>) -> (Codes, Codes) {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let (literal_count, far_count) = (bits.take(5) as usize + 257, bits.take(5) as usize + 1);
    let mut lengths = [0; 19];
    for at in &ORDER[..bits.take(4) as usize + 4] {
        lengths[*at] = bits.take(3);
    }
    let codes = Codes::new(&lengths);
    let mut lengths = Vec::new();
    while lengths.len() < literal_count + far_count {
        let (value, count) = match codes.read(bits) {
            16 => (*lengths.last().unwrap(), bits.take(2) + 3),
            17 => (0, bits.take(3) + 3),
            18 => (0, bits.take(7) + 11),
            length => (length, 1),
        };
        lengths.extend(std::iter::repeat_n(value, count as usize));
    }
    (Codes::new(&lengths[..literal_count]), Codes::new(&lengths[literal_count..]))
}

fn block(bits: &mut Bits<'_>, literals: &Codes, far: &Codes, distances: &mut Vec<u32>) {
    loop {
        match literals.read(bits) {
            0..256 => {}
            256 => return,
            // Extra bits of lengths: none for the first eight and the last one, then one more every four.
            symbol => {
                let extra = if symbol < 265 || symbol == 285 { 0 } else { (symbol - 261) / 4 };
                bits.take(extra);
                let symbol = far.read(bits);
                let extra = if symbol < 4 { 0 } else { symbol / 2 - 1 };
                let base = if symbol < 4 { symbol + 1 } else { ((2 + symbol % 2) << extra) + 1 };
                distances.push(base + bits.take(extra));
            }
        }
    }
}
