//! Where blocks begin and end: two bits for each granule of 16 bytes.
//!
//! | bits | state    | meaning                                                        |
//! |------|----------|----------------------------------------------------------------|
//! | `00` | free     | belongs to nothing                                             |
//! | `01` | inner    | continues the block before it, live or parked                  |
//! | `10` | parked   | first granule of a block that is free, but held for quick reuse |
//! | `11` | live     | first granule of a block that the program owns                 |
//!
//! 32 granules share a word, and every change of a block's first granule is one store of one word:
//! another thread that measures its own live block sees its neighbours in one state or the other,
//! and neither is `inner`. Only the region's owner stores (release); anybody may load (acquire).

use crate::page::table::FreeRuns;
use core::sync::atomic::{AtomicU64, Ordering};

/// Bytes per granule: the alignment that malloc promises.
pub const GRANULE: u64 = 16;
/// Granules that one word describes.
pub const PER_WORD: u64 = 32;

const LOW: u64 = 0x5555_5555_5555_5555;

/// What a granule is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Granule {
    /// Belongs to nothing.
    Free = 0b00,
    /// Continues a block.
    Inner = 0b01,
    /// Begins a parked block.
    Parked = 0b10,
    /// Begins a block of the program.
    Live = 0b11,
}

/// Access to the words of a region; the implementor knows which are backed.
pub trait Words {
    /// The word with this number.
    fn word(&self, number: u64) -> &AtomicU64;
}

fn load(words: &impl Words, number: u64) -> u64 {
    // Acquire: pairs with the owner's release stores below.
    words.word(number).load(Ordering::Acquire)
}

fn store(words: &impl Words, number: u64, value: u64) {
    // Release: pairs with the loads of threads that measure or free their blocks.
    words.word(number).store(value, Ordering::Release);
}

/// The state of granule `at`.
#[inline]
pub fn get(words: &impl Words, at: u64) -> Granule {
    match load(words, at / PER_WORD) >> (2 * (at % PER_WORD)) & 0b11 {
        0b00 => Granule::Free,
        0b01 => Granule::Inner,
        0b10 => Granule::Parked,
        _ => Granule::Live,
    }
}

/// Sets the state of granule `at`.
#[inline]
pub fn set(words: &impl Words, at: u64, state: Granule) {
    let shift = 2 * (at % PER_WORD);
    let number = at / PER_WORD;
    let word = load(words, number) & !(0b11 << shift) | (state as u64) << shift;
    store(words, number, word);
}

/// The mask of the bits of granules `first .. first + n` of one word.
const fn span(first: u64, n: u64) -> u64 {
    let ones = if n >= PER_WORD { !0 } else { (1 << (2 * n)) - 1 };
    ones << (2 * first)
}

/// Calls `change(word, mask)` for every word that `start .. start + n` touches.
fn each_word(words: &impl Words, start: u64, n: u64, change: impl Fn(u64, u64) -> u64) {
    let mut at = start;
    let end = start + n;
    while at < end {
        let first = at % PER_WORD;
        let here = (PER_WORD - first).min(end - at);
        let number = at / PER_WORD;
        let mask = span(first, here);
        // A whole word needs no look at what it was.
        let word = if mask == !0 { 0 } else { load(words, number) };
        store(words, number, change(word, mask));
        at += here;
    }
}

/// Makes `start .. start + n` one block whose first granule is `head`.
#[inline]
pub fn fill(words: &impl Words, start: u64, n: u64, head: Granule) {
    // The head first: the tail must never look like a continuation of the block before it.
    set(words, start, head);
    if n > 1 {
        each_word(words, start + 1, n - 1, |word, mask| word & !mask | LOW & mask);
    }
}

/// Makes `count` parked blocks of `n` granules from `start` on.
#[inline]
pub fn lay(words: &impl Words, start: u64, n: u64, count: u64) {
    let end = start + n * count;
    let (mut at, mut head) = (start, start);
    // From the first word to the last: the head before the tail, as in `fill`.
    while at < end {
        let first = at % PER_WORD;
        let here = (PER_WORD - first).min(end - at);
        let mask = span(first, here);
        let mut blocks = LOW & mask;
        while head < at + here {
            blocks ^= 0b11 << (2 * (head % PER_WORD));
            head += n;
        }
        let number = at / PER_WORD;
        let others = if mask == !0 { 0 } else { load(words, number) & !mask };
        store(words, number, others | blocks);
        at += here;
    }
}

