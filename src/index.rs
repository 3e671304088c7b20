//! Numbers that name things, each a type of its own: a frame is no slot, and a page is no frame.
//!
//! A [`Link`] is an optional number in one word, as the tables in bookkeeping frames keep it: the word 0,
//! which fresh memory holds, is "none". Nobody else adds one to a number to make room for a zero.
#![forbid(unsafe_code)]

use core::fmt;
use core::marker::PhantomData;
use core::ops::Add;
use core::sync::atomic::{AtomicU32, Ordering};

/// A number of at most 32 bits that a [`Link`] can hold.
pub trait Index: Copy {
    /// The thing with this number.
    fn from_number(number: u32) -> Self;
    /// Its number.
    fn number(self) -> u32;
}

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(transparent)]
        pub struct $name(u32);

        impl $name {
            /// The one with this number.
            #[inline]
            pub const fn new(number: u32) -> $name {
                $name(number)
            }

            /// Its number.
            #[inline]
            pub const fn get(self) -> u32 {
                self.0
            }

            /// Its number, to index a table with.
            #[inline]
            pub const fn at(self) -> usize {
                self.0 as usize
            }

            /// The one so many behind this one; the last number there is, if there are not so many.
            #[inline]
            pub const fn plus(self, n: u32) -> $name {
                $name(self.0.saturating_add(n))
            }
        }

        impl Index for $name {
            #[inline]
            fn from_number(number: u32) -> Self {
                $name(number)
            }

            #[inline]
            fn number(self) -> u32 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

index! {
    /// A frame, counted from the first frame of the pool.
    FrameIndex
}
index! {
    /// A slot of the swap device: its offset there divided by the page size.
    Slot
}
index! {
    /// A region: its place in the span of all regions.
    RegionNumber
}

/// A page of a region, counted from the region's first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct PageNumber(u64);

impl PageNumber {
    /// The page with this number.
    #[inline]
    pub const fn new(number: u64) -> PageNumber {
        PageNumber(number)
    }

    /// Its number.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The page before; none before the first.
    #[inline]
    pub const fn before(self) -> Option<PageNumber> {
        match self.0.checked_sub(1) {
            Some(number) => Some(PageNumber(number)),
            None => None,
        }
    }

    /// The pages from this one on, `n` of them.
    #[inline]
    pub fn run(self, n: u64) -> impl DoubleEndedIterator<Item = PageNumber> {
        (self.0..self.0.saturating_add(n)).map(PageNumber)
    }
}

/// A page by region and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageName {
    /// The region.
    pub region: RegionNumber,
    /// The page in it.
    pub page: PageNumber,
}

impl Add<u64> for PageNumber {
    type Output = PageNumber;
    #[inline]
    fn add(self, n: u64) -> PageNumber {
        PageNumber(self.0.wrapping_add(n))
    }
}

/// An optional number in one word; all zero is none.
#[derive(PartialEq, Eq)]
#[repr(transparent)]
pub struct Link<I> {
    word: u32,
    of: PhantomData<I>,
}

impl<I> Clone for Link<I> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I> Copy for Link<I> {}

impl<I> Default for Link<I> {
    fn default() -> Self {
        Link::NONE
    }
}

impl<I> Link<I> {
    /// No number.
    pub const NONE: Link<I> = Link { word: 0, of: PhantomData };

    /// Whether there is no number.
    #[inline]
    pub const fn is_none(self) -> bool {
        self.word == 0
    }

    /// The word itself, to be kept elsewhere.
    pub const fn word(self) -> u32 {
        self.word
    }

    /// The link that was kept as that word.
    pub const fn from_word(word: u32) -> Link<I> {
        Link { word, of: PhantomData }
    }
}

impl<I: Index> Link<I> {
    /// A link to `index`. The very last number of 32 bits cannot be kept; nothing has so many parts.
    #[inline]
    pub fn to(index: I) -> Link<I> {
        Link { word: index.number().wrapping_add(1), of: PhantomData }
    }

    /// The number, if there is one.
    #[inline]
    pub fn get(self) -> Option<I> {
        self.word.checked_sub(1).map(I::from_number)
    }
}

impl<I: Index> From<Option<I>> for Link<I> {
    fn from(index: Option<I>) -> Link<I> {
        index.map_or(Link::NONE, Link::to)
    }
}

impl<I: Index + fmt::Debug> fmt::Debug for Link<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// A [`Link`] that threads share. Callers name the partner of each ordering.
#[repr(transparent)]
pub struct AtomicLink<I> {
    word: AtomicU32,
    of: PhantomData<I>,
}

impl<I> Default for AtomicLink<I> {
    fn default() -> Self {
        AtomicLink { word: AtomicU32::new(0), of: PhantomData }
    }
}

impl<I: Index> AtomicLink<I> {
    /// The number at this moment.
    #[inline]
    pub fn load(&self, order: Ordering) -> Option<I> {
        self.word.load(order).checked_sub(1).map(I::from_number)
    }

    /// Says another number, or none.
    #[inline]
    pub fn store(&self, index: Option<I>, order: Ordering) {
        self.word.store(Link::from(index).word, order);
    }

    /// Says another number, or none, and returns the one before.
    #[inline]
    pub fn swap(&self, index: Option<I>, order: Ordering) -> Option<I> {
        self.word.swap(Link::from(index).word, order).checked_sub(1).map(I::from_number)
    }

    /// Forgets the number if it is still `index`: whether it was.
    #[inline]
    pub fn forget(&self, index: I, order: Ordering) -> bool {
        self.word.compare_exchange(Link::to(index).word, 0, order, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_words_are_no_links() {
        assert_eq!(Link::<FrameIndex>::default().get(), None);
        assert_eq!(Link::to(FrameIndex::new(0)).get(), Some(FrameIndex::new(0)));
        assert!(Link::from(None::<Slot>).is_none());
        let link = AtomicLink::<Slot>::default();
        assert_eq!(link.swap(Some(Slot::new(7)), Ordering::Relaxed), None);
        assert!(!link.forget(Slot::new(8), Ordering::Relaxed));
        assert!(link.forget(Slot::new(7), Ordering::Relaxed));
        assert_eq!(link.load(Ordering::Relaxed), None);
    }

    #[test]
    fn runs_of_pages_count_up() {
        let pages: Vec<_> = PageNumber::new(3).run(2).map(PageNumber::get).collect();
        assert_eq!(pages, [3, 4]);
        assert_eq!(PageNumber::new(0).before(), None);
    }
}
