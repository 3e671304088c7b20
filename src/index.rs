//! The numbers by which the engine names things, each kind a type of its own, and an optional one in
//! a single word.
//!
//! A [`Link`] is how frames, slots and list nodes are linked to each other in shared arrays: zero is
//! none, so fresh memory holds no links.
#![forbid(unsafe_code)]

use core::marker::PhantomData;

/// A number of one kind.
pub trait Index: Copy {
    /// The index with that number.
    fn from_number(number: u32) -> Self;

    /// The number of that index.
    fn number(self) -> u32;
}

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// The index with that number.
            pub const fn new(number: u32) -> Self {
                $name(number)
            }

            /// The number of this index.
            pub const fn get(self) -> u32 {
                self.0
            }
        }

        impl Index for $name {
            fn from_number(number: u32) -> Self {
                $name(number)
            }

            fn number(self) -> u32 {
                self.0
            }
        }
    };
}

index! {
    /// A frame of the arena.
    FrameIndex
}

index! {
    /// A slot of the swap file.
    Slot
}

/// An index or none, in one word. All zero: none.
///
/// The last number, `u32::MAX`, cannot be linked to; nothing has so many frames or slots, and a link
/// to it is none.
#[repr(transparent)]
#[derive(PartialEq, Eq)]
pub struct Link<I>(u32, PhantomData<I>);

impl<I: Index> Link<I> {
    /// A link to nothing.
    pub const NONE: Link<I> = Link(0, PhantomData);

    /// A link to that index.
    pub fn to(index: I) -> Link<I> {
        Link(index.number().wrapping_add(1), PhantomData)
    }

    /// What is linked to.
    pub fn get(self) -> Option<I> {
        self.0.checked_sub(1).map(I::from_number)
    }

    /// The word itself, to be kept in an atomic.
    pub const fn word(self) -> u32 {
        self.0
    }

    /// The link that was kept as that word.
    pub const fn from_word(word: u32) -> Link<I> {
        Link(word, PhantomData)
    }
}

// Written out, because deriving would ask the same of the index type.
impl<I> Clone for Link<I> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I> Copy for Link<I> {}

impl<I> Default for Link<I> {
    fn default() -> Self {
        Link(0, PhantomData)
    }
}

impl<I: Index> From<Option<I>> for Link<I> {
    fn from(index: Option<I>) -> Self {
        index.map_or(Link::NONE, Link::to)
    }
}

impl<I: Index + core::fmt::Debug> core::fmt::Debug for Link<I> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.get().fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_every_number_but_the_last() {
        for number in [0, 1, 77, u32::MAX - 1] {
            let link = Link::to(FrameIndex::new(number));
            assert_eq!(link.get().map(FrameIndex::get), Some(number));
            assert_eq!(Link::from_word(link.word()), link);
        }
        assert_eq!(Link::to(Slot::new(u32::MAX)), Link::NONE);
        assert_eq!(Link::<Slot>::default().get(), None);
        assert_eq!(Link::from(None::<Slot>).word(), 0);
    }
}
