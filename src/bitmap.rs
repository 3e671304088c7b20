//! Which of a row of numbered things are in use: one bit each, searched next-fit, word by word.
//!
//! The words are an array of the caller's and the rest a `Copy` struct, as with the policies' ring.
//! A set bit is in use, so words of zero bytes are a map with everything free.
//!
//! Invariants, checked by the model test: `used` is the number of set bits, no bit at or beyond
//! `len` is set, `used <= peak <= len`, `cursor <= len`.
//!
//! Nothing here panics: numbers out of range, and giving what is not taken, are refused.
#![forbid(unsafe_code)]

const BITS: u32 = u64::BITS;

/// How many runs [`Bitmap::take_run`] looks at before it settles for the longest of them.
const RUNS: u32 = 8;

/// With so few left, the next search starts at what was given back last instead of passing over a
/// whole map of used entries: an allocation costs the same in a small and in a large map.
const FEW: u32 = 64;

/// How many words a map of `len` entries needs.
pub const fn words_for(len: u32) -> usize {
    len.div_ceil(BITS) as usize
}

/// What a map knows beyond its words.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitmapState {
    len: u32,
    used: u32,
    peak: u32,
    cursor: u32,
}

impl BitmapState {
    /// A map of `len` free entries, if its words are zero.
    pub const fn new(len: u32) -> Self {
        BitmapState { len, used: 0, peak: 0, cursor: 0 }
    }

    /// From now on there are `len` entries, if that is more than before.
    pub const fn grow(&mut self, len: u32) {
        if len > self.len {
            self.len = len;
        }
    }

    /// How many entries there are.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are no entries at all.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many are in use.
    pub const fn used(&self) -> u32 {
        self.used
    }

    /// How many are free.
    pub const fn free(&self) -> u32 {
        self.len.saturating_sub(self.used)
    }

    /// The most that were ever in use at once.
    pub const fn peak(&self) -> u32 {
        self.peak
    }
}

/// An allocation map, borrowed for one operation.
pub struct Bitmap<'a> {
    words: &'a mut [u64],
    state: &'a mut BitmapState,
}

impl<'a> Bitmap<'a> {
    /// The map kept in `words` (at least [`words_for`] its length) and `state`.
    pub fn new(words: &'a mut [u64], state: &'a mut BitmapState) -> Self {
        let room = u32::try_from(words.len()).unwrap_or(u32::MAX).saturating_mul(BITS);
        debug_assert!(state.len <= room, "{} entries in room for {room}", state.len);
        state.len = state.len.min(room);
        Bitmap { words, state }
    }

    /// The numbers: length, used, free, peak.
    pub fn state(&self) -> &BitmapState {
        self.state
    }

    /// Whether the entry exists and is free.
    pub fn is_free(&self, entry: u32) -> bool {
        self.scan(entry, entry.saturating_add(1), FREE) == Some(entry)
    }

    /// The first entry in use at or after `from`: for walking everything that is in use.
    pub fn next_used(&self, from: u32) -> Option<u32> {
        self.scan(from, self.state.len, USED)
    }

    /// Takes the next free entry, from where the last search ended.
    pub fn take(&mut self) -> Option<u32> {
        self.take_run(1).map(|(entry, _)| entry)
    }

    /// Takes the lowest free entry.
    pub fn take_lowest(&mut self) -> Option<u32> {
        let entry = self.scan(0, self.state.len, FREE)?;
        self.mark_used(entry, 1);
        Some(entry)
    }

    /// Takes up to `max` neighbouring entries, `(first, count)`: the first run of that length among
    /// the next few, or else the longest of those. `None` only if nothing is free or `max` is zero.
    pub fn take_run(&mut self, max: u32) -> Option<(u32, u32)> {
        let (first, count) = self.find_run(max)?;
        self.mark_used(first, count);
        Some((first, count))
    }

    /// Takes exactly these entries; does nothing and says `false` unless all of them are free.
    #[must_use]
    pub fn take_at(&mut self, first: u32, count: u32) -> bool {
        let free = self.are_all(first, count, FREE);
        if free {
            self.mark_used(first, count);
        }
        free
    }

