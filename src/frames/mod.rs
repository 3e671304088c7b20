//! The frames: the memory that pages lie in, who uses each frame, and which page should leave.
//!
//! [`Layout`] says where everything lies in the arena, [`Arena`] holds the memory and the engine's view of it,
//! [`Frame`] is what is known of one frame, and [`FramePool`] hands frames out.
//!
//! The files stand in their order, each using only those above it.

mod frame;
mod layout;

mod arena;
mod pool;

pub use arena::{Arena, Tables};
pub use frame::{Frame, User};
pub use layout::Layout;
pub use pool::{FramePool, Frozen};
