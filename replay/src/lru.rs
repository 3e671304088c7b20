//! Exact LRU at every number of frames, in one pass: stack distances (Mattson, Gecsei, Slutz and
//! Traiger, IBM Systems Journal 1970).
//!
//! The stack distance d of a reference is how many pages were used since the page was used last,
//! itself included. With C frames it hits if d <= C. Pages stand in the order of their last use in a line of
//! bits, one set for each page; counting the bits behind a page is a sum in a Fenwick tree over the
//! words of the line, O(log n). When the line is full it is drawn together.
//!
//! Write-backs, too, follow from distances (Thompson and Smith, TODS 1989): after a write, a page is dirty with
//! any number of frames. When it is used again at distance d it had left, and been written if it was dirty, with
//! fewer than d. So it is dirty with as many frames as the largest distance since the last write, or more.

use crate::trace::{Reference, TraceError};
use crate::{Counts, Error, Numbering};
use vmcore::page::Access;

/// Stack distances of pages, as they come.
pub struct StackDistances {
    /// A bit for each place in the line: set if it is some page's last use.
    bits: Vec<u64>,
    /// The Fenwick tree over the numbers of bits set in the words.
    tree: Vec<u32>,
    /// The place of each page's last use, plus one; 0 if there was none.
    places: Vec<u32>,
    next: u32,
    pages: u32,
}

const WORD: usize = 64;
/// The least length of the line.
const LINE: usize = 1 << 14;

impl Default for StackDistances {
    fn default() -> Self {
        StackDistances { bits: vec![0; LINE / WORD], tree: vec![0; LINE / WORD + 1], places: Vec::new(), next: 0, pages: 0 }
    }
}

impl StackDistances {
    /// The page of that number is used: its distance, none if it is used for the first time.
    #[inline]
    pub fn access(&mut self, page: u32) -> Option<u32> {
        let page = page as usize;
        if page >= self.places.len() {
            self.places.resize(page + 1, 0);
        }
        let distance = match self.places[page] {
            0 => {
                self.pages += 1;
                None
            }
            // The page used last stays where it is.
            place if place == self.next => return Some(1),
            place => {
                let distance = self.pages - self.before(place - 1);
                self.change(place - 1, false);
                Some(distance)
            }
        };
        if self.next as usize == self.bits.len() * WORD {
            self.places[page] = 0;
            self.draw_together();
        }
        self.change(self.next, true);
        self.next += 1;
        self.places[page] = self.next;
        distance
    }

    /// The pages from the one used last to the one used longest ago.
    pub fn stack(&self) -> Vec<u32> {
        let mut pages: Vec<u32> = (0..self.places.len() as u32).filter(|page| self.places[*page as usize] != 0).collect();
        pages.sort_unstable_by_key(|page| std::cmp::Reverse(self.places[*page as usize]));
        pages
    }

    /// How many pages were used last before that place.
    fn before(&self, place: u32) -> u32 {
        let (word, bit) = (place as usize / WORD, place as usize % WORD);
        let mut sum = (self.bits[word] & ((1 << bit) - 1)).count_ones();
        let mut node = word;
        while node > 0 {
            sum += self.tree[node];
            node &= node - 1;
        }
        sum
    }

    fn change(&mut self, place: u32, set: bool) {
        let (word, bit) = (place as usize / WORD, place as usize % WORD);
        self.bits[word] ^= 1 << bit;
        let change = if set { 1 } else { u32::MAX };
        let mut node = word + 1;
        while node < self.tree.len() {
            self.tree[node] = self.tree[node].wrapping_add(change);
            node += node & node.wrapping_neg();
        }
    }

    /// Moves all pages to the front of a line with room for three times as many.
    fn draw_together(&mut self) {
        let stack = self.stack();
        let words = LINE.max(4 * stack.len()).div_ceil(WORD);
        (self.bits, self.tree, self.next) = (vec![0; words], vec![0; words + 1], 0);
        for page in stack.into_iter().rev() {
            self.change(self.next, true);
            self.next += 1;
            self.places[page as usize] = self.next;
        }
    }
}

/// What LRU counts at every number of frames.
#[derive(Default)]
pub struct LruCurve {
    refs: u64,
    pages: u32,
    /// The references at each distance, and those to a page that was written before.
    distances: Vec<u64>,
    written: Vec<u64>,
    /// For each number of frames, how much more than for one less.
    writebacks: Vec<i64>,
    dirty_faults: Vec<i64>,
}