    /// Gives entries back; does nothing and says `false` unless all of them are in use.
    #[must_use]
    pub fn give(&mut self, first: u32, count: u32) -> bool {
        if !self.are_all(first, count, USED) {
            return false;
        }
        for (index, mask) in pieces(first, count) {
            if let Some(word) = self.words.get_mut(index) {
                *word &= !mask;
            }
        }
        self.state.used = self.state.used.saturating_sub(count);
        if count > 0 && self.state.free() <= FEW {
            self.state.cursor = first;
        }
        true
    }

    fn find_run(&self, max: u32) -> Option<(u32, u32)> {
        if max == 0 || self.state.free() == 0 {
            return None;
        }
        let mut best = (0, 0);
        let mut runs = 0;
        // From the cursor to the end, then around to the cursor.
        for (from, end) in [(self.state.cursor, self.state.len), (0, self.state.cursor)] {
            let mut at = from;
            while let Some(first) = self.scan(at, end, FREE) {
                let wanted_end = first.saturating_add(max).min(self.state.len);
                let run_end = self.scan(first, wanted_end, USED).unwrap_or(wanted_end);
                let count = run_end.saturating_sub(first);
                if count > best.1 {
                    best = (first, count);
                }
                runs += 1;
                if count == max || runs == RUNS {
                    return Some(best);
                }
                at = run_end;
            }
        }
        (best.1 > 0).then_some(best)
    }

    fn mark_used(&mut self, first: u32, count: u32) {
        for (index, mask) in pieces(first, count) {
            if let Some(word) = self.words.get_mut(index) {
                *word |= mask;
            }
        }
        let state = &mut *self.state;
        state.used = state.used.saturating_add(count).min(state.len);
        state.peak = state.peak.max(state.used);
        state.cursor = first.saturating_add(count).min(state.len);
    }

    /// The first entry of the given kind in `from..end`.
    fn scan(&self, from: u32, end: u32, kind: u64) -> Option<u32> {
        let end = end.min(self.state.len);
        let mut at = from;
        while at < end {
            let word = self.words.get((at / BITS) as usize)?;
            let hits = (word ^ kind) & (u64::MAX << (at % BITS));
            let word_start = at - at % BITS;
            if hits != 0 {
                let entry = word_start.saturating_add(hits.trailing_zeros());
                return (entry < end).then_some(entry);
            }
            at = word_start.checked_add(BITS)?;
        }
        None
    }

    /// Whether the whole range exists and is of the given kind.
    fn are_all(&self, first: u32, count: u32, kind: u64) -> bool {
        first.checked_add(count).is_some_and(|end| end <= self.state.len && self.scan(first, end, !kind).is_none())
    }
}

/// What `scan` looks for, as the word that turns such entries into ones.
const FREE: u64 = u64::MAX;
const USED: u64 = 0;

