//! `sync/gate.rs`: the owner's cheap ways in, and those who close the gate.
//!
//! The barrier on every running thread of the process is modelled as the fence that it puts into the
//! owner: between the owner's store to `inside` and its load of `closed`.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use models::every_order;
use models::sync::{Closer, Gate};

/// A heap, of which loom says when two threads are at it: it counts what was done to it.
type Heap = UnsafeCell<u32>;

fn work(heap: &Heap) {
    // SAFETY: whoever has the heap is alone with it; loom checks what that is worth.
    heap.with_mut(|heap| unsafe { *heap += 1 });
}

/// malloc: at once, or the slow way.
fn as_owner(gate: &Gate<Heap>, at_once: bool) {
    // SAFETY: the main thread alone owns the gate.
    let quick = at_once.then(|| unsafe { gate.try_enter() }).flatten();
    // SAFETY: as above.
    if let Some(heap) = quick.or_else(|| unsafe { gate.enter() }) {
        work(&heap);
    } else {
        unreachable!("the owner is outside");
    }
}

/// `Engine::with_closed`.
fn as_other(gate: &Gate<Heap>) {
    let closer = Closer::hold();
    work(&gate.close(&closer, false));
}

fn owner_and(others: usize, entries: &[bool]) {
    let gate = Arc::new(Gate::new(Heap::new(0)));
    let threads: Vec<_> = (0..others)
        .map(|_| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || as_other(&gate))
        })
        .collect();
    entries.iter().for_each(|at_once| as_owner(&gate, *at_once));
    for thread in threads {
        assert!(thread.join().is_ok());
    }
    let closer = Closer::hold();
    // SAFETY: the others have ended, and this thread is outside.
    let heap = unsafe { gate.unowned(&closer) };
    // SAFETY: as above.
    assert_eq!(heap.with(|heap| unsafe { *heap }) as usize, others + entries.len());
}

#[test]
fn the_owner_and_another_are_never_inside_together() {
    every_order(3, || owner_and(1, &[false, false]));
}

#[test]
fn nor_when_the_owner_tries_first() {
    every_order(3, || owner_and(1, &[true, true]));
}

#[test]
fn nor_with_two_others() {
    every_order(2, || owner_and(2, &[false]));
}