/// What is known of a page: with how many frames, or more, it is dirty, and whether it ever was.
#[derive(Clone, Copy)]
struct Dirt {
    from: u32,
    ever: bool,
}

/// Dirty with no number of frames.
const CLEAN: u32 = u32::MAX;

/// LRU at every number of frames.
pub fn lru_curve(references: impl IntoIterator<Item = Result<Reference, TraceError>>) -> Result<LruCurve, Error> {
    let (mut numbering, mut lru) = (Numbering::default(), Lru::default());
    for reference in references {
        let reference = reference?;
        lru.access(numbering.number(reference.page)?, reference.access);
    }
    Ok(lru.finish())
}

/// The curve while it grows.
#[derive(Default)]
pub(crate) struct Lru {
    stack: StackDistances,
    dirt: Vec<Dirt>,
    curve: LruCurve,
}

impl Lru {
    #[inline]
    pub(crate) fn access(&mut self, page: u32, access: Access) {
        self.curve.refs += 1;
        let write = access == Access::Write;
        let distance = self.stack.access(page);
        if page as usize >= self.dirt.len() {
            self.dirt.resize(page as usize + 1, Dirt { from: CLEAN, ever: false });
        }
        let dirt = &mut self.dirt[page as usize];
        match distance {
            None => {}
            Some(1) => {
                self.curve.note(1, dirt.ever);
                if write && dirt.from > 1 {
                    // Resident with any number of frames, and open for reading only where it is clean.
                    add(&mut self.curve.dirty_faults, 1, dirt.from);
                }
            }
            Some(distance) => {
                self.curve.note(distance, dirt.ever);
                leave(&mut self.curve.writebacks, dirt, distance);
            }
        }
        if write {
            *dirt = Dirt { from: 0, ever: true };
        }
    }

    pub(crate) fn finish(mut self) -> LruCurve {
        for (page, depth) in self.stack.stack().into_iter().zip(1..) {
            leave(&mut self.curve.writebacks, &mut self.dirt[page as usize], depth);
        }
        self.curve.pages = self.stack.pages;
        self.curve
    }
}

/// A page has left with fewer frames than its distance, and was written where it was dirty.
fn leave(writebacks: &mut Vec<i64>, dirt: &mut Dirt, distance: u32) {
    if dirt.from < distance {
        add(writebacks, dirt.from.max(1), distance);
        dirt.from = distance;
    }
}

/// One more for `from` frames and more, but fewer than `to`.
fn add(differences: &mut Vec<i64>, from: u32, to: u32) {
    let mut change = |at: u32, change: i64| {
        if differences.len() <= at as usize {
            differences.resize(at as usize + 1, 0);
        }
        differences[at as usize] += change;
    };
    if from < to {
        change(from, 1);
        if to != CLEAN {
            change(to, -1);
        }
    }
}

fn sum(differences: &[i64], frames: u32) -> u64 {
    differences.iter().take(frames as usize + 1).sum::<i64>() as u64
}

impl LruCurve {
    fn note(&mut self, distance: u32, written: bool) {
        let distance = distance as usize;
        if self.distances.len() <= distance {
            self.distances.resize(distance + 1, 0);
            self.written.resize(distance + 1, 0);
        }
        self.distances[distance] += 1;
        self.written[distance] += u64::from(written);
    }

    /// How many pages there are: with so many frames only cold misses are left.
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// The numbers of frames at which the misses become fewer, from 1 on, with the misses.
    pub fn steps(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let mut misses = self.refs;
        self.distances.iter().zip(0..).skip(1).filter_map(move |(hits, frames)| {
            misses -= hits;
            (*hits > 0 || frames == 1).then_some((frames, misses))
        })
    }

    /// All counts with so many frames. R is sampled at every use of a page that is not the one used last.
    pub fn counts(&self, frames: u32) -> Counts {
        let beyond = |numbers: &[u64]| numbers.iter().skip(frames as usize + 1).sum::<u64>();
        let (cold, refaults) = (u64::from(self.pages), beyond(&self.distances));
        let misses = cold + refaults;
        let evictions = misses - u64::from(frames.min(self.pages));
        let writebacks = sum(&self.writebacks, frames);
        let again = self.distances.get(1).copied().unwrap_or(0);
        Counts {
            refs: self.refs,
            misses,
            cold,
            refaults,
            evictions,
            writebacks,
            clean_evictions: evictions - writebacks,
            swapins: beyond(&self.written),
            ref_soft_faults: self.refs - misses - again,
            dirty_faults: sum(&self.dirty_faults, frames),
        }
    }
}