/// Frees `start .. start + n`.
///
/// From the last word to the first: while the head stands, nothing in between can be taken for a
/// continuation of another block.
#[inline]
pub fn clear(words: &impl Words, start: u64, n: u64) {
    let first = start / PER_WORD;
    if start % PER_WORD + n <= PER_WORD {
        // Most often there is one word.
        return store(words, first, load(words, first) & !span(start % PER_WORD, n));
    }
    let mut end = start + n;
    while end > start {
        let number = (end - 1) / PER_WORD;
        let from = if number == first { start } else { number * PER_WORD };
        let mask = span(from % PER_WORD, end - from);
        let word = if mask == !0 { 0 } else { load(words, number) & !mask };
        store(words, number, word);
        end = from;
    }
}

/// How many granules follow `at` as inner ones: the block that begins at `at` has one more.
#[inline]
pub fn inner_after(words: &impl Words, at: u64) -> u64 {
    let first = (at + 1) % PER_WORD;
    let mut number = (at + 1) / PER_WORD;
    let mut n = inner_of(load(words, number) >> (2 * first));
    if n < PER_WORD - first {
        return n;
    }
    // The middle of a long block: whole words of inner granules.
    loop {
        number += 1;
        let word = load(words, number);
        if word != LOW {
            return n + inner_of(word);
        }
        n += PER_WORD;
    }
}

/// How many granules of a word from its first on are inner ones.
#[inline(always)]
fn inner_of(word: u64) -> u64 {
    let inner = word & !(word >> 1) & LOW;
    u64::from((!inner & LOW).trailing_zeros() / 2).min(PER_WORD)
}

/// The length of the live block at `at`, or more than `most` if it is longer, and its first word as it is when the block is
/// parked: the quick way to free, one load or few, and one store if the caller goes on.
#[inline(always)]
pub fn live_at(words: &impl Words, at: u64, most: u64) -> Option<(u64, u64)> {
    let shift = 2 * (at % PER_WORD);
    let mut number = at / PER_WORD;
    let word = load(words, number);
    let here = word >> shift;
    if here & 0b11 != Granule::Live as u64 {
        return None;
    }
    let rest = here >> 2;
    let inner = rest & !(rest >> 1) & LOW;
    let mut n = 1 + u64::from((!inner & LOW).trailing_zeros() / 2);
    let mut last = at % PER_WORD + n;
    // As long as it reaches the end of a word it may go on in the next.
    while last == PER_WORD && n <= most {
        number += 1;
        let word = load(words, number);
        let inner = word & !(word >> 1) & LOW;
        last = u64::from((!inner & LOW).trailing_zeros() / 2).min(PER_WORD);
        n += last;
    }
    Some((n, word & !(1 << shift)))
}

/// Stores the word that [`live_at`] gave.
#[inline(always)]
pub fn park(words: &impl Words, at: u64, parked: u64) {
    store(words, at / PER_WORD, parked);
}

/// Makes the parked block at `at` live.
#[inline(always)]
pub fn unpark(words: &impl Words, at: u64) {
    let word = load(words, at / PER_WORD);
    store(words, at / PER_WORD, word | 1 << (2 * (at % PER_WORD)));
}

/// How many granules from `at` on, below `end`, are free.
#[inline]
pub fn free_from(words: &impl Words, at: u64, end: u64) -> u64 {
    let mut next = at;
    while next < end {
        let first = next % PER_WORD;
        let word = load(words, next / PER_WORD) >> (2 * first);
        let taken = (word | word >> 1) & LOW;
        let run = u64::from(taken.trailing_zeros() / 2).min(PER_WORD - first);
        next += run;
        if run < PER_WORD - first {
            break;
        }
    }
    next.min(end) - at
}

/// How many granules from `at` on, below `end`, belong to blocks.
#[inline]
pub fn taken_from(words: &impl Words, at: u64, end: u64) -> u64 {
    let mut next = at;
    while next < end {
        let first = next % PER_WORD;
        let word = load(words, next / PER_WORD) >> (2 * first);
        let free = !(word | word >> 1) & LOW;
        let run = u64::from(free.trailing_zeros() / 2).min(PER_WORD - first);
        next += run;
        if run < PER_WORD - first {
            break;
        }
    }
    next.min(end) - at
}

/// How many granules just below `end`, down to `start`, are free.
pub fn free_before(words: &impl Words, start: u64, end: u64) -> u64 {
    let mut at = end;
    while at > start {
        let last = (at - 1) % PER_WORD;
        let word = load(words, (at - 1) / PER_WORD) << (2 * (PER_WORD - 1 - last));
        let taken = (word | word << 1) & (LOW << 1);
        let run = u64::from(taken.leading_zeros() / 2).min(last + 1);
        at -= run;
        if run < last + 1 {
            break;
        }
    }
    end - at.max(start)
}

