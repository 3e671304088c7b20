//! Which page frames of the arena are in use.
//!
//! A frame is in use while it holds a page, bookkeeping or a part of the shared region; the pager
//! takes the frames of bookkeeping and of the shared region once, at start-up, with
//! [`take_at`](crate::bitmap::Bitmap::take_at), and never gives them back. Neighbouring pages get
//! neighbouring frames where possible ([`take_run`](crate::bitmap::Bitmap::take_run)): the kernel
//! merges their mappings.
#![forbid(unsafe_code)]

use crate::bitmap::{Bitmap, BitmapState};

/// The allocation map of frames. A number in it is a frame number: its offset in the arena divided
/// by the page size.
pub type FrameMap<'a> = Bitmap<'a>;

/// What the pager keeps of it between calls.
pub type FrameMapState = BitmapState;
