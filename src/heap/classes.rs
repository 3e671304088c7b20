//! Classes of lengths: a request gets the length of its class, so that a block fits the next request of about
//! the same length.
//!
//! Up to 256 bytes every multiple of 16 is a class of its own; up to 1 KiB the lengths are those that fill a page of
//! 4 KiB with 15, 14, .. 4 blocks; beyond that there are nine to a doubling, up to large blocks: eight at even distances, and one just
//! above the power of two, since many ask for a power of two and a header. All lengths are in granules.

/// Blocks of up to this many granules (1 KiB) are short.
pub const BINNED: u64 = 64;
/// Blocks of this many granules and more are not kept.
pub const LONGEST: u64 = 8192;
/// Classes of short blocks.
pub const SHORT: usize = 28;
/// Classes of longer blocks, from one power of two to the next.
pub const PER_DOUBLING: usize = 9;
/// Classes of longer blocks.
pub const LONG: usize = 7 * PER_DOUBLING;
/// All classes; no class has this number.
pub const CLASSES: usize = SHORT + LONG;

/// The lengths of the classes of short blocks.
const LENGTHS: [u8; SHORT] =
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 23, 25, 28, 32, 36, 42, 51, 64];

/// For each number of granules the class that serves it; none for 0.
const CLASS_FOR: [u8; BINNED as usize + 1] = {
    let mut classes = [u8::MAX; BINNED as usize + 1];
    let (mut n, mut class) = (1, 0);
    while n < classes.len() {
        if n > LENGTHS[class] as usize {
            class += 1;
        }
        classes[n] = class as u8;
        n += 1;
    }
    classes
};

/// For each number of granules the class whose blocks are exactly that long, if there is one.
const CLASS_OF: [u8; BINNED as usize + 1] = {
    let mut classes = [u8::MAX; BINNED as usize + 1];
    let mut class = 0;
    while class < SHORT {
        classes[LENGTHS[class] as usize] = class as u8;
        class += 1;
    }
    classes
};

/// The class whose short blocks are exactly `len` granules long; `usize::MAX` or so if there is none.
#[inline(always)]
pub fn short_class_of(len: u64) -> usize {
    CLASS_OF.get(len as usize).map_or(usize::MAX, |class| *class as usize)
}

/// The class that serves short requests of `n` granules; `usize::MAX` or so if there is none.
#[inline(always)]
pub fn short_class(n: u64) -> usize {
    CLASS_FOR.get(n as usize).map_or(usize::MAX, |class| *class as usize)
}

/// The length of the blocks of a class of short ones.
#[inline(always)]
pub fn short_len(class: usize) -> u64 {
    LENGTHS.get(class).map_or(BINNED, |len| u64::from(*len))
}

/// The length that a request for `n` granules gets, if `n` is not large.
#[inline]
pub fn class_len(n: u64) -> u64 {
    match n {
        ..=16 => n,
        17..=BINNED => short_len(short_class(n)),
        _ => {
            let power = 1 << (63 - n.leading_zeros());
            let (above, header) = (n - power, power / 32);
            power + if above > 0 && above <= header { header } else { above.next_multiple_of(power / 8) }
        }
    }
}

/// The class whose blocks are exactly `len` granules long; [`CLASSES`] if there is none.
#[inline]
pub fn class_of(len: u64) -> usize {
    if len <= BINNED {
        return short_class_of(len).min(CLASSES);
    }
    if len >= LONGEST || len != class_len(len) {
        return CLASSES;
    }
    let log = 63 - len.leading_zeros();
    let above = len - (1 << log);
    let eighths = (above >> (log - 3)) as usize;
    SHORT + (log as usize - 6) * PER_DOUBLING + if above == 0 { 0 } else { 1 + eighths }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_as_long_as_asked_and_not_much_longer() {
        let mut last = (0, usize::MAX);
        for n in 1..LONGEST {
            let len = class_len(n);
            let most = if n > 32 && n <= BINNED { n / 4 } else { n / 8 };
            assert!(len >= n && len - n <= most, "{n} gets {len}");
            assert_eq!(class_len(len), len);
            let class = class_of(len);
            assert!(class < CLASSES || len == LONGEST);
            assert_eq!(len == last.0, class == last.1, "{len} and {} share class {class}", last.0);
            last = (len, class);
        }
    }

    #[test]
    fn short_blocks_fill_a_page_but_for_a_sixteenth() {
        for class in 0..SHORT {
            assert!(256 % short_len(class) < 16, "{}", short_len(class));
            assert_eq!(class_of(short_len(class)), class);
        }
        assert_eq!(class_of(0), CLASSES);
    }
}
