//! The pager: the life of a page between the program, its frame and its slot.
//!
//! The files stand in their order, each using only those above it: where a page is and how it is seen, where its bytes
//! are kept, what a policy sees, who holds it; how it leaves; what grows beside it; how it is promised and released; how
//! it comes; what the program may ask of it.

mod place;
mod view;

mod contents;

mod bits;
mod hold;
mod kept_stack;

mod evict;
mod reclaim;

mod ahead;
mod bookkeeping;

mod promise;

mod release;

mod ground;

mod fault;
mod pin;

mod moving;
mod terms;

pub use fault::Outcome;
pub use kept_stack::KeptStack;
pub use place::Place;
pub use terms::Whose;