/// A range as word numbers, each with a mask of the bits that belong to the range.
fn pieces(first: u32, count: u32) -> impl Iterator<Item = (usize, u64)> {
    let end = first.saturating_add(count);
    let mut at = first;
    core::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let bit = at % BITS;
        let width = (BITS - bit).min(end - at);
        let mask = (u64::MAX >> (BITS - width)) << bit;
        let index = (at / BITS) as usize;
        at += width;
        Some((index, mask))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Take,
        TakeLowest,
        TakeRun(u32),
        TakeAt(u32, u32),
        Give(u32, u32),
        GiveTaken(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let entry = prop_oneof![8 => 0u32..220, 1 => Just(u32::MAX), 1 => u32::MAX - 64..u32::MAX];
        let count = prop_oneof![8 => 0u32..80, 1 => Just(u32::MAX)];
        proptest::collection::vec(
            prop_oneof![
                Just(Step::Take),
                Just(Step::TakeLowest),
                count.clone().prop_map(Step::TakeRun),
                (entry.clone(), count.clone()).prop_map(|(first, n)| Step::TakeAt(first, n)),
                (entry, count).prop_map(|(first, n)| Step::Give(first, n)),
                any::<usize>().prop_map(Step::GiveTaken),
            ],
            0..200,
        )
    }

    /// A range of the model, if it exists.
    fn range(model: &[bool], first: u32, count: u32) -> Option<std::ops::Range<usize>> {
        let end = first.checked_add(count)?;
        (end as usize <= model.len()).then_some(first as usize..end as usize)
    }

    proptest! {
        #[test]
        fn agrees_with_a_row_of_flags(len in 1u32..200, steps in steps()) {
            let mut words = vec![0; words_for(len)];
            let mut state = BitmapState::new(len);
            let mut model = vec![false; len as usize];
            let mut taken = Vec::new();
            let mut peak = 0;
            for step in steps {
                let mut map = Bitmap::new(&mut words, &mut state);
                let free = model.iter().filter(|used| !**used).count();
                let mut run = None;
                match step {
                    Step::Take => {
                        run = map.take().map(|entry| (entry, 1));
                        prop_assert_eq!(run.is_some(), free > 0);
                    }
                    Step::TakeLowest => {
                        run = map.take_lowest().map(|entry| (entry, 1));
                        let lowest = model.iter().position(|used| !used);
                        prop_assert_eq!(run.map(|(entry, _)| entry as usize), lowest);
                    }
                    Step::TakeRun(max) => {
                        run = map.take_run(max);
                        prop_assert_eq!(run.is_some(), free > 0 && max > 0);
                        prop_assert!(run.is_none_or(|(_, count)| (1..=max).contains(&count)));
                    }
                    Step::TakeAt(first, count) => {
                        let wanted = range(&model, first, count);
                        let free = wanted.is_some_and(|range| model[range].iter().all(|used| !used));
                        prop_assert_eq!(map.take_at(first, count), free);
                        run = free.then_some((first, count));
                    }
                    Step::Give(first, count) => {
                        let wanted = range(&model, first, count);
                        let used = wanted.clone().is_some_and(|range| model[range].iter().all(|used| *used));
                        prop_assert_eq!(map.give(first, count), used);
                        if let Some(range) = wanted.filter(|_| used) {
                            model[range].fill(false);
                        }
                    }
                    Step::GiveTaken(which) if !taken.is_empty() => {
                        let (first, count) = taken.swap_remove(which % taken.len());
                        let range = range(&model, first, count).unwrap();
                        let used = model[range.clone()].iter().all(|used| *used);
                        prop_assert_eq!(map.give(first, count), used);
                        if used {
                            model[range].fill(false);
                        }
                    }
                    Step::GiveTaken(_) => {}
                }
                if let Some((first, count)) = run {
                    let range = range(&model, first, count).expect("in range");
                    prop_assert!(model[range.clone()].iter().all(|used| !used));
                    model[range].fill(true);
                    taken.push((first, count));
                }
                let used = model.iter().filter(|used| **used).count() as u32;
                peak = peak.max(used);
                prop_assert_eq!((map.state().used(), map.state().peak()), (used, peak));
                let mut listed = vec![false; len as usize];
                let mut at = 0;
                while let Some(entry) = map.next_used(at) {
                    listed[entry as usize] = true;
                    at = entry + 1;
                }
                prop_assert_eq!(&listed, &model);
                prop_assert!(model.iter().enumerate().all(|(at, used)| map.is_free(at as u32) != *used));
                prop_assert!(!map.is_free(len));
                prop_assert!(state.cursor <= len);
            }
        }
    }

    #[test]
    fn hands_out_neighbours_one_after_the_other() {
        let mut words = [0; 4];
        let mut state = BitmapState::new(256);
        let mut map = Bitmap::new(&mut words, &mut state);
        for entry in 0..200 {
            assert_eq!(map.take(), Some(entry));
        }
        assert!(map.give(0, 100));
        assert_eq!(map.take(), Some(200), "next-fit goes on, it does not go back");
        assert_eq!(map.take_run(1000), Some((0, 100)), "of two runs, the longer one");
    }

    #[test]
    fn takes_runs_across_words() {
        let mut words = [0; 4];
        let mut state = BitmapState::new(250);
        let mut map = Bitmap::new(&mut words, &mut state);
        assert!(map.take_at(10, 1));
        assert!(!map.take_at(5, 6), "one of them is used");
        assert_eq!(map.take_run(150), Some((11, 150)));
        assert_eq!(map.take_run(150), Some((161, 89)), "no run is as long: the longest");
        assert_eq!(map.take_run(150), Some((0, 10)));
        assert_eq!(map.take_run(150), None);
        assert!(!map.give(249, 2), "beyond the end");
        assert!(map.give(249, 1) && !map.give(249, 1), "no double give");
        assert_eq!(map.take(), Some(249));
    }
}