/// The nearest granule at or below `at`, not below `floor`, that begins a block.
pub fn head_at_or_before(words: &impl Words, at: u64, floor: u64) -> Option<u64> {
    let mut next = at;
    loop {
        let last = next % PER_WORD;
        let word = load(words, next / PER_WORD) & span(0, last + 1);
        let heads = word >> 1 & LOW;
        if heads != 0 {
            let bit = u64::from(63 - heads.leading_zeros());
            let head = next - last + bit / 2;
            return (head >= floor).then_some(head);
        }
        if next - last <= floor {
            return None;
        }
        next -= last + 1;
    }
}

/// Measures the free runs of the words `first .. first + n`.
pub fn free_runs(words: &impl Words, first: u64, n: u64) -> FreeRuns {
    let mut runs = FreeRuns::default();
    for i in 0..n {
        runs = runs.join(i * PER_WORD, runs_of_word(load(words, first + i)), PER_WORD);
    }
    runs
}

fn runs_of_word(word: u64) -> FreeRuns {
    if word == 0 {
        return FreeRuns::all(PER_WORD);
    }
    let taken = (word | word >> 1) & LOW;
    let mut free = !taken & LOW;
    let mut max = 0;
    while free != 0 {
        free &= free >> 2;
        max += 1;
    }
    FreeRuns { prefix: u64::from(taken.trailing_zeros() / 2), max, suffix: u64::from((taken << 1).leading_zeros() / 2) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Array(Vec<AtomicU64>);
    impl Words for Array {
        fn word(&self, number: u64) -> &AtomicU64 {
            &self.0[number as usize]
        }
    }
    fn array(n: usize) -> Array {
        Array((0..n).map(|_| AtomicU64::new(0)).collect())
    }

    #[test]
    fn a_block_is_measured_across_words() {
        let a = array(8);
        for (start, n) in [(0, 1), (31, 2), (40, 100), (5, 3), (200, 32)] {
            fill(&a, start, n, Granule::Live);
            assert_eq!(get(&a, start), Granule::Live);
            assert_eq!(inner_after(&a, start), n - 1);
            assert_eq!(live_at(&a, start, 200).map(|(n, _)| n), Some(n));
            assert_eq!(head_at_or_before(&a, start + n - 1, 0), Some(start));
            clear(&a, start, n);
        }
        assert_eq!(free_runs(&a, 0, 8), FreeRuns::all(256));
    }

    #[test]
    fn blocks_laid_at_once_are_as_those_laid_one_by_one() {
        for n in 1..70 {
            for (start, count) in [(0, 1), (31, 3), (40, 5), (7, 12)] {
                let (a, b) = (array(32), array(32));
                for words in [&a, &b] {
                    fill(words, 0, start.max(1), Granule::Live);
                    fill(words, start + n * count, 3, Granule::Live);
                }
                lay(&a, start, n, count);
                (0..count).for_each(|i| fill(&b, start + i * n, n, Granule::Parked));
                assert!((0..32).all(|at| load(&a, at) == load(&b, at)), "{count} of {n} at {start}");
            }
        }
    }

    proptest! {
        #[test]
        fn equals_a_naive_array(blocks in proptest::collection::vec((0u64..250, 1u64..70, any::<bool>()), 1..40)) {
            let a = array(9);
            let mut naive = [Granule::Free; 288];
            for (start, n, free) in blocks {
                let n = n.min(288 - start - 1);
                let range = start as usize..(start + n) as usize;
                if free {
                    // Free a whole block, if one begins here.
                    if matches!(naive[start as usize], Granule::Live) {
                        let len = inner_after(&a, start) + 1;
                        clear(&a, start, len);
                        naive[start as usize..(start + len) as usize].fill(Granule::Free);
                    }
                } else if naive[range.clone()].iter().all(|g| *g == Granule::Free) {
                    fill(&a, start, n, Granule::Live);
                    naive[range.clone()].fill(Granule::Inner);
                    naive[start as usize] = Granule::Live;
                }
                for (at, state) in naive.iter().enumerate() {
                    prop_assert_eq!(get(&a, at as u64), *state);
                }
                let free: Vec<bool> = naive[..256].iter().map(|g| *g == Granule::Free).collect();
                let longest = free.split(|f| !f).map(<[bool]>::len).max().unwrap_or(0) as u64;
                let prefix = free.iter().take_while(|f| **f).count() as u64;
                let suffix = free.iter().rev().take_while(|f| **f).count() as u64;
                prop_assert_eq!(free_runs(&a, 0, 8), FreeRuns { prefix, max: longest, suffix });
                for at in [0u64, 13, 64, 255] {
                    let run = free[at as usize..].iter().take_while(|f| **f).count() as u64;
                    prop_assert_eq!(free_from(&a, at, 256), run);
                    let back = free[..at as usize].iter().rev().take_while(|f| **f).count() as u64;
                    prop_assert_eq!(free_before(&a, 0, at), back);
                }
            }
        }
    }
}
